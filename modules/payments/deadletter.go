package payments

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
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
	// Digest is the digest of the facts, or of the payload if there is no event.
	Key    Key
	Digest Digest
	Reason payrelayv1.DeadLetterReason
	// Detail explains the reason to an operator.
	Detail string
	// OrderID and DisputeID are empty if they are unknown.
	OrderID   string
	DisputeID string
	// Payload is the update in binary Protobuf, without the body if the event holds it,
	// or the value of the Kafka record.
	Payload   []byte
	CreatedAt time.Time
	// Deliveries is the number of times that these facts were refused. LastAt is the
	// time of the last delivery.
	Deliveries int64
	LastAt     time.Time
	// The fields below are zero while the dead letter is open. By and Why are the name
	// and the reason that an operator gave; empty if it was settled without one.
	Resolution Resolution
	ResolvedAt time.Time
	By, Why    string
}

// subject returns the order or dispute that the dead letter names.
func (l *DeadLetter) subject() Subject {
	if l.Key.Kind == KindDispute {
		return Subject{Dispute: DisputeKey{l.Key.Source, l.DisputeID}}
	}
	return Subject{Order: l.OrderID}
}

// Settlement closes the open dead letter with a key and digest. If the dead letter is
// already settled, [Store.Commit] returns ErrRaced, because another operator was first; but
// if the resolution is Reapplied, nothing changes.
type Settlement struct {
	Key        Key
	Digest     Digest
	Resolution Resolution
	At         time.Time
	// By and Why are the name and the reason that an operator gave.
	By, Why string
}

// Resolution is how a dead letter was settled.
type Resolution string

const (
	// Reapplied means that the history changed and the update is legal now.
	Reapplied Resolution = "reapplied"
	// Replayed means that an operator replayed the update and it was recorded.
	Replayed Resolution = "replayed"
	// Accepted means that an operator applied the update although it contradicts the
	// history.
	Accepted Resolution = "accepted"
	// Discarded means that an operator settled the update without applying it.
	Discarded Resolution = "discarded"
)

// Decision is what an operator decided about dead letters.
type Decision struct {
	// Resolution is Replayed, Accepted or Discarded.
	//
	// A replay judges a dead letter again. It succeeds if the reason no longer applies: the
	// future time has passed, this release knows the status, or the rules have changed.
	// Otherwise the dead letter stays open.
	//
	// An accepted dead letter is applied although it contradicts the history. Its snapshot
	// takes effect at its own position in the history, regardless of later updates. A dead
	// letter in conflict with a recorded event becomes a second event. One with an unknown
	// status is not changed.
	//
	// A discarded dead letter is settled without being applied. Its event leaves the
	// history for good: a redelivery is a duplicate. Discarding it twice does nothing.
	Resolution Resolution
	// By is the name of the operator, and Why the reason.
	By, Why string
	// Dry means that the decision is only judged, for each dead letter alone, and nothing
	// is written.
	Dry bool
}

// Decided is the result of a decision about one dead letter.
type Decided struct {
	ID int64
	// Outcome is the new verdict. It is nil if the dead letter was discarded, or if Err is
	// not nil.
	Outcome *payrelayv1.Outcome
	// Err is the reason why nothing was done: [ErrNotFound]; [ErrSettled] if an operator
	// accepted or discarded it, or settled it before an Accepted or a Discarded;
	// [ErrNotJudgeable] unless the decision needs no update; [ErrPanic]; or
	// [ErrUnstorable]. It is nil otherwise.
	Err error
}

const noReason = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSPECIFIED

// How to settle dead letters. The id replaces ID.
const (
	settleByChoice       = "If the provider confirms it: app deadletters accept ID --why \"...\". Otherwise: app deadletters discard ID --why \"...\"."
	settleByReplay       = "To judge it again: app deadletters replay ID --why \"...\". To drop it: app deadletters discard ID --why \"...\"."
	settleByUpgrade      = "Install a release that knows it, then: app deadletters replay ID --why \"...\". To drop it: app deadletters discard ID --why \"...\"."
	settleBySendingAgain = "Correct the cause, have the provider send the webhook again, and then: app deadletters discard ID --why \"...\"."
)

// reasons holds the properties of each reason.
var reasons = map[payrelayv1.DeadLetterReason]struct {
	// detail explains the reason to an operator.
	detail string
	// inHistory reports whether the event stays in its history. A later update can make
	// it legal.
	inHistory bool
	// whole reports whether the payload is the whole update or record, because there is
	// no event.
	whole bool
	// settle tells an operator how to settle the dead letter, whose id replaces ID.
	settle string
}{
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION: {
		detail: "it contradicts the history of its order or dispute, and choosing wrongly would hide money", inHistory: true, settle: settleByChoice},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION: {
		detail: "an earlier release refused this status; it is judged again with the next update, or by replay", inHistory: true, settle: settleByReplay},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH: {
		detail: "its currency is not the one that the order captured", inHistory: true, settle: settleByChoice},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT: {
		detail: "other facts were recorded under the same source, kind and event id before", settle: settleByChoice},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME: {
		detail: "it happened more than a day ahead of this system's clock", settle: "When that time has come: app deadletters replay ID --why \"...\". If the clock of the provider was wrong: app deadletters accept ID --why \"...\"."},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS: {
		detail: "the provider's status is not one that this release knows", settle: settleByUpgrade},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH: {
		detail: "its dispute belongs to another order", inHistory: true, settle: settleByChoice},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA: {
		detail: "schema version %d is newer than this release, which knows up to %d", whole: true, settle: settleByUpgrade},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE: {
		detail: "%s", whole: true, settle: settleBySendingAgain},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE: {
		detail: "%s", whole: true, settle: settleByReplay},
	payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_WRONG_ENVIRONMENT: {
		detail: "it is a test event at a source of live ones, or the reverse: correct the environment of the source, or the endpoint at the provider", whole: true, settle: settleBySendingAgain},
}

