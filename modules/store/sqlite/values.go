package sqlite

import (
	"encoding/json"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The append functions append the values of columns, in the order of the columns in
// package store.

func appendOrder(values []any, a *payments.Aggregate[payments.Order]) []any {
	o, head := a.State, a.Head
	return append(values,
		payments.OrderStatuses.Name(o.Status), o.UserID, o.Amount.MinorUnits, o.Amount.Currency, int64(o.Amount.Exponent),
		instant(o.CreatedAt), instant(o.UpdatedAt), o.Parts,
		a.Rules, a.Events, instant(a.Pending), instant(head.At), head.Rank, head.Refunded, head.Captured, head.EventID, head.Source)
}

func appendDispute(values []any, a *payments.Aggregate[payments.Dispute]) []any {
	d, head := a.State, a.Head
	return append(values,
		d.ID, d.Source, d.OrderID, payments.DisputeStages.Name(d.Stage), payments.DisputeStatuses.Name(d.Status), instant(d.StatusAt), d.Reopened,
		d.UserID, d.Reason, d.Amount.MinorUnits, d.Amount.Currency, int64(d.Amount.Exponent),
		d.OutcomeAmount.MinorUnits, d.OutcomeAmount.Currency, int64(d.OutcomeAmount.Exponent),
		instant(d.OpenedAt), instant(d.UpdatedAt), instant(d.EvidenceDueAt),
		a.Rules, a.Events, instant(a.Pending), instant(head.At), head.Stage, head.Rank, head.EventID, head.Source)
}

func appendEvent(values []any, e *payments.Event) []any {
	u, subject := e.Update, store.SubjectOf(e)
	return append(values,
		e.Key.Source, e.Key.EventID, u.GetOrderId(), subject.DisputeID, u.GetUserId(), subject.Status, subject.ProviderStatus, subject.Reason,
		subject.Amount.MinorUnits, subject.Amount.Currency, timestamp(u.GetOccurredAt()), timestamp(u.GetReceivedAt()),
		timestamp(subject.OrderCreatedAt), timestamp(subject.EvidenceDueAt), payments.Verdicts.Name(e.Verdict),
		payments.DeadLetterReasons.Name(e.Reason), instant(e.RecordedAt), u.GetSchemaVersion(),
		subject.Note, e.Forced, e.Discarded, e.Facts[:], subject.Whole,
		payments.BodyDigest(u), e.InHistory())
}

func appendLetter(values []any, d *payments.DeadLetter) []any {
	return append(values,
		d.Key.Source, d.Key.EventID, d.Digest[:], string(d.Key.Kind), payments.DeadLetterReasons.Name(d.Reason), d.Detail,
		d.OrderID, d.DisputeID, d.Payload, instant(d.CreatedAt), d.Deliveries, instant(d.LastAt))
}

func appendAudit(values []any, e *payments.AuditEntry) []any {
	return append(values, instant(e.At), e.Who, string(e.Action), e.Target, e.OrderID, e.Why, e.Before, e.After)
}

// instant returns a time in microseconds since 1970, or NULL for the zero time.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// timestamp is instant for the time of a message; nil is NULL.
func timestamp(ts *timestamppb.Timestamp) any {
	if ts == nil {
		return nil
	}
	return ts.AsTime().UnixMicro()
}

// list returns a list as an argument of json_each.
func list[V string | int64](values []V) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic(err) // such a list can always be encoded
	}
	return string(data)
}
