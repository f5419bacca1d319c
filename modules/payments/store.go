package payments

import (
	"context"
	"errors"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

var (
	// ErrRaced is what [Store.Commit] returns when the state that the changes
	// were made from is no longer the stored one. Nothing was written: load
	// again and judge again.
	ErrRaced = errors.New("another writer was first")
	// ErrNotFound says that there is no such order, dispute or dead letter.
	ErrNotFound = errors.New("not found")
	// ErrUnstorable says that the store refuses a value of what it was given, and
	// will refuse it again. Nothing was written.
	ErrUnstorable = errors.New("the database refuses a value")
	// ErrMisconfigured says that a person has to mend the database first: a wrong
	// password, no such database, a right or a table that is missing.
	ErrMisconfigured = errors.New("the database needs its administrator")
)

// Store keeps what the ledger decides. Every implementation passes the suite in
// modules/store/storetest. Its errors are of one of the classes above, or such
// that the same may succeed later: of the network, of a server that restarts or
// has no room.
//
// The unit of consistency is the order with all its disputes: it has one
// version, and whoever changes any part of it moves the version on.
type Store interface {
	// Load reads what a batch is judged against. It need not be one snapshot of
	// the database, because Commit checks the versions; but the version of an
	// order must be read no later than its disputes, or what was committed in
	// between would go unnoticed.
	Load(ctx context.Context, lookup Lookup) (*Snapshot, error)
	// History reads every event of the orders and of their disputes that is
	// InHistory, in any sequence, without raw bodies, by order id.
	History(ctx context.Context, orderIDs []string) (map[string][]*Event, error)
	// DeadLetter reads one dead letter, or ErrNotFound.
	DeadLetter(ctx context.Context, id int64) (*DeadLetter, error)
	// Commit writes the changes in one transaction, or nothing and ErrRaced.
	// Any other error leaves it unknown whether they were written.
	Commit(ctx context.Context, changes *Changes) error
}

// Lookup names what a batch touches; no list has repeats.
type Lookup struct {
	Keys       []Key
	OrderIDs   []string
	DisputeIDs []string
}

// Snapshot is what is stored about a batch's lookup.
type Snapshot struct {
	// Recorded holds the keys of the lookup that were recorded before.
	Recorded map[Key]Recorded
	// Aggregates holds the orders of the lookup, each with all its disputes.
	Aggregates map[string]*Aggregate
	// DisputeOrders names the order of each dispute of the lookup that exists.
	DisputeOrders map[string]string
}

// Recorded is what is known about a key.
type Recorded struct {
	Digest Digest
	// InHistory is the event's.
	InHistory bool
}

// Folded is the state that a history folds to, and how far the history reaches.
type Folded[S any] struct {
	State S
	// Head is the position of the newest event, refused ones included.
	Head Position
}

// Aggregate is an order with its disputes, as stored.
type Aggregate struct {
	OrderID string
	// Version counts the commits that changed the aggregate; 0 is not stored.
	Version  int64
	Order    Folded[Order]
	Disputes []Folded[Dispute]
}

// Changes is all that one batch writes.
type Changes struct {
	// Aggregates hold the version that was read and what is to be stored with
	// the next one: the order, and those of its disputes that may have changed.
	// They are sorted by order id, so that writers lock in one sequence. A
	// version that moved on, or a dispute that is another order's by now, is
	// ErrRaced.
	Aggregates []*Aggregate
	// Events are new. A key that exists by now is ErrRaced.
	Events []*Event
	// Revised events exist; their verdict and reason change, and with them
	// whether they are InHistory.
	Revised []*Event
	// DeadLetters are new, or open again, with the new reason, when the same body
	// of the same key was a dead letter before; one that an operator has discarded
	// stays so, however often it comes. None is named twice, nor in Settled too.
	DeadLetters []*DeadLetter
	// Settled dead letters need no operator any more.
	Settled []Settlement
}

func (c *Changes) empty() bool {
	return len(c.Events)+len(c.Revised)+len(c.DeadLetters)+len(c.Settled) == 0
}

// DeadLetter is an update, or a record that is none, which was taken in but
// cannot be applied and waits for an operator.
type DeadLetter struct {
	// ID is the store's; 0 until it is stored.
	ID int64
	// Key is the update's, or topic/partition and offset of a Kafka record that
	// is no update. Key and Digest name a dead letter once and for all.
	Key    Key
	Digest Digest
	Reason payrelayv1.DeadLetterReason
	// Detail says in words what is wrong.
	Detail string
	// OrderID and DisputeID say whom it is about, if that is known.
	OrderID   string
	DisputeID string
	// Payload is the binary Update (without the body, where the event has it)
	// or the record's value, byte for byte.
	Payload   []byte
	CreatedAt time.Time
	// Resolution is how it was settled, and ResolvedAt when; zero while open.
	Resolution Resolution
	ResolvedAt time.Time
}

// Settlement closes the dead letter of a key and digest, if it is open.
type Settlement struct {
	Key        Key
	Digest     Digest
	Resolution Resolution
	At         time.Time
}

// Resolution is how a dead letter was settled.
type Resolution string

const (
	// Reapplied: the history changed and the update fits into it now.
	Reapplied Resolution = "reapplied"
	// Replayed: an operator had it judged again, and it is an event by now.
	Replayed Resolution = "replayed"
	// Discarded: an operator decided that it does not matter.
	Discarded Resolution = "discarded"
)
