package checker

import (
	"cmp"
	"slices"
	"strings"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// Model is what the database should hold. It follows the rules of docs/payments.md,
// implemented here a second time and as simply as possible: all facts are sorted and
// then folded at once.
type Model struct {
	Orders   map[string]history.Order
	Disputes map[string]history.Dispute
	// DeadLettered has the reason of every event that must be a dead letter.
	DeadLettered map[history.Key]string
}

// Fact is a webhook that counts. Forced means that an operator accepted it.
type Fact struct {
	*history.Webhook
	Forced bool
}

var (
	orderStatuses   = strings.Fields("created updated authorized failed canceled success refunded reversed")
	disputeStatuses = strings.Fields("open under_review submitted closed lost canceled won")
	stages          = strings.Fields("inquiry chargeback pre_arbitration arbitration")
)

// rank orders the statuses of the same time; it is -1 for an unknown status.
func rank(f history.Facts) int {
	if f.Dispute != "" {
		return slices.Index(disputeStatuses, f.Status)
	}
	return slices.Index(orderStatuses, f.Status)
}

// stage returns 0 for a stage that is not said.
func stage(name string) int { return 1 + slices.Index(stages, name) }

// Fold returns the model of facts, which may come in any sequence.
func Fold(facts []Fact) Model {
	sorted := slices.SortedFunc(slices.Values(facts), func(a, b Fact) int {
		f, g := a.Facts, b.Facts
		return cmp.Or(cmp.Compare(f.At, g.At), cmp.Compare(stage(f.Stage), stage(g.Stage)), cmp.Compare(rank(f), rank(g)),
			cmp.Compare(f.Refunded.Minor, g.Refunded.Minor), cmp.Compare(f.Captured.Minor, g.Captured.Minor), cmp.Compare(a.Event, b.Event))
	})
	m := Model{make(map[string]history.Order), make(map[string]history.Dispute), make(map[history.Key]string)}
	orders, disputes := make(map[string]*orderModel), make(map[string]*disputeModel)
	for _, fact := range sorted {
		reason := ""
		switch f := fact.Facts; {
		case rank(f) < 0:
			reason = "unknown_status"
		case f.Dispute != "":
			if disputes[f.Dispute] == nil {
				disputes[f.Dispute] = &disputeModel{Dispute: history.Dispute{ID: f.Dispute, Order: f.Order}}
			}
			reason = disputes[f.Dispute].fold(f, fact.Forced)
		default:
			if orders[f.Order] == nil {
				orders[f.Order] = &orderModel{Order: history.Order{ID: f.Order}, parts: make(map[string]*partModel)}
			}
			reason = orders[f.Order].fold(f, fact.Forced)
		}
		if reason != "" {
			m.DeadLettered[fact.Key()] = reason
		}
	}
	for id, o := range orders {
		m.Orders[id] = o.state()
	}
	for id, d := range disputes {
		m.Disputes[id] = d.Dispute
	}
	return m
}

// take sets known to a newer value, unless that is absent.
func take[T comparable](known *T, newer T) {
	var absent T
	if newer != absent {
		*known = newer
	}
}

// disputeModel is a dispute, and the time of the webhook that set its status.
type disputeModel struct {
	history.Dispute
	statusAt int64
}

// fold takes the next facts, or returns the reason why they are a dead letter.
func (d *disputeModel) fold(f history.Facts, forced bool) string {
	if f.Order != d.Order && !forced {
		return "order_mismatch"
	}
	up := d.Stage != "" && stage(f.Stage) > stage(d.Stage)
	down := f.Stage != "" && stage(f.Stage) < stage(d.Stage)
	sets, newRound := true, false
	if isOutcome(d.Status) {
		switch f.Status {
		case "open", "submitted":
			newRound = true
		case "under_review": // vague: only a higher stage makes it a new round
			sets, newRound = up, up
		case "closed": // hides no other outcome
			sets = up || d.Status == "closed"
		default:
			otherSide := d.Status != "closed" && (d.Status == "lost") != (f.Status == "lost")
			if otherSide && !forced && (down || !up && f.At == d.statusAt) {
				return "contradiction"
			}
			sets = d.Status == "closed" || !down
		}
	}
	if d.OpenedAt == 0 {
		d.OpenedAt = f.At
	}
	if newRound {
		d.Reopened++
		d.OutcomeAmount = history.Money{}
	}
	if sets || forced {
		if newRound || up || down {
			d.EvidenceDueAt = 0
		}
		if !isOutcome(f.Status) || !down {
			take(&d.Stage, f.Stage)
		}
		d.Status, d.statusAt = f.Status, f.At
	}
	take(&d.User, f.User)
	take(&d.Reason, f.Reason)
	take(&d.Amount, f.Amount)
	take(&d.OutcomeAmount, f.OutcomeAmount)
	take(&d.EvidenceDueAt, f.EvidenceDueAt)
	d.UpdatedAt = f.At
	if isOutcome(d.Status) {
		d.EvidenceDueAt = 0
	}
	return ""
}

func isOutcome(status string) bool {
	return status == "won" || status == "lost" || status == "closed" || status == "canceled"
}
