package sqlite

import (
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
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

func withEvent(values []any, e *payments.Event) []any {
	u, says := e.Update, store.SubjectOf(e)
	return append(values,
		e.Key.Provider, e.Key.EventID, u.GetOrderId(), says.DisputeID, u.GetUserId(), says.Status, says.ProviderStatus, says.Reason,
		says.Amount.MinorUnits, says.Amount.Currency, stamp(u.GetOccurredAt()), stamp(u.GetReceivedAt()),
		stamp(says.OrderCreatedAt), stamp(says.EvidenceDueAt), payments.Verdicts.Name(e.Verdict),
		payments.DeadLetterReasons.Name(e.Reason), instant(e.RecordedAt), u.GetSchemaVersion(), e.Digest[:],
		e.InHistory(), u.GetRawBody())
}

// scanEvent reads the event columns, after others that the caller wants first.
func scanEvent(row scanner, e *payments.Event, first ...any) error {
	u, says := new(payrelayv1.Update), new(store.EventSubject)
	err := row.Scan(append(first,
		&u.Provider, &u.EventId, &u.OrderId, &says.DisputeID, &u.UserId, &says.Status, &says.ProviderStatus, &says.Reason,
		&says.Amount.MinorUnits, &says.Amount.Currency, intoStamp{&u.OccurredAt}, intoStamp{&u.ReceivedAt},
		intoStamp{&says.OrderCreatedAt}, intoStamp{&says.EvidenceDueAt}, intoEnum[payrelayv1.Verdict]{payments.Verdicts, &e.Verdict},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &e.Reason}, intoInstant{&e.RecordedAt},
		&u.SchemaVersion, intoDigest{&e.Digest})...)
	if err != nil {
		return err
	}
	return says.Complete(e, u)
}
