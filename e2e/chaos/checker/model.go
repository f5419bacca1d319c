package checker

import (
	"cmp"
	"slices"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// Model is what the database should hold about one order. It follows the rules of
// the README, implemented here a second time and as simply as possible: all facts
// are sorted and then folded at once.
type Model struct {
	Order    history.Order
	Disputes map[string]history.Dispute
	// DeadLettered has the reason of every event that must be a dead letter.
	DeadLettered map[string]string
}

// ranks order the statuses of the same time; finalRank is the rank of those that
// end an order or a dispute.
var ranks = map[string]int{
	"created": 1, "updated": 2, "success": finalRank, "failed": finalRank,
	"open": 1, "under_review": 2, "submitted": 2,
	"won": finalRank, "lost": finalRank, "closed": finalRank, "canceled": finalRank,
}

const finalRank = 3

// Fold returns the model of an order after its webhooks, which may come in any
// sequence.
func Fold(order string, webhooks []*history.Webhook) Model {
	sorted := slices.SortedFunc(slices.Values(webhooks), func(a, b *history.Webhook) int {
		return cmp.Or(cmp.Compare(a.Facts.At, b.Facts.At), cmp.Compare(ranks[a.Facts.Status], ranks[b.Facts.Status]), cmp.Compare(a.Event, b.Event))
	})
	m := Model{Order: history.Order{ID: order}, Disputes: make(map[string]history.Dispute), DeadLettered: make(map[string]string)}
	for _, w := range sorted {
		switch {
		case w.Facts.Status == "":
			m.DeadLettered[w.Event] = "unknown_status"
		case w.Facts.Dispute != "":
			m.foldDispute(w)
		default:
			m.foldOrder(w)
		}
	}
	return m
}

func (m *Model) foldOrder(w *history.Webhook) {
	f, state := w.Facts, &m.Order
	if !follows(state.Status, f.Status) {
		m.DeadLettered[w.Event] = "illegal_transition"
		return
	}
	if state.Status == "" {
		state.CreatedAt = f.CreatedAt
	}
	state.Status, state.User, state.Amount, state.Currency, state.UpdatedAt = f.Status, f.User, f.Amount, f.Currency, f.At
}

func (m *Model) foldDispute(w *history.Webhook) {
	f := w.Facts
	state, known := m.Disputes[f.Dispute]
	if !known {
		state = history.Dispute{ID: f.Dispute, Order: f.Order}
	}
	if follows(state.Status, f.Status) {
		if state.Status == "" {
			state.OpenedAt = f.At
		}
		state.Status, state.User, state.Reason, state.Amount, state.Currency, state.UpdatedAt = f.Status, f.User, f.Reason, f.Amount, f.Currency, f.At
		if f.EvidenceDueAt != 0 {
			state.EvidenceDueAt = f.EvidenceDueAt
		}
	} else {
		m.DeadLettered[w.Event] = "illegal_transition"
	}
	m.Disputes[f.Dispute] = state
}

// follows reports whether a status may come after another: the same status again
// is a newer snapshot, a rank never falls, and nothing follows a final status.
func follows(from, to string) bool {
	return from == to || ranks[from] < finalRank && ranks[to] >= ranks[from]
}
