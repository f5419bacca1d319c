// Package payments is the language that every module speaks, and the domain
// behind it: what orders and disputes are, what a provider's update may do to
// them, and the ledger that records each update exactly once.
//
// It imports the generated contract, the Protobuf runtime and the standard
// library only. It knows no wire, no database and no configuration. Every rule
// about an update is here, once for all transports.
//
// An Update travels through Appliers until it reaches the [Ledger], which
// judges it against the history of its order and hands the result to a [Store].
package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Applier takes updates one stage further on their way to the store. Every stage
// is one: the client of each transport mode, the decorators around it, group
// commit, and the [Ledger] at the end.
//
// Outcome i is the verdict about update i. A verdict is final and is never
// retried.
//
// An error means that the outcome of the whole batch is unknown: some of the
// updates may have been applied. Sending the same batch again is always safe,
// because updates are idempotent. The exception is [ErrTooLarge], which is final:
// nothing was applied, and the same update will be refused again.
//
// Apply returns soon after ctx is done. It does not modify the updates, which may
// be shared with other goroutines after the call.
type Applier interface {
	Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)
}

// ApplierFunc makes a function an [Applier].
type ApplierFunc func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error)

// Apply calls f.
func (f ApplierFunc) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	return f(ctx, updates)
}

const (
	// MaxUpdateBytes is the largest size of one update, in bytes of binary
	// Protobuf. It is the same on every wire, so that a change of the mode never
	// changes what is accepted: the update still fits a JSON request of 1 MiB, where
	// its body is in base64, and a Kafka record of 1,000,000 bytes, the default
	// limit of a broker.
	MaxUpdateBytes = 512 << 10
	// MaxBodyBytes is the largest webhook body that fits an update, whatever its
	// other fields hold.
	MaxBodyBytes = MaxUpdateBytes - 8<<10
)

// ErrTooLarge reports an update of more than [MaxUpdateBytes].
var ErrTooLarge error = &InvalidError{
	code:    "body_too_large",
	message: fmt.Sprintf("an update must not exceed %d bytes: send a smaller body", MaxUpdateBytes),
}

var (
	// ErrRaced is returned by [Store.Commit] if the stored state has changed since it was
	// read. Nothing was written: load and judge again.
	ErrRaced = errors.New("another writer was first")
	// ErrNotFound means that there is no such order, dispute or dead letter.
	ErrNotFound = errors.New("not found")
	// ErrUnstorable means that the store refuses one of the values, and will refuse
	// it again. Nothing was written.
	ErrUnstorable = errors.New("the database refuses a value")
	// ErrMisconfigured means that an administrator must act first: the password is
	// wrong, the database, a table or a privilege is missing, or the server may lose what
	// it confirms.
	ErrMisconfigured = errors.New("the database needs its administrator")
)

// Store keeps what the ledger decides. Every implementation passes the suite in
// modules/store/storetest. An error that is none of the above is temporary: the same
// call may succeed later.
//
// The unit of consistency is an aggregate: one order, or one dispute. It has a
// version, which every change increments.
type Store interface {
	// Load reads the stored data that a batch is judged against. It need not read one
	// snapshot of the database, because Commit checks the versions.
	Load(ctx context.Context, lookup Lookup) (*Snapshot, error)
	// History reads the events of orders and disputes that are InHistory, in any order
	// and without raw bodies. It reads at most limit events of each order and dispute.
	History(ctx context.Context, of Subjects, limit int) (*Histories, error)
	// HistoryPage reads a part of one history: about limit of the oldest events whose
	// time is not before from. The events of one instant are all in the same page.
	HistoryPage(ctx context.Context, of Subject, from time.Time, limit int) (*HistoryPage, error)
	// Checkpoint reads the newest checkpoint of an order or dispute whose Before is not
	// after a time. It returns nil if there is none.
	Checkpoint(ctx context.Context, of Subject, notAfter time.Time) (*Checkpoint, error)
	// DeadLetter reads one dead letter, or returns ErrNotFound.
	DeadLetter(ctx context.Context, id int64) (*DeadLetter, error)
	// DeadLettersWith reads the dead letters that have one of the ids, in any order.
	DeadLettersWith(ctx context.Context, ids []int64) ([]*DeadLetter, error)
	// Commit writes the changes in one transaction. If it returns ErrRaced or
	// ErrUnstorable, nothing was written. After any other error, the changes may have
	// been written.
	Commit(ctx context.Context, changes *Changes) error
}

