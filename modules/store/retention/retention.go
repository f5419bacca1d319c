// Package retention removes from a database what need not stay in it: the bodies of
// webhooks after some time, and the data of a person on request. Which updates were
// received, what they said and what followed from it stays, so that an update that is
// sent again is still a duplicate, and a history still folds to the same state.
//
// Everything happens in small transactions, between which webhooks are written. What
// an engine has to do for it is in [Session].
package retention

import (
	"context"
	"errors"
	"time"

	"github.com/payrelay/payrelay/modules/store"
)

// Database is a database that can be maintained.
type Database interface {
	// Maintain begins a session. The error is ErrBusy while another process has one.
	Maintain(ctx context.Context) (Session, error)
}

// ErrBusy means that another process maintains the database.
var ErrBusy = errors.New("another process is removing old bodies, or the data of a person: try again later")

// Session maintains a database. It is not safe for concurrent use.
type Session interface {
	Dialect() store.Dialect
	// Read returns a connection for queries that do not wait for writers.
	Read() store.Connection
	// Transact runs do in one transaction, and returns its error. The error is
	// payments.ErrRaced if it can succeed when it is called again.
	Transact(ctx context.Context, do func(store.Connection) error) error
	// HasOldBodies reports whether events can have a body of their own, in the column
	// body.
	HasOldBodies() bool

	// MakeDays prepares the database for the bodies of some days, from a time on. An
	// engine that does not keep the days apart does nothing.
	MakeDays(ctx context.Context, from time.Time, days int) error
	// CountBodies returns the bodies that were recorded before a day.
	CountBodies(ctx context.Context, before time.Time) (Bodies, error)
	// RemoveBodies removes them, and returns those that it has removed, also with an
	// error.
	RemoveBodies(ctx context.Context, before time.Time) (Bodies, error)
	// Scrub has the session overwrite what it deletes, in an engine that would leave
	// it readable in a file.
	Scrub(ctx context.Context) error

	Close() error
}

// Bodies counts bodies by the day in UTC on which they were recorded.
type Bodies map[time.Time]Count

// Count is a number of bodies and their size in bytes.
type Count struct{ Bodies, Bytes int64 }

// Add counts bodies that were recorded at a time.
func (b Bodies) Add(recorded time.Time, more Count) {
	day := Day(recorded)
	sum := b[day]
	b[day] = Count{sum.Bodies + more.Bodies, sum.Bytes + more.Bytes}
}

// AddAll adds the counts of others.
func (b Bodies) AddAll(others Bodies) {
	for day, count := range others {
		b.Add(day, count)
	}
}

// Sum returns the count of all days.
func (b Bodies) Sum() (sum Count) {
	for _, count := range b {
		sum.Bodies += count.Bodies
		sum.Bytes += count.Bytes
	}
	return sum
}

// Day returns the beginning of the day in UTC of a time.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
