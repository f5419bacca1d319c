package payments

import (
	"cmp"
	"crypto/sha256"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// Key is the idempotency key of an update. It is recorded in the same transaction
// as the effect of the update, and kept forever.
type Key struct{ Provider, EventID string }

// Digest is a SHA-256. Two updates with the same key and different digests are a
// conflict.
type Digest [sha256.Size]byte

// Event is a recorded update: an entry in the history of its order.
type Event struct {
	Key    Key
	Digest Digest
	// Update holds what was reported. Its times have a precision of one microsecond.
	// RawBody is absent where a history is read only to be folded.
	Update *payrelayv1.Update
	// Verdict is APPLIED, STALE or DEAD_LETTERED. Reason is set only with
	// DEAD_LETTERED.
	Verdict    payrelayv1.Verdict
	Reason     payrelayv1.DeadLetterReason
	RecordedAt time.Time
}

// newEvent returns the event of a valid update that has yet to be judged.
func newEvent(u *payrelayv1.Update, now time.Time) *Event {
	return &Event{
		Key:        Key{Provider: u.GetProvider(), EventID: u.GetEventId()},
		Digest:     digestOf(u),
		Update:     u,
		RecordedAt: now,
	}
}

// IsDispute reports whether the event is about a dispute of its order, and not
// about the order itself.
func (e *Event) IsDispute() bool { return e.Update.GetDispute() != nil }

// DisputeID returns the id of the dispute that the event is about. It is empty for
// an event about an order.
func (e *Event) DisputeID() string {
	if !e.IsDispute() {
		return ""
	}
	return disputeID(e.Update)
}

// InHistory reports whether the event takes part in the fold of its order's
// history. A step that was refused does, because an update that arrives later can
// make it legal.
func (e *Event) InHistory() bool {
	return !e.refused() || reasons[e.Reason].inHistory
}

func (e *Event) refused() bool { return e.Verdict == payrelayv1.Verdict_VERDICT_DEAD_LETTERED }

func (e *Event) refuse(reason payrelayv1.DeadLetterReason) {
	e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_DEAD_LETTERED, reason
}

// position returns the event's place in its history, which does not depend on
// when the event arrived.
func (e *Event) position() Position {
	rank := orderRank(e.Update.GetOrder().GetStatus())
	if e.IsDispute() {
		rank = disputeRank(e.Update.GetDispute().GetStatus())
	}
	return Position{At: timeOf(e.Update.GetOccurredAt()), Rank: rank, EventID: e.Key.EventID}
}

// Position orders a history: by the provider's time; at the same time, because
// some clocks only count seconds, by the rank of the status; and then by the id of
// the event.
type Position struct {
	At      time.Time
	Rank    int
	EventID string
}

// After reports whether p comes after q. Of two events with the same position,
// from two providers, neither comes after the other.
func (p Position) After(q Position) bool { return p.compare(q) > 0 }

func (p Position) compare(q Position) int {
	return cmp.Or(p.At.Compare(q.At), cmp.Compare(p.Rank, q.Rank), cmp.Compare(p.EventID, q.EventID))
}

// digestOf returns the digest of the update's body or, if it has none, of the
// update itself.
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

// wholeDigest returns the digest of the whole update except the time of its
// receipt, which differs when the same update is received again.
func wholeDigest(u *payrelayv1.Update) Digest {
	stated := proto.CloneOf(u)
	if stated != nil {
		stated.ReceivedAt = nil
	}
	return sha256.Sum256(binary(stated))
}

// binary returns the update as binary Protobuf. Marshalling fails only for text
// that is not UTF-8, which a received update cannot contain. If an update that
// this process built contains some, binary returns the raw body.
func binary(u *payrelayv1.Update) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(u)
	if err != nil {
		return u.GetRawBody()
	}
	return data
}
