package payments

import (
	"cmp"
	"crypto/sha256"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// Key is the idempotency key of an update, recorded for ever in the same
// transaction as its effect.
type Key struct{ Provider, EventID string }

// Digest is the SHA-256 that tells two bodies under one key apart.
type Digest [sha256.Size]byte

// Event is a recorded update: a line in the history of its order.
type Event struct {
	Key    Key
	Digest Digest
	// Update is what was reported; of its times only microseconds count. RawBody
	// is absent where a history is read only to be folded.
	Update *payrelayv1.Update
	// Verdict is APPLIED, STALE or DEAD_LETTERED; Reason goes with the last.
	Verdict    payrelayv1.Verdict
	Reason     payrelayv1.DeadLetterReason
	RecordedAt time.Time
}

// IsDispute says whether the event is about a dispute of its order or about the
// order itself.
func (e *Event) IsDispute() bool { return e.Update.GetDispute() != nil }

// DisputeID is the dispute that the event is about; empty for an order's.
func (e *Event) DisputeID() string {
	if !e.IsDispute() {
		return ""
	}
	return disputeID(e.Update)
}

// InHistory says whether the state of its order is folded from this event too.
// A step that was refused stays in the history, because an update that comes
// late can still make it legal; what never could be judged stays out.
func (e *Event) InHistory() bool {
	return !e.refused() || foldedReason(e.Reason)
}

func (e *Event) refused() bool { return e.Verdict == payrelayv1.Verdict_VERDICT_DEAD_LETTERED }

// foldedReason says whether a dead letter's reason is one that the fold gives.
func foldedReason(r payrelayv1.DeadLetterReason) bool {
	return r == payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION ||
		r == payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
}

// position is the event's place in its history, whenever it arrived.
func (e *Event) position() Position {
	rank := orderRank(e.Update.GetOrder().GetStatus())
	if e.IsDispute() {
		rank = disputeRank(e.Update.GetDispute().GetStatus())
	}
	return Position{At: timeOf(e.Update.GetOccurredAt()), Rank: rank, EventID: e.Key.EventID}
}

// Position orders a history: by the provider's time, then, for clocks that only
// know seconds, by the rank of the status, then by the event's id.
type Position struct {
	At      time.Time
	Rank    int
	EventID string
}

// After says whether p comes after q. Two events of one position (from two
// providers) come after neither.
func (p Position) After(q Position) bool { return p.compare(q) > 0 }

func (p Position) compare(q Position) int {
	return cmp.Or(p.At.Compare(q.At), cmp.Compare(p.Rank, q.Rank), cmp.Compare(p.EventID, q.EventID))
}

// newEvent is an update about to be judged. The update must be valid.
func newEvent(u *payrelayv1.Update, now time.Time) *Event {
	return &Event{
		Key:        Key{Provider: u.GetProvider(), EventID: u.GetEventId()},
		Digest:     digestOf(u),
		Update:     u,
		RecordedAt: now,
	}
}

// digestOf is the digest of the body or, for a caller that has none, of all
// that the update says.
func digestOf(u *payrelayv1.Update) Digest {
	switch {
	case len(u.GetRawBody()) == 0:
		return wholeDigest(u)
	case len(u.GetBodySha256()) == sha256.Size:
		return Digest(u.GetBodySha256())
	default:
		return sha256.Sum256(u.GetRawBody())
	}
}

// wholeDigest is of all that an update says. When it was received does not
// count: received again, it says the same.
func wholeDigest(u *payrelayv1.Update) Digest {
	said := proto.CloneOf(u)
	if said != nil {
		said.ReceivedAt = nil
	}
	return sha256.Sum256(binary(said))
}
