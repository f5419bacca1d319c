package payments_test

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/payrelay/payrelay/modules/payments"
)

// Order, Dispute, Disputes, Events, DeadLetters and Subjects make memory the reader of
// explanations and of rederivations.

func (m *memory) Order(_ context.Context, id string) (payments.Order, error) {
	if o := m.order(id); o.Status != orderNone {
		return o, nil
	}
	return payments.Order{}, payments.ErrNotFound
}

func (m *memory) Dispute(_ context.Context, key payments.DisputeKey) (payments.Dispute, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.disputes[key]; ok && a.State.Status != disputeNone {
		return a.State, nil
	}
	return payments.Dispute{}, payments.ErrNotFound
}

func (m *memory) Disputes(_ context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page payments.Page[payments.Dispute]
	for _, key := range slices.SortedFunc(maps.Keys(m.disputes), func(a, b payments.DisputeKey) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID))
	}) {
		if d := m.disputes[key].State; d.Status != disputeNone && slices.Contains(q.OrderIDs, d.OrderID) {
			page.Items = append(page.Items, d)
		}
	}
	return page, nil
}

func (m *memory) Events(_ context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page payments.Page[payments.RecordedEvent]
	among := func(value string, values []string) bool { return len(values) == 0 || slices.Contains(values, value) }
	for i, key := range slices.Backward(m.arrival) {
		e := m.events[key]
		of := e.Update.GetNote().GetDisputeId()
		if e.Key.Kind == payments.KindDispute {
			of = e.Dispute().ID
		}
		sequence := int64(i + 1)
		switch {
		case (of != "") != q.Disputes, q.Page.After != nil && sequence >= q.Page.After.Sequence,
			!among(e.Update.GetOrderId(), q.OrderIDs), !among(of, q.DisputeIDs), !among(e.Key.Source, q.Sources):
		case len(page.Items) == q.Page.Limit:
			page.More = true
			return page, nil
		default:
			page.Items = append(page.Items, payments.RecordedEvent{Sequence: sequence, Event: *bare(e)})
		}
	}
	return page, nil
}

func (m *memory) DeadLetters(_ context.Context, q payments.DeadLetterQuery) ([]*payments.DeadLetter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var letters []*payments.DeadLetter
	among := func(value string, values []string) bool { return len(values) == 0 || slices.Contains(values, value) }
	for _, name := range m.sequence {
		l := *m.letters[name]
		if !q.WithPayload {
			l.Payload = nil
		}
		if (q.AfterID == 0 || q.Descending == (l.ID < q.AfterID) && l.ID != q.AfterID) && (q.Settled || l.Resolution == "") && among(l.OrderID, q.OrderIDs) && among(l.DisputeID, q.DisputeIDs) && among(l.Key.Source, q.Sources) &&
			(len(q.Reasons) == 0 || slices.Contains(q.Reasons, l.Reason)) {
			letters = append(letters, &l)
		}
	}
	if q.Descending {
		slices.Reverse(letters)
	}
	return letters[:min(len(letters), q.Limit)], nil
}

// Subjects reads a page of events in the order of recording.
func (m *memory) Subjects(_ context.Context, q payments.SubjectQuery) (payments.SubjectPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page payments.SubjectPage
	read, earlier := 0, make(map[payments.Subject]bool)
	for i, key := range m.arrival {
		e := m.events[key]
		of := payments.Subject{Order: e.Update.GetOrderId()}
		if e.Key.Kind == payments.KindDispute {
			of = payments.Subject{Dispute: e.Dispute()}
		}
		if len(q.OrderIDs) > 0 && !slices.Contains(q.OrderIDs, e.Update.GetOrderId()) {
			continue
		}
		if int64(i+1) <= q.AfterSequence {
			earlier[of] = earlier[of] || e.Key.Kind != payments.KindNote
			continue
		}
		if read == q.Limit {
			return page, nil
		}
		read++
		if page.Next = int64(i + 1); earlier[of] {
			continue
		}
		switch id, dispute := e.Update.GetOrderId(), e.Dispute(); {
		case e.Key.Kind == payments.KindOrder && !slices.Contains(page.Orders, id):
			page.Orders = append(page.Orders, id)
		case e.Key.Kind == payments.KindDispute && !slices.Contains(page.Disputes, dispute):
			page.Disputes = append(page.Disputes, dispute)
		}
	}
	page.Next = 0
	return page, nil
}
