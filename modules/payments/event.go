package payments

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// Kind is the kind of subject that an update has.
type Kind string

const (
	KindOrder   Kind = "order"
	KindDispute Kind = "dispute"
	KindNote    Kind = "note"
)

// kindOf returns the kind of an update, or "" if it has no subject.
func kindOf(u *payrelayv1.Update) Kind {
	switch u.GetSubject().(type) {
	case *payrelayv1.Update_Order:
		return KindOrder
	case *payrelayv1.Update_Dispute:
		return KindDispute
	case *payrelayv1.Update_Note:
		return KindNote
	default:
		return ""
	}
}

// Key is the idempotency key of an update. It is recorded in the same transaction
// as the effect of the update, and kept forever.
type Key struct {
	// Source is the configured name of the source, from Update.provider.
	Source  string
	Kind    Kind
	EventID string
}

func keyOf(u *payrelayv1.Update) Key {
	return Key{Source: u.GetProvider(), Kind: kindOf(u), EventID: u.GetEventId()}
}

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// Event is a recorded update: an entry in the history of its order or dispute.
type Event struct {
	Key Key
	// Facts is the digest that [FactsDigest] returns. An update with the same key and
	// other facts is a conflict.
	Facts Digest
	// Update is the recorded update. Its times have a precision of one microsecond. A
	// history that is read to be folded has no RawBody.
	Update *payrelayv1.Update
	// Forced means that an operator accepted the update although it contradicts the
	// history.
	Forced bool
	// Discarded means that an operator removed the event from the history. Its key
	// stays recorded.
	Discarded bool
	// Verdict is APPLIED, STALE or DEAD_LETTERED. Reason is set only with
	// DEAD_LETTERED.
	Verdict    payrelayv1.Verdict
	Reason     payrelayv1.DeadLetterReason
	RecordedAt time.Time
}

// newEvent returns the event of a valid update, without a verdict.
func newEvent(u *payrelayv1.Update, now time.Time) *Event {
	return &Event{Key: keyOf(u), Facts: FactsDigest(u), Update: u, RecordedAt: now}
}

// Dispute returns the key of the dispute that the event is about, or a zero key for
// an event about an order or a note.
func (e *Event) Dispute() DisputeKey {
	if e.Key.Kind != KindDispute {
		return DisputeKey{}
	}
	return disputeKey(e.Update)
}

// subject returns the order or dispute that the event is about; zero for a note.
func (e *Event) subject() Subject {
	switch e.Key.Kind {
	case KindOrder:
		return Subject{Order: e.Update.GetOrderId()}
	case KindDispute:
		return Subject{Dispute: e.Dispute()}
	default:
		return Subject{}
	}
}

// InHistory reports whether the event is part of the history from which its order or
// dispute is folded. A refused event is, if a later update can make it legal and no
// operator discarded it.
func (e *Event) InHistory() bool {
	return e.Key.Kind != KindNote && !e.Discarded && (!e.refused() || reasons[e.Reason].inHistory)
}

func (e *Event) refused() bool { return e.Verdict == payrelayv1.Verdict_VERDICT_DEAD_LETTERED }

func (e *Event) refuse(reason payrelayv1.DeadLetterReason) {
	e.Verdict, e.Reason = payrelayv1.Verdict_VERDICT_DEAD_LETTERED, reason
}

// position returns the event's position in its history. It does not depend on the order
// of arrival.
func (e *Event) position() Position {
	if e.Key.Kind == KindDispute {
		return disputePosition(e.Update, e.Key)
	}
	return orderPosition(e.Update, e.Key)
}

// Position orders the events of a history. The first field that differs decides.
type Position struct {
	// At is the provider's time.
	At time.Time
	// Stage is the stage of a dispute. A higher stage of the same instant is later.
	Stage int
	// Rank is the rank of the status; 0 for an unknown status.
	Rank int
	// Refunded and Captured are the totals that an order's snapshot states, in minor
	// units. The larger total is later, because running totals rise.
	Refunded, Captured int64
	// EventID and Source make the order total.
	EventID, Source string
}

