package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

// TimelineLimit is the largest number of entries in the timeline of an explanation.
const TimelineLimit = 1000

// ExplainReader reads the orders, disputes, events and dead letters of an explanation.
type ExplainReader interface {
	Order(ctx context.Context, id string) (Order, error)
	Dispute(ctx context.Context, key DisputeKey) (Dispute, error)
	Disputes(ctx context.Context, q DisputeQuery) (Page[Dispute], error)
	Events(ctx context.Context, q EventQuery) (Page[RecordedEvent], error)
	DeadLetters(ctx context.Context, q DeadLetterQuery) ([]*DeadLetter, error)
}

// Explanation explains why an order or a dispute has its state.
type Explanation struct {
	// Order is nil if no event of the order was applied, and in the explanation of a
	// dispute.
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

// TimelineEntry is an event at its position in the history.
type TimelineEntry struct {
	RecordedEvent
	// Before and After are the names of the status before and after the event. They are
	// equal if the event did not change it.
	Before, After string
	// Late reports whether a later event of the history was recorded before this one.
	Late bool
	// Why explains the verdict, as a sentence.
	Why string
}

// The limits below bound the memory of one explanation, see TestMemoryOfAnExplanation: the
// events have texts of a few KiB at most and no bodies, and few payloads are held at once.
const (
	// explainLimit is the largest number of events of an order and all its disputes, or of
	// a dispute, that are read and folded for an explanation.
	explainLimit = 10_000
	// letterLimit is the largest number of dead letters that are read for an explanation:
	// of open ones, of settled ones, and of open ones that name no order.
	letterLimit = 200
	// payloadLimit is the number of dead letters that are read at once with their payloads,
	// of up to MaxUpdateBytes each.
	payloadLimit = 8
)

// ExplainOrder explains the state of an order and its disputes. The error is [ErrNotFound]
// if nothing is recorded about it.
func ExplainOrder(ctx context.Context, r ExplainReader, id string) (*Explanation, error) {
	x := &explainer{r: r, orderID: id}
	if order, err := r.Order(ctx, id); err == nil {
		x.Order = &order
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	disputes, err := r.Disputes(ctx, DisputeQuery{OrderIDs: []string{id}, Page: PageRequest{Ascending: true, Limit: MaxPageSize}})
	if err != nil {
		return nil, err
	}
	x.Disputes = disputes.Items
	if err := x.readLetters(ctx, DeadLetterQuery{OrderIDs: []string{id}}); err != nil {
		return nil, err
	}
	if err := x.readUnnamed(ctx); err != nil {
		return nil, err
	}
	events, complete, err := x.readEvents(ctx, EventQuery{OrderIDs: []string{id}})
	if err != nil {
		return nil, err
	}
	keys, err := x.disputeKeys(ctx)
	if err != nil {
		return nil, err
	}
	if x.Order == nil && len(events)+len(keys)+len(x.letters) == 0 {
		return nil, fmt.Errorf("explain order %s: %w", id, ErrNotFound)
	}
	err = guard(func() {
		x.tell(narrate(orderMachine, Order{ID: id}, func(o Order) string { return OrderStatuses.Name(o.Status) }, events, complete), "order")
	})
	if err != nil {
		return nil, fmt.Errorf("explain order %s: %w", id, err)
	}
	for _, key := range keys {
		if err := x.tellDispute(ctx, key); err != nil {
			return nil, err
		}
	}
	x.explainOrder()
	return x.finish(), nil
}

// ExplainDispute explains the state of a dispute. The error is [ErrNotFound] if nothing is
// recorded about it.
func ExplainDispute(ctx context.Context, r ExplainReader, key DisputeKey) (*Explanation, error) {
	x := &explainer{r: r}
	if dispute, err := r.Dispute(ctx, key); err == nil {
		x.Disputes = []Dispute{dispute}
		if order, err := r.Order(ctx, dispute.OrderID); err == nil {
			x.owner = &order
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	} else if !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err := x.readLetters(ctx, DeadLetterQuery{Sources: []string{key.Source}, DisputeIDs: []string{key.ID}}); err != nil {
		return nil, err
	}
	if err := x.tellDispute(ctx, key); err != nil {
		return nil, err
	}
	if len(x.Disputes)+len(x.story)+len(x.letters) == 0 {
		return nil, fmt.Errorf("explain dispute %s of %s: %w", key.ID, key.Source, ErrNotFound)
	}
	x.explainDispute(key)
	x.explainLetters()
	return x.finish(), nil
}

// explainer collects an explanation.
type explainer struct {
	Explanation
	r       ExplainReader
	orderID string
	// owner is the order that the dispute belongs to, for its flags.
	owner *Order
	// letters has the dead letters, including settled ones, without payloads. updates has the
	// updates of open ones, without bodies. unnamed is the number of open ones that name no
	// order.
	letters []*DeadLetter
	updates map[int64]*payrelayv1.Update
	unnamed int
	// read is the number of events that were read.
	read int
	// story has the events of the order and of all disputes. stories has them by subject.
	story   []*told
	stories map[Subject][]*told
	// incomplete reports whether there may be more events than explainLimit.
	incomplete bool
}

// readLetters reads the open dead letters that a query selects, and the newest settled ones.
func (x *explainer) readLetters(ctx context.Context, q DeadLetterQuery) (err error) {
	err = x.eachOpen(ctx, q, func(l *DeadLetter, u *payrelayv1.Update) { x.open(l, u) })
	if err != nil {
		return err
	}
	q.Settled, q.Descending, q.Limit = true, true, letterLimit
	all, err := x.r.DeadLetters(ctx, q)
	if err != nil {
		return err
	}
	settled := slices.DeleteFunc(all, func(l *DeadLetter) bool { return l.Resolution == "" })
	x.letters = slices.Concat(x.DeadLetters, settled)
	return nil
}

// open adds an open dead letter with its update.
func (x *explainer) open(l *DeadLetter, u *payrelayv1.Update) {
	if x.updates == nil {
		x.updates = make(map[int64]*payrelayv1.Update)
	}
	x.updates[l.ID] = u
	x.DeadLetters = append(x.DeadLetters, l)
}

// eachOpen calls yield for each open dead letter that a query selects, without its payload,
// and for the update without its body. The update is nil if the payload is none.
func (x *explainer) eachOpen(ctx context.Context, q DeadLetterQuery, yield func(*DeadLetter, *payrelayv1.Update)) error {
	q.WithPayload, q.Limit = true, payloadLimit
	for range letterLimit / payloadLimit {
		letters, err := x.r.DeadLetters(ctx, q)
		if err != nil {
			return err
		}
		for _, l := range letters {
			u := l.update()
			l.Payload = nil
			yield(l, u)
			q.AfterID = l.ID
		}
		if len(letters) < payloadLimit {
			break
		}
	}
	return nil
}

// readUnnamed reads the open dead letters that hold a whole update or body, and adds those
// whose update is about the order.
func (x *explainer) readUnnamed(ctx context.Context) error {
	var q DeadLetterQuery
	for reason, properties := range reasons {
		if properties.whole {
			q.Reasons = append(q.Reasons, reason)
		}
	}
	slices.Sort(q.Reasons)
	return x.eachOpen(ctx, q, func(l *DeadLetter, u *payrelayv1.Update) {
		switch named := u.GetOrderId(); {
		case slices.ContainsFunc(x.letters, func(known *DeadLetter) bool { return known.ID == l.ID }):
		case named == x.orderID:
			x.letters = append(x.letters, l)
			x.open(l, u)
		case named == "":
			x.unnamed++
		}
	})
}

// update returns the update of a dead letter without its body and without unknown fields,
// or nil if it holds none.
func (l *DeadLetter) update() *payrelayv1.Update {
	u := new(payrelayv1.Update)
	if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(l.Payload, u) != nil {
		return nil
	}
	u.RawBody = nil
	return u
}

// disputeKeys returns the keys of the disputes of the order, and of those that an event
// about the order names.
func (x *explainer) disputeKeys(ctx context.Context) ([]DisputeKey, error) {
	keys := newUnique[DisputeKey]()
	for _, d := range x.Disputes {
		keys.add(d.DisputeKey)
	}
	_, err := x.eachPage(ctx, EventQuery{Disputes: true, OrderIDs: []string{x.orderID}}, explainLimit, func(events []RecordedEvent) {
		for _, e := range events {
			if e.Key.Kind == KindDispute {
				keys.add(e.Dispute())
			}
		}
	})
	return keys.items, err
}

// readEvents reads the newest events that a query selects, as many as the explanation may
// still have. complete reports whether there are no others.
func (x *explainer) readEvents(ctx context.Context, q EventQuery) (events []RecordedEvent, complete bool, err error) {
	complete, err = x.eachPage(ctx, q, explainLimit-x.read, func(page []RecordedEvent) { events = append(events, page...) })
	x.read += len(events)
	x.incomplete = x.incomplete || !complete
	return events, complete, err
}

// eachPage calls yield for each page of the newest events that a query selects, up to a
// limit. complete reports whether these are all.
func (x *explainer) eachPage(ctx context.Context, q EventQuery, limit int, yield func([]RecordedEvent)) (complete bool, err error) {
	for limit > 0 {
		q.Page.Limit = min(MaxPageSize, limit)
		page, err := x.r.Events(ctx, q)
		if err != nil {
			return false, err
		}
		yield(page.Items)
		if !page.More || len(page.Items) == 0 {
			return true, nil
		}
		limit -= len(page.Items)
		q.Page.After = &Cursor{Sequence: page.Items[len(page.Items)-1].Sequence}
	}
	return false, nil
}

// tellDispute adds the events of a dispute.
func (x *explainer) tellDispute(ctx context.Context, key DisputeKey) error {
	events, complete, err := x.readEvents(ctx, EventQuery{Disputes: true, Sources: []string{key.Source}, DisputeIDs: []string{key.ID}})
	if err != nil {
		return err
	}
	err = guard(func() {
		x.tell(narrate(disputeMachine, Dispute{DisputeKey: key}, func(d Dispute) string { return DisputeStatuses.Name(d.Status) }, events, complete), "dispute")
	})
	if err != nil {
		return fmt.Errorf("explain dispute %s of %s: %w", key.ID, key.Source, err)
	}
	return nil
}

// tell adds the events of one order or dispute, with the sentences that explain them.
func (x *explainer) tell(story []*told, kind string) {
	w := &teller{kind, x.letters}
	for _, t := range story {
		t.Why = w.why(t)
		if of := t.subject(); of != (Subject{}) {
			if x.stories == nil {
				x.stories = make(map[Subject][]*told)
			}
			x.stories[of] = append(x.stories[of], t)
		}
	}
	x.story = append(x.story, story...)
}

// finish returns the explanation with its timeline.
func (x *explainer) finish() *Explanation {
	slices.SortStableFunc(x.story, func(a, b *told) int { return a.at.At.Compare(b.at.At) })
	if x.Earlier = int64(max(0, len(x.story)-TimelineLimit)); x.Earlier > 0 {
		x.story = x.story[x.Earlier:]
	}
	if x.incomplete {
		x.say("Only the newest %d events of the order and its disputes, or of the dispute, were read, so the states between them are unknown, and the number of earlier events is too low.", explainLimit)
	}
	for _, t := range x.story {
		x.Timeline = append(x.Timeline, t.TimelineEntry)
	}
	return &x.Explanation
}

func (x *explainer) say(format string, values ...any) {
	x.Sentences = append(x.Sentences, fmt.Sprintf(format, values...))
}

// explainLetters describes each open dead letter and the commands that settle it.
func (x *explainer) explainLetters() {
	for _, l := range x.DeadLetters {
		about := "a body or a record that names no order"
		if u := x.updates[l.ID]; u.GetEventId() != "" && kindOf(u) != "" {
			about = fmt.Sprintf("%s %s says %s at %s", kindOf(u), eventText(l.Key), saidBy(u), timeText(timeOf(u.GetOccurredAt())))
		}
		why := "Reason: " + l.Detail + "."
		for _, t := range x.story {
			if t.refused() && l.Key == t.Key && l.Digest == t.Facts {
				why, _, _ = strings.Cut(t.Why, " It is dead letter")
			}
		}
		settle := strings.ReplaceAll(reasons[l.Reason].settle, " ID ", fmt.Sprintf(" %d ", l.ID))
		x.say("Dead letter %d is open (%s): %s. %s %s", l.ID, DeadLetterReasons.Name(l.Reason), about, why, settle)
	}
}

func (x *explainer) explainFlags(flags []Flag) {
	for _, flag := range flags {
		x.say("Note (%s): %s", flag, flagSentences[flag])
	}
}
