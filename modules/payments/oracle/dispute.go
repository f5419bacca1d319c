package oracle

import (
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func (result *Result) stepDispute(u *payrelayv1.Update, forced bool) string {
	s := u.GetDispute()
	key := payments.DisputeKey{Source: u.GetProvider(), ID: s.GetDisputeId()}
	if key.ID == "" {
		key.ID = u.GetOrderId()
	}
	d, known := result.Disputes[key]
	says, was := payments.DisputeStatuses.Name(s.GetStatus()), payments.DisputeStatuses.Name(d.Status)
	outcome := func(name string) bool { return slices.Contains(strings.Fields("closed lost canceled won"), name) }
	up := d.Stage != 0 && s.GetStage() > d.Stage
	down := s.GetStage() != 0 && s.GetStage() < d.Stage
	if known && d.OrderID != u.GetOrderId() && !forced {
		return "order_mismatch"
	}
	sets, reopens := true, false
	if outcome(was) {
		switch says {
		case "open", "submitted":
			reopens = true
		case "under_review":
			sets, reopens = up, up
		case "closed":
			sets = up || was == "closed"
		default: // won, lost, canceled
			opposite := was != "closed" && (was == "lost") != (says == "lost")
			if !forced && opposite && (down || !up && d.StatusAt.Equal(micros(u))) {
				return "contradiction"
			}
			sets = !down || was == "closed"
		}
	}
	sets = sets || forced
	if !known {
		d = payments.Dispute{DisputeKey: key, OrderID: u.GetOrderId(), OpenedAt: micros(u)}
	}
	if reopens {
		d.Reopened++
		d.OutcomeAmount = payments.Money{}
	}
	if sets {
		if reopens || d.Stage != 0 && s.GetStage() != 0 && s.GetStage() != d.Stage {
			d.EvidenceDueAt = time.Time{}
		}
		if s.GetStage() > d.Stage || s.GetStage() != 0 && !outcome(says) {
			d.Stage = s.GetStage()
		}
		d.Status, d.StatusAt = s.GetStatus(), micros(u)
	}
	d.UpdatedAt = micros(u)
	if u.GetUserId() != "" {
		d.UserID = u.GetUserId()
	}
	if s.GetReason() != "" {
		d.Reason = s.GetReason()
	}
	if m := s.GetAmount(); m.GetMinorUnits() != 0 {
		d.Amount = payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	}
	if m := s.GetOutcomeAmount(); m != nil {
		d.OutcomeAmount = payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	}
	if s.GetEvidenceDueAt() != nil {
		d.EvidenceDueAt = s.GetEvidenceDueAt().AsTime().Truncate(time.Microsecond)
	}
	if outcome(payments.DisputeStatuses.Name(d.Status)) {
		d.EvidenceDueAt = time.Time{}
	}
	result.Disputes[key] = d
	return ""
}