// Subjects names orders and disputes. Neither list has duplicates.
type Subjects struct {
	Orders   []string
	Disputes []DisputeKey
}

func (s Subjects) empty() bool { return len(s.Orders)+len(s.Disputes) == 0 }

// Subject names one order or, if Order is empty, one dispute.
type Subject struct {
	Order   string
	Dispute DisputeKey
}

// Lookup names the keys, orders and disputes of a batch. No list has duplicates.
type Lookup struct {
	Keys []Key
	Subjects
}

// Snapshot holds the stored data of a [Lookup].
type Snapshot struct {
	// Recorded has the keys of the lookup that are recorded.
	Recorded map[Key]Recorded
	Orders   map[string]*Aggregate[Order]
	Disputes map[DisputeKey]*Aggregate[Dispute]
}

// Recorded describes the event that is recorded under a key.
type Recorded struct {
	Facts Digest
	// Body is the digest of the body if an older release recorded the event, which read
	// fewer fields than this one. It is nil otherwise.
	Body *Digest
	// InHistory reports whether the event is part of the history of its order or
	// dispute.
	InHistory bool
}

// Histories holds the events of aggregates.
type Histories struct {
	Orders   map[string][]*Event
	Disputes map[DisputeKey][]*Event
}

// HistoryPage is a part of the history of one order or dispute.
type HistoryPage struct {
	// Events are InHistory, in any order, and without raw bodies.
	Events []*Event
	// Next is the time of the first event after this page; zero if there is none.
	Next time.Time
}

// Checkpoint is the state after a part of a history. It saves reading that part again. A
// store may lose checkpoints, because they can be computed from the history.
type Checkpoint struct {
	// Before is the end of the part, which has the events before this time.
	Before time.Time
	// State is the order or dispute after those events, in a text form that only this
	// package reads.
	State string
	// Rules is the version of the rules that the state was folded by.
	Rules int
}

// Checkpoints holds changes of the checkpoints of one order or dispute.
type Checkpoints struct {
	Of Subject
	// If Replace is set, the checkpoints after From, up to and including To, are removed
	// first. A zero From or To sets no limit.
	Replace  bool
	From, To time.Time
	New      []Checkpoint
}

// Rules is the version of the rules of orders and disputes. An aggregate that was
// folded by older rules is folded again before anything is added to it.
const Rules = 2

// Aggregate is an order or a dispute, as stored.
type Aggregate[S any] struct {
	// Version is the number of commits that changed the aggregate; 0 if it is not
	// stored yet.
	Version int64
	// State is the state after all events of the history.
	State S
	// Head is the position of the newest event, including refused ones.
	Head Position
	// Rules is the version of the rules that the history was folded by.
	Rules int
	// Events is the number of events in the history. It is valid only if Rules is the
	// current version, and may be too low for a long history.
	Events int
	// Pending is the time from which on the history must still be folded again; zero if
	// it is folded. There is a checkpoint at that time, and State is not up to date.
	Pending time.Time
}

// Changes holds everything that one batch writes.
type Changes struct {
	// Orders and Disputes hold the version that was read, and the state to store
	// under the next version. They are sorted by id and by key, so that all writers
	// lock in the same order. If a version has changed, Commit returns ErrRaced.
	Orders   []*Aggregate[Order]
	Disputes []*Aggregate[Dispute]
	// Events are new. If a key already exists, Commit returns ErrRaced.
	Events []*Event
	// Revised events are already stored. Their Verdict, Reason, Forced and Discarded
	// change, and so does InHistory.
	Revised []*Event
	// DeadLetters are new or were delivered again. If the key and digest exist, the
	// deliveries are added, and the dead letter is opened again with the new reason,
	// unless an operator accepted or discarded it. None is listed twice or is also in
	// Settled.
	DeadLetters []*DeadLetter
	// Settled dead letters no longer need an operator.
	Settled []Settlement
	// Checkpoints has the changes of checkpoints, sorted like orders and disputes.
	Checkpoints []*Checkpoints
	// Audit has new entries of the audit log.
	Audit []*AuditEntry
}

func (c *Changes) empty() bool {
	return len(c.Orders)+len(c.Disputes)+len(c.Events)+len(c.Revised)+len(c.DeadLetters)+len(c.Settled)+len(c.Audit) == 0
}