// After reports whether p comes after q.
func (p Position) After(q Position) bool { return p.compare(q) > 0 }

func (p Position) compare(q Position) int {
	return cmp.Or(p.At.Compare(q.At), cmp.Compare(p.Stage, q.Stage), cmp.Compare(p.Rank, q.Rank),
		cmp.Compare(p.Refunded, q.Refunded), cmp.Compare(p.Captured, q.Captured),
		strings.Compare(p.EventID, q.EventID), strings.Compare(p.Source, q.Source))
}

// FactsDigest returns the SHA-256 of the facts of an update in a canonical form: kind,
// order, dispute, part, status, stage, the values of amounts, reason and deadline, and
// the kind and text of a note. It does not depend on times, the user or the form of the
// body, which a provider may change in a redelivery.
func FactsDigest(u *payrelayv1.Update) Digest {
	facts := make([]byte, 0, 256)
	add := func(fact string) {
		facts = binary.AppendUvarint(facts, uint64(len(fact)))
		facts = append(facts, fact...)
	}
	money := func(m *payrelayv1.Money) {
		if m == nil {
			add("")
		} else {
			add(moneyOf(m).canonical())
		}
	}
	add(string(kindOf(u)))
	add(u.GetOrderId())
	switch s := u.GetSubject().(type) {
	case *payrelayv1.Update_Order:
		add(statusFact(OrderStatuses, s.Order.GetStatus(), s.Order.GetProviderStatus()))
		add(s.Order.GetPart())
		money(s.Order.GetAmount())
		money(s.Order.GetAuthorized())
		money(s.Order.GetCaptured())
		money(s.Order.GetRefunded())
	case *payrelayv1.Update_Dispute:
		add(disputeKey(u).ID) // stores keep this id if the update has none
		add(statusFact(DisputeStatuses, s.Dispute.GetStatus(), s.Dispute.GetProviderStatus()))
		add(DisputeStages.Name(s.Dispute.GetStage()))
		if s.Dispute.GetAmount().GetMinorUnits() != 0 {
			money(s.Dispute.GetAmount())
		} else {
			add("")
		}
		money(s.Dispute.GetOutcomeAmount())
		add(strings.TrimSpace(s.Dispute.GetReason()))
		if due := timeOf(s.Dispute.GetEvidenceDueAt()); due.IsZero() {
			add("")
		} else {
			add(due.UTC().Format(time.RFC3339Nano))
		}
	case *payrelayv1.Update_Note:
		add(s.Note.GetDisputeId())
		add(s.Note.GetKind())
		add(s.Note.GetText())
	}
	return sha256.Sum256(facts)
}

// statusFact returns the name of a status, or the number and the provider's status if
// this release does not know it.
func statusFact[S ~int32](names Names[S], status S, word string) string {
	if name := names.Name(status); name != "" {
		return name
	}
	return fmt.Sprintf("?%d %s", status, word)
}

// BodyDigest returns the SHA-256 of the raw body of an update.
func BodyDigest(u *payrelayv1.Update) []byte {
	if sum := u.GetBodySha256(); len(sum) == sha256.Size {
		return sum
	}
	sum := sha256.Sum256(u.GetRawBody())
	return sum[:]
}

// wholeDigest returns the digest of the whole update except received_at, request_id and
// traceparent, which differ in every delivery.
func wholeDigest(u *payrelayv1.Update) Digest {
	stated := proto.CloneOf(u)
	if stated != nil {
		stated.ReceivedAt, stated.RequestId, stated.Traceparent = nil, "", ""
	}
	return sha256.Sum256(marshalUpdate(stated))
}

// marshalUpdate returns the update as binary Protobuf. Marshalling fails only for text
// that is not UTF-8, which a received update cannot contain. If an update that
// this process built contains some, marshalUpdate returns the raw body.
func marshalUpdate(u *payrelayv1.Update) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(u)
	if err != nil {
		return u.GetRawBody()
	}
	return data
}
