package payments

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// DeadLetter is an update, or a Kafka record that is not one, which was accepted
// but cannot be applied. It waits for an operator.
type DeadLetter struct {
	// ID is assigned by the store; it is 0 before.
	ID int64
	// Key is the key of the update. A Kafka record that is not an update has its
	// topic/partition and its offset instead. Key and Digest identify a dead letter.
	Key    Key
	Digest Digest
	Reason payrelayv1.DeadLetterReason
	// Detail explains the reason to an operator.
	Detail string
	// OrderID and DisputeID are empty if they are not known.
	OrderID   string
	DisputeID string
	// Payload is the binary Update, without the body if the event holds that, or
	// the value of the Kafka record.
	Payload   []byte
	CreatedAt time.Time
	// Resolution and ResolvedAt are zero while the dead letter is open.
	Resolution Resolution
	ResolvedAt time.Time
}

// Settlement closes the dead letter with a key and digest if it is open, or if an
// operator has discarded it: its update has been applied after all, and the dead
// letter must not contradict that.
type Settlement struct {
	Key        Key
	Digest     Digest
	Resolution Resolution
	At         time.Time
}

// Resolution is how a dead letter was settled.
type Resolution string

const (
	// Reapplied means that the history changed and the update fits into it now.
	Reapplied Resolution = "reapplied"
	// Replayed means that an operator had the update judged again, and it was
	// recorded.
	Replayed Resolution = "replayed"
	// Discarded means that an operator decided that the update does not matter.
	Discarded Resolution = "discarded"
)

const noReason = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSPECIFIED

// reasons holds what is specific to each reason for a dead letter.
var reasons = map[payrelayv1.DeadLetterReason]struct {
	// detail explains the reason to the operator who has to decide.
	detail string
	// inHistory reports whether the event stays in its history, where later updates
	// can make it legal.
	inHistory bool
	// whole reports whether the dead letter holds the whole update or record in its
	// payload, because there is no event.
	whole bool
}{
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION: {
		detail: "the history of its order or dispute does not allow this status at this time", inHistory: true},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH: {
		detail: "its currency is not the one that its order or dispute already has", inHistory: true},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT: {
		detail: "another body was recorded under the same provider and event id before"},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME: {
		detail: "it happened more than a day ahead of this system's clock"},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS: {
		detail: "the provider's status is not one that this release knows"},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH: {
		detail: "its dispute belongs to another order"},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA: {
		detail: "schema version %d is newer than this release, which knows up to %d", whole: true},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE: {
		detail: "%s", whole: true},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE: {
		detail: "%s", whole: true},
}

// newDeadLetter returns the dead letter of an event that was refused. The payload
// has the body unless the recorded event has it.
func newDeadLetter(e *Event, payload *payrelayv1.Update, now time.Time) *DeadLetter {
	return &DeadLetter{
		Key: e.Key, Digest: e.Digest, Reason: e.Reason, Detail: reasons[e.Reason].detail,
		OrderID: e.Update.GetOrderId(), DisputeID: e.DisputeID(),
		Payload: binary(payload), CreatedAt: now,
	}
}

// withoutBody returns the update without the body, which its event holds.
func withoutBody(u *payrelayv1.Update) *payrelayv1.Update {
	bare := proto.CloneOf(u)
	bare.RawBody, bare.BodySha256 = nil, nil
	return bare
}

// unreadable returns the dead letter of an update that cannot be judged, because
// it has a newer schema or is not well-formed; nil for every other update.
func unreadable(u *payrelayv1.Update, now time.Time) *DeadLetter {
	if err := Validate(u); err != nil {
		return wholeLetter(u, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE, now, err)
	}
	if unknownSchema(u) {
		return wholeLetter(u, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA, now, u.GetSchemaVersion(), SchemaVersion)
	}
	return nil
}

// unstorable returns the dead letter of an update with a value that the store
// refuses.
func unstorable(u *payrelayv1.Update, refusal error, now time.Time) *DeadLetter {
	return wholeLetter(u, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE, now, refusal)
}

// wholeLetter returns a dead letter that holds the whole update in its payload.
func wholeLetter(u *payrelayv1.Update, reason payrelayv1.DeadLetterReason, now time.Time, detail ...any) *DeadLetter {
	return &DeadLetter{
		Key: storableKey(u), Digest: wholeDigest(u), Reason: reason,
		Detail:  PlainText(fmt.Sprintf(reasons[reason].detail, detail...)),
		Payload: binary(u), CreatedAt: now,
	}
}

// undecodable returns the dead letter of a Kafka record that is not an update.
func undecodable(r *payrelayv1.UndecodableRecord, now time.Time) *DeadLetter {
	return &DeadLetter{
		Key: Key{
			Provider: fmt.Sprintf("%s/%d", r.GetTopic(), r.GetPartition()),
			EventID:  strconv.FormatInt(r.GetOffset(), 10),
		},
		Digest:    sha256.Sum256(r.GetValue()),
		Reason:    payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE,
		Detail:    PlainText("the Kafka record is not an update: " + r.GetDetail()),
		Payload:   r.GetValue(),
		CreatedAt: now,
	}
}

// storableKey returns the key of an update if every store can keep it, and an
// empty key otherwise.
func storableKey(u *payrelayv1.Update) Key {
	key := Key{Provider: u.GetProvider(), EventID: u.GetEventId()}
	if validateID("provider", key.Provider, true) != nil || validateID("event_id", key.EventID, true) != nil {
		return Key{}
	}
	return key
}
