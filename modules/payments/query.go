package payments

import (
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// MaxPageSize is the largest number of items in one page of a query.
const MaxPageSize = 200

// OrderQuery selects orders, sorted by (CreatedAt, ID). An empty list selects all.
// An order that is known only through its disputes is never selected.
type OrderQuery struct {
	OrderIDs []string
	UserIDs  []string
	Statuses []payrelayv1.OrderStatus
	// From (inclusive) and To (exclusive) limit CreatedAt; a zero time sets no limit.
	From, To time.Time
	Page     PageRequest
}

// DisputeQuery selects disputes, sorted by (OpenedAt, ID, Source). From and To limit
// OpenedAt; the other fields are as in OrderQuery. A dispute without an applied update is
// never selected.
type DisputeQuery struct {
	Sources    []string
	DisputeIDs []string
	OrderIDs   []string
	UserIDs    []string
	Statuses   []payrelayv1.DisputeStatus
	From, To   time.Time
	Page       PageRequest
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
	// From (inclusive) and To (exclusive) limit CreatedAt.
	From, To time.Time
	// Settled selects settled dead letters as well as open ones.
	Settled bool
	// AfterID is the last id of the previous page; 0 for the first page.
	AfterID int64
	Limit   int
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

// Cursor is the sort key of the last item of a page: At and ID of an order, At, ID and
// Source of a dispute, Sequence of an event. A cursor of a dispute without Source means
// after all disputes with the same At and ID.
type Cursor struct {
	At       time.Time
	ID       string
	Source   string
	Sequence int64
}

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
