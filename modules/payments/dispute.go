package payments

import (
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Dispute is the state of a dispute (chargeback): the fold of its history.
type Dispute struct {
	ID      string
	OrderID string
	Status  payrelayv1.DisputeStatus
	UserID  string
	// Reason is the provider's code or text for why the cardholder disputes.
	Reason string
	Amount Money
	// OpenedAt and UpdatedAt are the provider's times of the first and of the last
	// update that was applied.
	OpenedAt  time.Time
	UpdatedAt time.Time
	// EvidenceDueAt is the deadline for evidence; zero if it is not known.
	EvidenceDueAt time.Time
}

// disputeID returns the id of the dispute that an update is about. A provider that
// sends no dispute id has one dispute for each order, and its id is the order's.
func disputeID(u *payrelayv1.Update) string {
	return latest(u.GetOrderId(), u.GetDispute().GetDisputeId())
}

// stepDispute is the state machine of a dispute:
//
//	open -> under_review | submitted -> won | lost | closed | canceled
//
// The dispute must be in the currency of its order, once that is known. Its amount
// may exceed the order's, because card schemes add fees.
func stepDispute(d Dispute, u *payrelayv1.Update, order Money) (Dispute, payrelayv1.DeadLetterReason) {
	snapshot := u.GetDispute()
	if !legalStep(disputeRank, d.Status, snapshot.GetStatus()) {
		return d, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION
	}
	amount := moneyOf(snapshot.GetAmount())
	if differs(amount, d.Amount) || differs(amount, order) {
		return d, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
	}
	if d.Status == payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED {
		d.OpenedAt = timeOf(u.GetOccurredAt())
	}
	d.Status = snapshot.GetStatus()
	d.UserID = latest(d.UserID, u.GetUserId())
	d.Reason = latest(d.Reason, snapshot.GetReason())
	d.Amount = latest(d.Amount, amount)
	d.UpdatedAt = timeOf(u.GetOccurredAt())
	d.EvidenceDueAt = latest(d.EvidenceDueAt, timeOf(snapshot.GetEvidenceDueAt()))
	return d, noReason
}

// disputeRank returns the rank of a status, as orderRank does.
func disputeRank(s payrelayv1.DisputeStatus) int {
	switch s {
	case payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN:
		return 1
	case payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW, payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED:
		return 2
	case payrelayv1.DisputeStatus_DISPUTE_STATUS_WON, payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST,
		payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED, payrelayv1.DisputeStatus_DISPUTE_STATUS_CANCELED:
		return finalRank
	default:
		return 0
	}
}
