package payments

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// details says in words what each reason means to the operator who has to
// decide.
var details = map[payrelayv1.DeadLetterReason]string{
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION: "the history of its order or dispute does not allow this status at this time",
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT:           "another body was recorded under the same provider and event id before",
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME:        "it happened more than a day ahead of this system's clock",
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS:     "the provider's status is not one that this release knows",
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH:  "its currency is not the one that its order or dispute already has",
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH:     "its dispute belongs to another order",
}

// newDeadLetter is the dead letter of an event that was refused.
func newDeadLetter(e *Event, payload *payrelayv1.Update, now time.Time) *DeadLetter {
	return &DeadLetter{
		Key: e.Key, Digest: e.Digest, Reason: e.Reason, Detail: details[e.Reason],
		OrderID: e.Update.GetOrderId(), DisputeID: e.DisputeID(),
		Payload: binary(payload), CreatedAt: now,
	}
}

// unreadable is the dead letter of an update that no rule can be applied to:
// it is of a newer schema, or not well-formed. Otherwise it is nil.
func unreadable(u *payrelayv1.Update, now time.Time) *DeadLetter {
	reason, detail := payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA, ""
	if err := Validate(u); err != nil {
		reason, detail = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE, err.Error()
	} else if !unknownSchema(u) {
		return nil
	} else {
		detail = fmt.Sprintf("schema version %d is newer than this release, which knows up to %d", u.GetSchemaVersion(), SchemaVersion)
	}
	return wholeLetter(u, reason, detail, now)
}

// unstorable is the dead letter of an update with a value that the store refuses.
func unstorable(u *payrelayv1.Update, refusal error, now time.Time) *DeadLetter {
	return wholeLetter(u, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE, PlainText(refusal.Error()), now)
}

// wholeLetter keeps all of an update in its payload, with a digest of that, for
// lack of an event.
func wholeLetter(u *payrelayv1.Update, reason payrelayv1.DeadLetterReason, detail string, now time.Time) *DeadLetter {
	return &DeadLetter{
		Key: readableKey(u), Digest: wholeDigest(u), Reason: reason, Detail: detail,
		Payload: binary(u), CreatedAt: now,
	}
}

// unreadable says that the dead letter's digest is of its payload, for lack of
// an event that could have one.
func (d *DeadLetter) unreadable() bool {
	switch d.Reason {
	case payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA,
		payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE,
		payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE:
		return true
	default:
		return false
	}
}

// readableKey keeps a key only as far as every store can keep it.
func readableKey(u *payrelayv1.Update) Key {
	key := Key{Provider: u.GetProvider(), EventID: u.GetEventId()}
	if validateID("provider", key.Provider, true) != nil || validateID("event_id", key.EventID, true) != nil {
		return Key{}
	}
	return key
}

func undecodable(r *payrelayv1.UndecodableRecord, now time.Time) *DeadLetter {
	return &DeadLetter{
		Key: Key{
			Provider: fmt.Sprintf("%s/%d", r.GetTopic(), r.GetPartition()),
			EventID:  strconv.FormatInt(r.GetOffset(), 10),
		},
		Digest:    sha256.Sum256(r.GetValue()),
		Reason:    payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE,
		Detail:    PlainText("Kafka record that is no update: " + r.GetDetail()),
		Payload:   r.GetValue(),
		CreatedAt: now,
	}
}

// binary can fail only for text that is no UTF-8, which no message that was
// received has, but one that was built in this process might. Its body is then
// what can be kept of it.
func binary(u *payrelayv1.Update) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(u)
	if err != nil {
		return u.GetRawBody()
	}
	return data
}
