package payments

import (
	"context"
	"errors"
)

var (
	// ErrRaced is returned by [Store.Commit] if the state that the changes were made
	// from is no longer the stored one. Nothing was written: load and judge again.
	ErrRaced = errors.New("another writer was first")
	// ErrNotFound means that there is no such order, dispute or dead letter.
	ErrNotFound = errors.New("not found")
	// ErrUnstorable means that the store refuses one of the values, and will refuse
	// it again. Nothing was written.
	ErrUnstorable = errors.New("the database refuses a value")
	// ErrMisconfigured means that an administrator must act first: the password is
	// wrong, or the database, a table or a privilege is missing.
	ErrMisconfigured = errors.New("the database needs its administrator")
)

// Store keeps what the ledger decides. Every implementation passes the suite in
// modules/store/storetest. An error that is none of the above is temporary: the same
// call may succeed later.
//
// The unit of consistency is an order with all of its disputes. It has one version,
// which every change of any part increments.
type Store interface {
	// Load reads what a batch is judged against. It need not read one snapshot of
	// the database, because Commit checks the versions. But it must read the version
	// of an order before the disputes of that order, or Commit would not notice a
	// change in between.
	Load(ctx context.Context, lookup Lookup) (*Snapshot, error)
	// History reads all events of the orders and their disputes that are InHistory,
	// by order id, in any order and without raw bodies.
	History(ctx context.Context, orderIDs []string) (map[string][]*Event, error)
	// DeadLetter reads one dead letter, or ErrNotFound.
	DeadLetter(ctx context.Context, id int64) (*DeadLetter, error)
	// Commit writes the changes in one transaction. If it returns ErrRaced or
	// ErrUnstorable, nothing was written; after any other error that is unknown.
	Commit(ctx context.Context, changes *Changes) error
}

// Lookup names what a batch is about. No list has duplicates.
type Lookup struct {
	Keys       []Key
	OrderIDs   []string
	DisputeIDs []string
}

// Snapshot holds what is stored about a [Lookup].
type Snapshot struct {
	// Recorded holds those keys of the lookup that are recorded.
	Recorded map[Key]Recorded
	// Aggregates holds the orders of the lookup, each with all its disputes.
	Aggregates map[string]*Aggregate
	// DisputeOrders maps each existing dispute of the lookup to its order.
	DisputeOrders map[string]string
}

// Recorded describes the event that is recorded under a key.
type Recorded struct {
	Digest Digest
	// InHistory reports whether the event is part of its order's history.
	InHistory bool
}

// Folded is the state that a history folds to.
type Folded[S any] struct {
	State S
	// Head is the position of the newest event, including refused ones.
	Head Position
}

// Aggregate is an order with its disputes, as stored.
type Aggregate struct {
	OrderID string
	// Version is the number of commits that changed the aggregate; 0 if it is not
	// stored yet.
	Version  int64
	Order    Folded[Order]
	Disputes []Folded[Dispute]
}

// Changes holds everything that one batch writes.
type Changes struct {
	// Aggregates hold the version that was read, and the state to store under the
	// next version: the order, and those of its disputes that changed. They are
	// sorted by order id, so that all writers lock in the same order. If the version
	// has changed, or a dispute belongs to another order by now, Commit returns
	// ErrRaced.
	Aggregates []*Aggregate
	// Events are new. If a key exists by now, Commit returns ErrRaced.
	Events []*Event
	// Revised events are stored already. Their verdict and reason change, and with
	// those InHistory.
	Revised []*Event
	// DeadLetters are new. One that exists under the same key and digest is opened
	// again with the new reason, unless an operator has discarded it. None is listed
	// twice, or in Settled too.
	DeadLetters []*DeadLetter
	// Settled dead letters no longer need an operator.
	Settled []Settlement
}

func (c *Changes) empty() bool {
	return len(c.Events)+len(c.Revised)+len(c.DeadLetters)+len(c.Settled) == 0
}