// newDeadLetter returns the dead letter of a refused event. The payload has the body
// unless the recorded event has it.
func newDeadLetter(e *Event, payload *payrelayv1.Update, now time.Time) *DeadLetter {
	return &DeadLetter{
		Key: e.Key, Digest: e.Facts, Reason: e.Reason, Detail: reasons[e.Reason].detail,
		OrderID: e.Update.GetOrderId(), DisputeID: e.Dispute().ID,
		Payload: marshalUpdate(payload), CreatedAt: now, Deliveries: 1, LastAt: now,
	}
}

// withoutBody returns the update without the body, which its event holds.
func withoutBody(u *payrelayv1.Update) *payrelayv1.Update {
	bare := proto.CloneOf(u)
	bare.RawBody, bare.BodySha256 = nil, nil
	return bare
}

// unreadable returns the dead letter of an update that cannot be judged, because it has
// a newer schema, is not well-formed or has no subject. It returns nil for every other
// update.
func unreadable(u *payrelayv1.Update, now time.Time) *DeadLetter {
	if err := Validate(u); err != nil {
		return wholeLetter(u, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE, now, err)
	}
	if unknownSchema(u) {
		return wholeLetter(u, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA, now, u.GetSchemaVersion(), SchemaVersion)
	}
	if IsUnreadable(u) {
		return unreadableBody(u, now)
	}
	return nil
}

// wholeLetter returns a dead letter that holds the whole update in its payload.
func wholeLetter(u *payrelayv1.Update, reason payrelayv1.DeadLetterReason, now time.Time, detail ...any) *DeadLetter {
	return &DeadLetter{
		Key: storableKey(u), Digest: wholeDigest(u), Reason: reason,
		Detail:  PlainText(fmt.Sprintf(reasons[reason].detail, detail...)),
		Payload: marshalUpdate(u), CreatedAt: now, Deliveries: 1, LastAt: now,
	}
}

// undecodable returns the dead letter of a Kafka record that is not an update.
func undecodable(r *payrelayv1.UndecodableRecord, now time.Time) *DeadLetter {
	return &DeadLetter{
		Key: Key{
			Source:  fmt.Sprintf("%s/%d", r.GetTopic(), r.GetPartition()),
			EventID: strconv.FormatInt(r.GetOffset(), 10),
		},
		Digest:    sha256.Sum256(r.GetValue()),
		Reason:    payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE,
		Detail:    PlainText("the Kafka record is not an update: " + r.GetDetail()),
		Payload:   r.GetValue(),
		CreatedAt: now, Deliveries: 1, LastAt: now,
	}
}

// storableKey returns the key of an update, or an empty key if a store cannot keep it.
func storableKey(u *payrelayv1.Update) Key {
	key := keyOf(u)
	if validateID("provider", key.Source, true) != nil || validateID("event_id", key.EventID, true) != nil {
		return Key{}
	}
	return key
}

// ErrPanic means that the code that judges updates panicked, which is a defect of this
// release. A later release may judge the update.
var ErrPanic = errors.New("judging it panics, which is a defect of this release")

// Panic is a panic while updates were judged.
type Panic struct {
	// Key is the key of the update that became a dead letter. It is zero if all updates
	// were recorded, and the panic was in the rest of a long history.
	Key Key
	// Text is the text of the panic. It has no number that is as long as that of a card.
	Text  string
	Stack []byte
}

// OnPanic sets the function that is called with each panic that the ledger recovered
// from. It must be called before the first update is applied.
func (l *Ledger) OnPanic(report func(Panic)) { l.report = report }

// panicError is a panic of the code that judges updates.
type panicError struct {
	text  string
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("%v: %s", ErrPanic, e.text) }

// Unwrap returns ErrPanic.
func (e *panicError) Unwrap() error { return ErrPanic }

// guard calls judge, and returns a panic in it as a panicError. The functions that are
// guarded compute and call no store: a store that panics may have left a connection
// within a transaction, and only a restart is safe.
func guard(judge func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{panicText(p), debug.Stack()}
		}
	}()
	judge()
	return nil
}

// longNumber is a number that may be that of a card.
var longNumber = regexp.MustCompile(`[0-9](?:[ -]?[0-9]){11,}`)

// panicText returns the text of a panic. The value of a panic may be a part of an update,
// so other values than errors and texts are named by their type.
func panicText(p any) string {
	var text string
	switch p := p.(type) {
	case runtime.Error:
		return PlainText(p.Error())
	case error:
		text = p.Error()
	case string:
		text = p
	default:
		text = fmt.Sprintf("a value of type %T", p)
	}
	return PlainText(longNumber.ReplaceAllString(text, "[number]"))
}
