package payments

import (
	"maps"
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// maxAhead is how far ahead of our clock an update may have happened. One from
// the far future would be the newest for ever.
const maxAhead = 24 * time.Hour

// book is one attempt at judging a batch against what the store said. Judging
// is pure: the same book always comes to the same changes.
type book struct {
	now     time.Time
	stored  *Snapshot
	history map[string][]*Event

	pages map[string]*page
	// recorded and owners are the snapshot's, plus what this batch adds.
	recorded map[Key]Recorded
	owners   map[string]string
	// arrived are the new events in the sequence in which they came, which is
	// that of recording them: one page's history has another.
	arrived []*Event
	// apart are events outside of every history.
	apart []*entry
	// letters are dead letters that no event goes with, each once.
	letters  []*DeadLetter
	lettered map[letterID]bool
	// settled are dead letters that could not be read before, and replaying is
	// the key that an operator asked for.
	settled   []Settlement
	replaying Key
	// missing are the orders that cannot be judged without their history.
	missing map[string]bool
}

func newBook(stored *Snapshot, history map[string][]*Event, now time.Time) *book {
	b := &book{
		now: now, stored: stored, history: history,
		pages:    make(map[string]*page),
		recorded: make(map[Key]Recorded),
		owners:   make(map[string]string),
		lettered: make(map[letterID]bool),
		missing:  make(map[string]bool),
	}
	maps.Copy(b.recorded, stored.Recorded)
	maps.Copy(b.owners, stored.DisputeOrders)
	return b
}

// judge decides on one event, with regard to all that were judged before it.
// The verdict is written into the event, and may be revised by a later one.
func (b *book) judge(e *Event) {
	known, seen := b.recorded[e.Key]
	switch {
	case seen && known.Digest == e.Digest:
		e.Verdict = payrelayv1.Verdict_VERDICT_DUPLICATE
	case seen:
		b.refuse(e, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT)
		b.letter(newDeadLetter(e, e.Update, b.now))
	default:
		b.record(freshEntry(e))
	}
}

// record gives an event its place: in the history of its order, or apart.
func (b *book) record(e *entry) {
	if e.was == nil {
		b.arrived = append(b.arrived, e.Event)
	}
	if reason := b.unfit(e.Event); reason != noReason {
		b.refuse(e.Event, reason)
		b.apart = append(b.apart, e)
	} else {
		b.page(e.Update.GetOrderId()).record(e)
	}
	b.recorded[e.Key] = Recorded{Digest: e.Digest, InHistory: e.InHistory()}
}

// letter notes a dead letter, once however often it is in the batch: a database
// cannot write one row twice in one statement.
func (b *book) letter(l *DeadLetter) {
	if id := (letterID{l.Key, l.Digest}); !b.lettered[id] {
		b.lettered[id] = true
		b.letters = append(b.letters, l)
	}
}

// letterID names a dead letter once and for all.
type letterID struct {
	key    Key
	digest Digest
}

func (b *book) refuse(e *Event, reason payrelayv1.DeadLetterReason) {
	e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_DEAD_LETTERED, reason
}

// unfit says why an event cannot be a part of any history.
func (b *book) unfit(e *Event) payrelayv1.DeadLetterReason {
	at := e.position()
	switch {
	case at.Rank == 0:
		return payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS
	case at.At.After(b.now.Add(maxAhead)):
		return payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME
	case e.IsDispute() && !b.owns(e.Update.GetOrderId(), e.DisputeID()):
		return payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH
	default:
		return noReason
	}
}

// owns says whether a dispute is the order's; nobody's becomes the order's.
func (b *book) owns(orderID, dispute string) bool {
	if owner, taken := b.owners[dispute]; taken {
		return owner == orderID
	}
	b.owners[dispute] = orderID
	return true
}

func (b *book) page(orderID string) *page {
	if p, open := b.pages[orderID]; open {
		return p
	}
	stored := b.stored.Aggregates[orderID]
	history, loaded := b.history[orderID]
	loaded = loaded || stored == nil // a new order has no history to load
	p := newPage(orderID, stored, history, loaded, func() { b.missing[orderID] = true })
	b.pages[orderID] = p
	return p
}

// changes is what the judged batch writes.
func (b *book) changes() *Changes {
	c := &Changes{Events: b.arrived, DeadLetters: b.letters, Settled: b.settled}
	for _, e := range b.apart {
		b.write(c, e)
	}
	for _, orderID := range slices.Sorted(maps.Keys(b.pages)) {
		p := b.pages[orderID]
		c.Aggregates = append(c.Aggregates, p.aggregate())
		for e := range p.entries() {
			b.write(c, e)
		}
	}
	return c
}

// write notes what is to be stored about a judged event, if anything is.
func (b *book) write(c *Changes, e *entry) {
	switch {
	case e.was == nil: // one that arrived
	case e.was.reason != e.Reason || e.was.verdict != e.Verdict:
		c.Revised = append(c.Revised, e.Event)
	default:
		return
	}
	wasRefused := e.was != nil && e.was.verdict == payrelayv1.Verdict_VERDICT_DEAD_LETTERED
	if e.refused() {
		c.DeadLetters = append(c.DeadLetters, newDeadLetter(e.Event, withoutBody(e.Update), b.now))
	} else if wasRefused {
		c.Settled = append(c.Settled, Settlement{Key: e.Key, Digest: e.Digest, Resolution: b.resolution(e), At: b.now})
	}
}

func (b *book) resolution(e *entry) Resolution {
	if e.Key == b.replaying {
		return Replayed
	}
	return Reapplied
}

// withoutBody leaves out what the event keeps already.
func withoutBody(u *payrelayv1.Update) *payrelayv1.Update {
	bare := proto.CloneOf(u)
	bare.RawBody, bare.BodySha256 = nil, nil
	return bare
}
