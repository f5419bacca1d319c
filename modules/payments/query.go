package payments

import (
	"fmt"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// MaxPageSize is the largest number of items in one page of a query.
const MaxPageSize = 200

// OrderQuery selects orders in the order in which they were first recorded, which no
// later update changes. An empty list selects all. An order that is known only through
// its disputes is never selected.
type OrderQuery struct {
	OrderIDs []string
	UserIDs  []string
	Statuses []payrelayv1.OrderStatus
	// From (inclusive) and To (exclusive) limit CreatedAt; a zero time sets no limit.
	From, To time.Time
	Page     PageRequest
}

// DisputeQuery selects disputes in the order in which they were first recorded. From and
// To limit OpenedAt; the other fields are as in OrderQuery. A dispute without an applied
// update is never selected.
type DisputeQuery struct {
	Sources    []string
	DisputeIDs []string
	OrderIDs   []string
	UserIDs    []string
	Statuses   []payrelayv1.DisputeStatus
	From, To   time.Time
	// DueFrom (inclusive) and DueTo (exclusive) limit EvidenceDueAt. A dispute without a
	// deadline matches neither.
	DueFrom, DueTo time.Time
	Page           PageRequest
}

// EventQuery selects recorded events, including dead-lettered ones, in the order in
// which they were recorded.
type EventQuery struct {
	// Disputes selects the events of disputes and the notes about them, instead of
	// those of orders.
	Disputes   bool
	Sources    []string
	OrderIDs   []string
	DisputeIDs []string
	UserIDs    []string
	// Kinds holds names of OrderStatuses or DisputeStatuses that events report.
	Kinds []string
	// From (inclusive) and To (exclusive) limit the provider's time of the event.
	From, To time.Time
	Page     PageRequest
}

// DeadLetterQuery selects dead letters by ascending id.
type DeadLetterQuery struct {
	// Reasons selects all reasons if it is empty.
	Reasons []payrelayv1.DeadLetterReason
	Sources []string
	// Kinds selects all kinds if it is empty.
	Kinds      []Kind
	OrderIDs   []string
	DisputeIDs []string
	// From (inclusive) and To (exclusive) limit CreatedAt.
	From, To time.Time
	// Text selects those whose event id, order id, dispute id or detail contains it,
	// ignoring the case of ASCII letters.
	Text string
	// Settled selects settled dead letters as well as open ones.
	Settled bool
	// Descending selects by descending id.
	Descending bool
	// AfterID is the last id of the previous page; 0 for the first page. UpToID is the
	// largest id to select; 0 means no limit.
	AfterID, UpToID int64
	Limit           int
	// WithPayload reads the payloads, of up to [MaxUpdateBytes] each, too.
	WithPayload bool
}

// DeadLetterCount is the number of dead letters with a reason from a source.
type DeadLetterCount struct {
	Reason payrelayv1.DeadLetterReason
	Source string
	Count  int64
}

// AuditQuery selects entries of the audit log, newest first unless Page.Ascending. The
// sequence of an entry is its ID.
type AuditQuery struct {
	// From (inclusive) and To (exclusive) limit At.
	From, To time.Time
	Actions  []string
	OrderIDs []string
	Page     PageRequest
}

// SubjectQuery selects orders and disputes with an event that was recorded from From
// (inclusive) to To (exclusive) and has one of the sources.
type SubjectQuery struct {
	From, To time.Time
	Sources  []string
	OrderIDs []string
	// AfterSequence is Next of the previous page; 0 for the first page.
	AfterSequence int64
	// Limit is the number of events to read for one page.
	Limit int
}

// SubjectPage holds orders and disputes. Each is on one page: that of its first event.
type SubjectPage struct {
	Subjects
	// Next continues after this page; 0 if there are no further events. A page can be
	// empty although Next is not 0.
	Next int64
}

// SourceActivity is what is recorded from a source.
type SourceActivity struct {
	Source string
	// LastEventAt is the time at which its newest event was recorded; zero if it is not
	// among the newest 10,000 events.
	LastEventAt time.Time
	// OpenDeadLetters is the number of open dead letters.
	OpenDeadLetters int64
}

// DisputesDue holds the numbers of open disputes by their deadline for evidence. Evidence
// was submitted for those that are under review or submitted.
type DisputesDue struct {
	// PastDue counts those whose deadline has passed, InDay and InThreeDays those that are
	// due within 24 and within 72 hours. InThreeDays includes InDay.
	PastDue, InDay, InThreeDays int64
}

// PageRequest asks for one page, newest first unless Ascending.
type PageRequest struct {
	// After is the cursor of the last item of the previous page; nil for the first
	// page.
	After     *Cursor
	Ascending bool
	// Limit is between 1 and MaxPageSize.
	Limit int
}

// Cursor is the position of the last item of a page: its number in the order of recording.
type Cursor struct{ Sequence int64 }

// Page holds some of the items that a query selects.
type Page[T any] struct {
	Items []T
	// More reports whether the query selects further items after these.
	More bool
}

// RecordedEvent is an event with its number in the order of recording, and the
// SHA-256 of its body, or of the update if it has no body. Its Update has no RawBody.
type RecordedEvent struct {
	Sequence   int64
	BodySHA256 Digest
	Event
}

// AuditEntry is an action of an operator. It is recorded in the transaction of what the
// action changes, and never changed or removed.
type AuditEntry struct {
	// ID is assigned by the store; it is 0 before.
	ID int64
	At time.Time
	// Who is the name of the token, of the person, or both.
	Who    string
	Action Action
	// Target names what the action is about, for people.
	Target string
	// OrderID is empty if the target belongs to no order.
	OrderID string
	Why     string
	// Before and After are the states of the target in words, such as
	// "open: contradiction" and "accepted: applied".
	Before, After string
}

// Action is a kind of action of an operator.
type Action string

// The actions that the audit log records.
const (
	ActionReplay   Action = "replay"
	ActionAccept   Action = "accept"
	ActionDiscard  Action = "discard"
	ActionReadBody Action = "read_body"
	ActionRederive Action = "rederive"
)

// Flag names an unusual fact about an order or a dispute. It is not an error: the update
// that caused it was applied. Flags are computed when the state is read, and not stored.
type Flag string

const (
	// FlagOverRefunded means that more was refunded than captured.
	FlagOverRefunded Flag = "over_refunded"
	// FlagOverpaid means that more was captured than the amount of the order.
	FlagOverpaid Flag = "overpaid"
	// FlagCurrencyDiffers means that a dispute and its order have different currencies,
	// or that an order has amounts in several currencies. A total then holds only the
	// amounts of one currency.
	FlagCurrencyDiffers Flag = "currency_differs"
	// FlagDisputeExceedsOrder means that the amount at stake exceeds the captured amount
	// of the order, or its amount if nothing is known to be captured.
	FlagDisputeExceedsOrder Flag = "dispute_exceeds_order"
	// FlagCurrencyUnknown means that the currency of an amount is not in the table of ISO
	// 4217. The value of such an amount is unknown if it has no exponent.
	FlagCurrencyUnknown Flag = "currency_unknown"
	// FlagNonStandardExponent means that the exponent of an amount is not that of ISO
	// 4217.
	FlagNonStandardExponent Flag = "non_standard_exponent"
	// FlagReopened means that a dispute was opened again after an outcome.
	FlagReopened Flag = "reopened"
)

// flagSentences explains the flags.
var flagSentences = map[Flag]string{
	FlagOverRefunded:        "The refunded amount is larger than the captured amount.",
	FlagOverpaid:            "The captured amount is larger than the amount of the order.",
	FlagCurrencyDiffers:     "Its amounts are in several currencies, or the currency of the dispute differs from that of the order.",
	FlagDisputeExceedsOrder: "The amount at stake is larger than the captured amount of the order.",
	FlagCurrencyUnknown:     "A currency is not in ISO 4217, so the number of its decimals may be unknown.",
	FlagNonStandardExponent: "An amount has more decimals than its currency.",
	FlagReopened:            "The dispute was opened again after an outcome.",
}

// Target names an event in the audit log, such as `order event "e1" of shop`, after its dead
// letter if the id is not 0: `dead letter 2, order event "e1" of shop`. The key of a dead letter
// that is a Kafka record has no kind.
func (k Key) Target(letter int64) string {
	event := fmt.Sprintf("%s event %q of %s", k.Kind, k.EventID, k.Source)
	if k.Kind == "" {
		event = fmt.Sprintf("%q of %s", k.EventID, k.Source)
	}
	switch {
	case letter == 0:
		return event
	case k == Key{}:
		return fmt.Sprintf("dead letter %d", letter)
	default:
		return fmt.Sprintf("dead letter %d, %s", letter, event)
	}
}

// audit returns the entry of the audit log.
func (o *operation) audit(now time.Time) *AuditEntry {
	entry := &AuditEntry{
		At: now, Who: o.By, Action: actions[o.Resolution], Target: o.letter.Key.Target(o.id), OrderID: o.letter.OrderID, Why: o.Why,
		Before: "open: " + DeadLetterReasons.Name(o.letter.Reason),
	}
	if o.event != nil {
		entry.OrderID = o.event.Update.GetOrderId()
	}
	switch {
	case !o.settled && o.outcome().GetReason() != noReason:
		entry.After = "open: " + DeadLetterReasons.Name(o.event.Reason)
	case !o.settled:
		entry.After = entry.Before
	case o.Resolution == Discarded:
		entry.After = string(Discarded)
	default:
		entry.After = string(o.Resolution) + ": " + o.event.verdictText()
	}
	if o.before != "" {
		entry.Before, entry.After = entry.Before+"; "+o.before, entry.After+"; "+o.after
	}
	return entry
}

var actions = map[Resolution]Action{Replayed: ActionReplay, Accepted: ActionAccept, Discarded: ActionDiscard}

// stateOf returns the state of the order or dispute of an event in words, or "" for a note.
func (b *batch) stateOf(e *Event) string {
	switch e.Key.Kind {
	case KindOrder:
		h := b.order(e.Update.GetOrderId())
		return stateText("order", OrderStatuses.Name(h.State.Status), h.Pending)
	case KindDispute:
		h := b.dispute(e.Dispute())
		return stateText("dispute", DisputeStatuses.Name(h.State.Status), h.Pending)
	default:
		return ""
	}
}

func stateText(kind, status string, pending time.Time) string {
	switch {
	case status == "":
		return "no " + kind
	case !pending.IsZero():
		return kind + " " + status + ", which is still being folded"
	default:
		return kind + " " + status
	}
}
