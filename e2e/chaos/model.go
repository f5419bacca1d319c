package chaos

import (
	"cmp"
	"slices"
)

// The model is what README.md says of orders and disputes, written a second time
// and as simply as possible: it takes all facts at once, sorts and folds them.

// The order and dispute of the model, as the tables have them.
type (
	Order struct {
		ID        string `json:"id"`
		Status    string `json:"status"`
		User      string `json:"user"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
		CreatedAt int64  `json:"created_at"`
		UpdatedAt int64  `json:"updated_at"`
	}
	Dispute struct {
		ID            string `json:"id"`
		Order         string `json:"order"`
		Status        string `json:"status"`
		User          string `json:"user"`
		Reason        string `json:"reason"`
		Amount        int64  `json:"amount"`
		Currency      string `json:"currency"`
		OpenedAt      int64  `json:"opened_at"`
		UpdatedAt     int64  `json:"updated_at"`
		EvidenceDueAt int64  `json:"evidence_due_at"`
	}
)

// Outlook is what the model makes of the webhooks of one order.
type Outlook struct {
	Order    Order
	Disputes map[string]Dispute
	// Refused has the reason of each event that becomes a dead letter.
	Refused map[string]string
}

// ranks order the statuses: what ends an order or dispute is 3.
var ranks = map[string]int{
	"created": 1, "updated": 2, "success": 3, "failed": 3,
	"open": 1, "under_review": 2, "submitted": 2, "won": 3, "lost": 3, "closed": 3, "canceled": 3,
}

// Fold is the state that the webhooks of one order amount to, in whatever sequence
// they are given.
func Fold(order string, webhooks []*Webhook) Outlook {
	sorted := slices.SortedFunc(slices.Values(webhooks), func(a, b *Webhook) int {
		return cmp.Or(cmp.Compare(a.Says.At, b.Says.At), cmp.Compare(ranks[a.Says.Status], ranks[b.Says.Status]), cmp.Compare(a.Event, b.Event))
	})
	o := Outlook{Order: Order{ID: order}, Disputes: make(map[string]Dispute), Refused: make(map[string]string)}
	for _, w := range sorted {
		switch {
		case w.Says.Status == "":
			o.Refused[w.Event] = "unknown_status"
		case w.Says.Dispute != "":
			o.foldDispute(w)
		default:
			o.foldOrder(w)
		}
	}
	return o
}

func (o *Outlook) foldOrder(w *Webhook) {
	f, state := w.Says, &o.Order
	if !follows(state.Status, f.Status) {
		o.Refused[w.Event] = "illegal_transition"
		return
	}
	if state.Status == "" {
		state.CreatedAt = f.CreatedAt
	}
	state.Status, state.User, state.Amount, state.Currency, state.UpdatedAt = f.Status, f.User, f.Amount, f.Currency, f.At
}

func (o *Outlook) foldDispute(w *Webhook) {
	f := w.Says
	state, known := o.Disputes[f.Dispute]
	if !known {
		state = Dispute{ID: f.Dispute, Order: f.Order}
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
		o.Refused[w.Event] = "illegal_transition"
	}
	o.Disputes[f.Dispute] = state
}

// follows says whether a status may come after another: the same again is a newer
// snapshot, a rank never falls, and what has ended has ended.
func follows(from, to string) bool {
	return from == to || (ranks[from] < 3 && ranks[to] >= ranks[from])
}
