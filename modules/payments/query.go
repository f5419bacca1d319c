package payments

import (
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// MaxPageSize bounds how many items one page of a query holds.
const MaxPageSize = 200

// OrderQuery selects orders, sorted by (CreatedAt, ID). An empty list selects
// all; orders that are known only through their disputes are never selected.
type OrderQuery struct {
	OrderIDs []string
	UserIDs  []string
	Statuses []payrelayv1.OrderStatus
	// From and To bound CreatedAt, From included and To excluded; zero is open.
	From, To time.Time
	Page     PageRequest
}

// DisputeQuery selects disputes, sorted by (OpenedAt, ID), and otherwise as
// OrderQuery does. A dispute none of whose updates counted is never selected.
type DisputeQuery struct {
	DisputeIDs []string
	OrderIDs   []string
	UserIDs    []string
	Statuses   []payrelayv1.DisputeStatus
	From, To   time.Time
	Page       PageRequest
}

// EventQuery selects recorded events, dead-lettered ones included, in the
// sequence in which they were recorded.
type EventQuery struct {
	// Disputes selects the events of disputes, otherwise of orders.
	Disputes   bool
	OrderIDs   []string
	DisputeIDs []string
	UserIDs    []string
	// Kinds are names of OrderStatuses or DisputeStatuses: what the events say.
	Kinds []string
	// From and To bound when it happened, by the provider's clock.
	From, To time.Time
	Page     PageRequest
}

// DeadLetterQuery selects dead letters by ascending id.
type DeadLetterQuery struct {
	// Reasons selects all if empty.
	Reasons []payrelayv1.DeadLetterReason
	// Settled selects the settled ones too, not only the open.
	Settled bool
	// AfterID is the last id of the page before; 0 for the first page.
	AfterID int64
	Limit   int
}

// PageRequest asks for one page, newest first unless Ascending.
type PageRequest struct {
	// After is the place where the page before ended; nil for the first page.
	After     *Cursor
	Ascending bool
	// Limit is from 1 to MaxPageSize.
	Limit int
}

// Cursor is the sort key of the last item of a page: At and ID of an order or
// dispute, Sequence of an event.
type Cursor struct {
	At       time.Time
	ID       string
	Sequence int64
}

// Page is a part of what a query selects.
type Page[T any] struct {
	Items []T
	// More says that the query selects further items after these.
	More bool
}

// RecordedEvent is an event with its place in the sequence of recording. Its
// Update has no RawBody.
type RecordedEvent struct {
	Sequence int64
	Event
}
