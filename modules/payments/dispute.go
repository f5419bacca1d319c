package payments

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// DisputeKey identifies a dispute. Two sources may use the same id for different
// disputes.
type DisputeKey struct{ Source, ID string }

func (k DisputeKey) compare(l DisputeKey) int {
	return cmp.Or(strings.Compare(k.Source, l.Source), strings.Compare(k.ID, l.ID))
}

// Dispute is the state of a dispute (chargeback), folded from its history.
type Dispute struct {
	DisputeKey
	// OrderID is the order that the oldest update names.
	OrderID string
	Stage   payrelayv1.DisputeStage
	Status  payrelayv1.DisputeStatus
	// StatusAt is the provider's time of the update that set the status.
	StatusAt time.Time
	// Reopened is the number of times that the dispute was opened again after an
	// outcome.
	Reopened int
	UserID   string
	// Reason is the cardholder's reason in the provider's words.
	Reason string
	// Amount is the amount at stake.
	Amount Money
	// OutcomeAmount is the amount that the merchant finally loses, if it was stated.
	OutcomeAmount Money
	// OpenedAt and UpdatedAt are the provider's times of the first and of the last
	// update that was applied.
	OpenedAt  time.Time
	UpdatedAt time.Time
	// EvidenceDueAt is the deadline for evidence. It is zero if it is unknown or the
	// dispute has an outcome.
	EvidenceDueAt time.Time
	// Sequence is the number of the dispute in the order of recording. It is set only in a
	// page of a query.
	Sequence int64 `json:"-"`
}

// disputeKey returns the key of the dispute that an update is about. A source that
// sends no dispute id has one dispute for each order, with the id of the order.
func disputeKey(u *payrelayv1.Update) DisputeKey {
	return DisputeKey{Source: u.GetProvider(), ID: latest(u.GetOrderId(), u.GetDispute().GetDisputeId())}
}

// stepDispute returns the dispute after a newer snapshot, or the reason why the
// snapshot is refused. A forced snapshot is never refused.
func stepDispute(d Dispute, u *payrelayv1.Update, forced bool) (Dispute, payrelayv1.DeadLetterReason) {
	s, at := u.GetDispute(), timeOf(u.GetOccurredAt())
	if d.OrderID == "" {
		d.OrderID = u.GetOrderId()
	} else if d.OrderID != u.GetOrderId() && !forced {
		return d, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH
	}
	next := disputeMove(d, s)
	switch {
	case forced && next != reopen:
		next = set
	case next == contradict, next == contest && at.Equal(d.StatusAt):
		return d, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION
	}
	if d.Status == payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED {
		d.OpenedAt = at
	}
	if next != keep {
		if next == reopen {
			d.Reopened++
			d.OutcomeAmount = Money{}
		}
		if newStage := d.Stage != 0 && s.GetStage() != 0 && d.Stage != s.GetStage(); newStage || next == reopen {
			d.EvidenceDueAt = time.Time{}
		}
		// An outcome never lowers the stage.
		if s.GetStage() > d.Stage || s.GetStage() != 0 && !finalDispute(s.GetStatus()) {
			d.Stage = s.GetStage()
		}
		d.Status, d.StatusAt = s.GetStatus(), at
	}
	d.UserID = latest(d.UserID, u.GetUserId())
	d.Reason = latest(d.Reason, s.GetReason())
	if m := moneyOf(s.GetAmount()); m.MinorUnits != 0 {
		d.Amount = m // an amount of 0 means that none is stated
	}
	d.OutcomeAmount = latest(d.OutcomeAmount, moneyOf(s.GetOutcomeAmount()))
	d.UpdatedAt = at
	d.EvidenceDueAt = latest(d.EvidenceDueAt, timeOf(s.GetEvidenceDueAt()))
	if finalDispute(d.Status) {
		d.EvidenceDueAt = time.Time{}
	}
	return d, noReason
}

// disputeMove looks up the move for a snapshot in the tables.
func disputeMove(d Dispute, s *payrelayv1.DisputeSnapshot) move {
	cell := [2]payrelayv1.DisputeStatus{d.Status, s.GetStatus()}
	switch level := d.Stage == 0 || s.GetStage() == 0 || d.Status == 0; {
	case level || d.Stage == s.GetStage():
		return disputeMovesLevel[cell]
	case s.GetStage() > d.Stage:
		return disputeMovesUp[cell]
	default:
		return disputeMovesDown[cell]
	}
}

// disputePosition returns the position of a snapshot in the history of its dispute.
func disputePosition(u *payrelayv1.Update, key Key) Position {
	s := u.GetDispute()
	return Position{
		At: timeOf(u.GetOccurredAt()), Stage: int(s.GetStage()), Rank: disputeRanks[s.GetStatus()],
		EventID: key.EventID, Source: key.Source,
	}
}

// Flags returns the flags of a dispute, sorted by name. The order is the one that the
// dispute belongs to, or nil if it is unknown.
func (d Dispute) Flags(order *Order) []Flag {
	flags := moneyFlags([]Money{d.Amount, d.OutcomeAmount})
	if d.Reopened > 0 {
		flags = append(flags, FlagReopened)
	}
	if order != nil {
		paid := order.Totals().Captured
		if !paid.known() {
			paid = order.Amount
		}
		if d.Amount.differs(paid) {
			flags = append(flags, FlagCurrencyDiffers)
		}
		if d.Amount.exceeds(paid) {
			flags = append(flags, FlagDisputeExceedsOrder)
		}
	}
	slices.Sort(flags)
	return flags
}

// explainDispute describes the state of a dispute and its deadline.
func (x *explainer) explainDispute(key DisputeKey) {
	i := slices.IndexFunc(x.Disputes, func(d Dispute) bool { return d.DisputeKey == key })
	if i < 0 {
		x.say("No event of dispute %q of %s has been applied, so the dispute has no state.", key.ID, key.Source)
		return
	}
	d := x.Disputes[i]
	last, has := lastChange(x.stories[Subject{Dispute: key}]), "has the status"
	if last != nil {
		has = "has had the status"
	}
	text := fmt.Sprintf("Dispute %q of %s about order %q %s %s", d.ID, d.Source, d.OrderID, has, DisputeStatuses.Name(d.Status))
	if stage := DisputeStages.Name(d.Stage); stage != "" {
		text += " (" + strings.ReplaceAll(stage, "_", " ") + ")"
	}
	if last != nil {
		text += fmt.Sprintf(" since %s, set by %s", timeText(last.at.At), eventText(last.Key))
	}
	if d.Amount.known() {
		text += "; " + d.Amount.text() + " is at stake"
	}
	if d.Reason != "" {
		text += fmt.Sprintf("; the reason is %q", d.Reason)
	}
	x.say("%s.", text)
	switch {
	case d.OutcomeAmount.known():
		x.say("The merchant finally loses %s.", d.OutcomeAmount.text())
	case !d.EvidenceDueAt.IsZero():
		x.say("Evidence for dispute %q is due by %s.", d.ID, timeText(d.EvidenceDueAt))
	case !finalDispute(d.Status):
		x.say("The deadline for the evidence of dispute %q is unknown.", d.ID)
	}
	order := x.Order
	if order == nil {
		order = x.owner
	}
	x.explainFlags(d.Flags(order))
}
