package api

import (
	"context"
	"slices"
	"strings"

	"github.com/payrelay/payrelay/modules/payments"
)

func (m *memory) DeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]*payments.DeadLetter, error) {
	if err := m.ask(ctx, q); err != nil {
		return nil, err
	}
	letters := m.selected(q)
	if q.Descending {
		slices.Reverse(letters)
	}
	letters = letters[:min(q.Limit, len(letters))]
	for i := range letters {
		if !q.WithPayload {
			bare := *letters[i]
			bare.Payload, letters[i] = nil, &bare
		}
	}
	return letters, nil
}

// selected returns the dead letters of a query by ascending id, without its limit.
func (m *memory) selected(q payments.DeadLetterQuery) []*payments.DeadLetter {
	none := func(found bool, filters int) bool { return filters > 0 && !found }
	return slices.DeleteFunc(slices.Clone(m.letters), func(d *payments.DeadLetter) bool {
		after := d.ID > q.AfterID
		if q.Descending {
			after = q.AfterID == 0 || d.ID < q.AfterID
		}
		return !after || q.UpToID != 0 && d.ID > q.UpToID || d.Resolution != "" && !q.Settled ||
			none(slices.Contains(q.Reasons, d.Reason), len(q.Reasons)) || none(slices.Contains(q.Sources, d.Key.Source), len(q.Sources)) ||
			none(slices.Contains(q.OrderIDs, d.OrderID), len(q.OrderIDs)) || none(slices.Contains(q.Kinds, d.Key.Kind), len(q.Kinds)) ||
			!strings.Contains(d.Key.EventID+" "+d.OrderID+" "+d.Detail, q.Text)
	})
}

func (m *memory) CountDeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]payments.DeadLetterCount, error) {
	asked := m.asked
	if err := m.ask(ctx, q); err != nil {
		return nil, err
	}
	m.asked, m.counted = asked, q
	q.AfterID = 0
	var counts []payments.DeadLetterCount
	for _, d := range m.selected(q) {
		i := slices.IndexFunc(counts, func(c payments.DeadLetterCount) bool { return c.Reason == d.Reason && c.Source == d.Key.Source })
		if i < 0 {
			i = len(counts)
			counts = append(counts, payments.DeadLetterCount{Reason: d.Reason, Source: d.Key.Source})
		}
		counts[i].Count++
	}
	return counts, nil
}

func (m *memory) RemainingDeadLetters(ctx context.Context, q payments.DeadLetterQuery) (int64, error) {
	asked := m.asked
	if err := m.ask(ctx, q); err != nil {
		return 0, err
	}
	m.asked, m.counted = asked, q
	return int64(len(m.selected(q))), nil
}

func (m *memory) DeadLetter(ctx context.Context, id int64) (*payments.DeadLetter, error) {
	if err := m.ask(ctx, id); err != nil {
		return nil, err
	}
	for _, d := range m.letters {
		if d.ID == id {
			return d, nil
		}
	}
	return nil, payments.ErrNotFound
}

func (m *memory) Audit(ctx context.Context, q payments.AuditQuery) (payments.Page[payments.AuditEntry], error) {
	return pageIn(ctx, m, q, m.audit, q.Page, auditSequence)
}

func (m *memory) Sources(ctx context.Context) ([]payments.SourceActivity, error) {
	return m.activity, m.ask(ctx, "sources")
}

func (m *memory) Body(ctx context.Context, key payments.Key) ([]byte, string, error) {
	if err := m.ask(ctx, key); err != nil {
		return nil, "", err
	}
	body, ok := m.bodies[key]
	if !ok {
		return nil, "", payments.ErrNotFound
	}
	return body, "order-1", nil
}

func (m *memory) Subjects(ctx context.Context, q payments.SubjectQuery) (payments.SubjectPage, error) {
	return payments.SubjectPage{}, m.ask(ctx, q)
}

func (m *memory) Commit(ctx context.Context, changes *payments.Changes) error {
	if err := m.ask(ctx, changes); err != nil {
		return err
	}
	for _, entry := range changes.Audit {
		entry := *entry
		entry.ID = int64(len(m.audit) + 1)
		m.audit = append(m.audit, entry)
	}
	return nil
}
