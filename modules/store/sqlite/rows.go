package sqlite

import (
	"fmt"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The functions of this file pair the columns of statements.go with the fields
// of the domain: with...  appends arguments to write, and ...Fields are to scan.

func withOrder(values []any, o payments.Order) []any {
	return append(values,
		payments.OrderStatuses.Name(o.Status), o.UserID, o.Amount.MinorUnits, o.Amount.Currency,
		instant(o.CreatedAt), instant(o.UpdatedAt))
}

func orderFields(o *payments.Order) []any {
	return []any{
		intoEnum[payrelayv1.OrderStatus]{payments.OrderStatuses, &o.Status}, &o.UserID, &o.Amount.MinorUnits, &o.Amount.Currency,
		intoInstant{&o.CreatedAt}, intoInstant{&o.UpdatedAt},
	}
}

func withDispute(values []any, d payments.Dispute) []any {
	return append(values,
		d.ID, d.OrderID, payments.DisputeStatuses.Name(d.Status), d.UserID, d.Reason, d.Amount.MinorUnits, d.Amount.Currency,
		instant(d.OpenedAt), instant(d.UpdatedAt), instant(d.EvidenceDueAt))
}

func disputeFields(d *payments.Dispute) []any {
	return []any{
		&d.ID, &d.OrderID, intoEnum[payrelayv1.DisputeStatus]{payments.DisputeStatuses, &d.Status},
		&d.UserID, &d.Reason, &d.Amount.MinorUnits, &d.Amount.Currency,
		intoInstant{&d.OpenedAt}, intoInstant{&d.UpdatedAt}, intoInstant{&d.EvidenceDueAt},
	}
}

func withHead(values []any, head payments.Position) []any {
	return append(values, instant(head.At), head.Rank, head.EventID)
}

func headFields(head *payments.Position) []any {
	return []any{intoInstant{&head.At}, &head.Rank, &head.EventID}
}

func withLetter(values []any, d *payments.DeadLetter) []any {
	return append(values,
		d.Key.Provider, d.Key.EventID, d.Digest[:], payments.DeadLetterReasons.Name(d.Reason), d.Detail,
		d.OrderID, d.DisputeID, d.Payload, instant(d.CreatedAt))
}

func letterFields(d *payments.DeadLetter) []any {
	return []any{
		&d.ID, &d.Key.Provider, &d.Key.EventID, intoDigest{&d.Digest},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &d.Reason}, &d.Detail,
		&d.OrderID, &d.DisputeID, &d.Payload, intoInstant{&d.CreatedAt}, &d.Resolution, intoInstant{&d.ResolvedAt},
	}
}

// eventRow is an event as its columns have it, those of orders and of disputes
// side by side.
type eventRow struct {
	disputeID, status, providerStatus, reason string
	createdAt, evidenceDueAt                  *timestamppb.Timestamp
	amount                                    payrelayv1.Money
}

func withEvent(values []any, e *payments.Event) []any {
	u, row := e.Update, eventRow{disputeID: e.DisputeID()}
	money := u.GetOrder().GetAmount()
	if d := u.GetDispute(); d != nil {
		row.status = reported(payments.DisputeStatuses, d.GetStatus())
		row.providerStatus, row.reason, row.evidenceDueAt = d.GetProviderStatus(), d.GetReason(), d.GetEvidenceDueAt()
		money = d.GetAmount()
	} else {
		o := u.GetOrder()
		row.status = reported(payments.OrderStatuses, o.GetStatus())
		row.providerStatus, row.createdAt = o.GetProviderStatus(), o.GetCreatedAt()
	}
	return append(values,
		e.Key.Provider, e.Key.EventID, u.GetOrderId(), row.disputeID, u.GetUserId(), row.status, row.providerStatus, row.reason,
		money.GetMinorUnits(), money.GetCurrency(), stamp(u.GetOccurredAt()), stamp(u.GetReceivedAt()),
		stamp(row.createdAt), stamp(row.evidenceDueAt), payments.Verdicts.Name(e.Verdict),
		payments.DeadLetterReasons.Name(e.Reason), instant(e.RecordedAt), u.GetSchemaVersion(), e.Digest[:],
		e.InHistory(), u.GetRawBody())
}

// scanEvent reads the event columns, after others that the caller wants first.
func scanEvent(row scanner, e *payments.Event, first ...any) error {
	u, r := new(payrelayv1.Update), new(eventRow)
	err := row.Scan(append(first,
		&u.Provider, &u.EventId, &u.OrderId, &r.disputeID, &u.UserId, &r.status, &r.providerStatus, &r.reason,
		&r.amount.MinorUnits, &r.amount.Currency, intoStamp{&u.OccurredAt}, intoStamp{&u.ReceivedAt},
		intoStamp{&r.createdAt}, intoStamp{&r.evidenceDueAt}, intoEnum[payrelayv1.Verdict]{payments.Verdicts, &e.Verdict},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &e.Reason}, intoInstant{&e.RecordedAt},
		&u.SchemaVersion, intoDigest{&e.Digest})...)
	if err != nil {
		return err
	}
	e.Key = payments.Key{Provider: u.GetProvider(), EventID: u.GetEventId()}
	e.Update = u
	if err := r.subject(u); err != nil {
		return fmt.Errorf("event %s/%s: %w", e.Key.Provider, e.Key.EventID, err)
	}
	return nil
}

// subject gives the update its order or dispute.
func (r *eventRow) subject(u *payrelayv1.Update) error {
	var money *payrelayv1.Money
	if r.amount.GetCurrency() != "" {
		money = &r.amount
	}
	if r.disputeID != "" {
		status, err := parseReported(payments.DisputeStatuses, r.status)
		u.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: r.disputeID, Status: status, ProviderStatus: r.providerStatus, Reason: r.reason,
			Amount: money, EvidenceDueAt: r.evidenceDueAt,
		}}
		return err
	}
	status, err := parseReported(payments.OrderStatuses, r.status)
	u.Subject = &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
		Status: status, ProviderStatus: r.providerStatus, CreatedAt: r.createdAt, Amount: money,
	}}
	return err
}
