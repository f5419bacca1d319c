package payments

import "context"

// TimelineLimit is the largest number of entries in the timeline of an explanation.
const TimelineLimit = 1000

// ExplainReader reads what an explanation is about.
type ExplainReader interface {
	Order(ctx context.Context, id string) (Order, error)
	Dispute(ctx context.Context, key DisputeKey) (Dispute, error)
	Disputes(ctx context.Context, q DisputeQuery) (Page[Dispute], error)
	Events(ctx context.Context, q EventQuery) (Page[RecordedEvent], error)
	DeadLetters(ctx context.Context, q DeadLetterQuery) ([]*DeadLetter, error)
}

// Explanation says why an order or a dispute has its state.
type Explanation struct {
	// Order is nil if nothing that the order reports was applied, and in the explanation of
	// a dispute.
	Order *Order
	// Disputes has the disputes of the order, or the dispute.
	Disputes []Dispute
	// Sentences has the reasons for the state, the most important first.
	Sentences []string
	// Timeline has the newest events, oldest first by the provider's order, and Earlier is
	// the number of events before them.
	Timeline []TimelineEntry
	Earlier  int64
	// DeadLetters has the open dead letters.
	DeadLetters []*DeadLetter
}

// TimelineEntry is an event at its place in the history.
type TimelineEntry struct {
	RecordedEvent
	// Before and After are the names of the status before and after the event. They are
	// equal if it changed none.
	Before, After string
	// Late reports whether a later event of the history was recorded before.
	Late bool
	// Why explains the verdict, as a sentence.
	Why string
}

// ExplainOrder explains the state of an order and its disputes. The error is [ErrNotFound]
// if nothing is recorded about it.
func ExplainOrder(ctx context.Context, r ExplainReader, id string) (*Explanation, error) {
	order, err := r.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	return &Explanation{Order: &order}, nil
}

// ExplainDispute explains the state of a dispute. The error is [ErrNotFound] if nothing is
// recorded about it.
func ExplainDispute(ctx context.Context, r ExplainReader, key DisputeKey) (*Explanation, error) {
	dispute, err := r.Dispute(ctx, key)
	if err != nil {
		return nil, err
	}
	return &Explanation{Disputes: []Dispute{dispute}}, nil
}
