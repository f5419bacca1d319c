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

func appendOrder(values []any, o payments.Order) []any {
	return append(values,
		payments.OrderStatuses.Name(o.Status), o.UserID, o.Amount.MinorUnits, o.Amount.Currency,
		instant(o.CreatedAt), instant(o.UpdatedAt))
}

func appendDispute(values []any, d payments.Dispute) []any {
	return append(values,
		d.ID, d.OrderID, payments.DisputeStatuses.Name(d.Status), d.UserID, d.Reason, d.Amount.MinorUnits, d.Amount.Currency,
		instant(d.OpenedAt), instant(d.UpdatedAt), instant(d.EvidenceDueAt))
}

func appendHead(values []any, head payments.Position) []any {
	return append(values, instant(head.At), head.Rank, head.EventID)
}

func appendEvent(values []any, e *payments.Event) []any {
	u, subject := e.Update, store.SubjectOf(e)
	return append(values,
		e.Key.Provider, e.Key.EventID, u.GetOrderId(), subject.DisputeID, u.GetUserId(), subject.Status, subject.ProviderStatus, subject.Reason,
		subject.Amount.MinorUnits, subject.Amount.Currency, timestamp(u.GetOccurredAt()), timestamp(u.GetReceivedAt()),
		timestamp(subject.OrderCreatedAt), timestamp(subject.EvidenceDueAt), payments.Verdicts.Name(e.Verdict),
		payments.DeadLetterReasons.Name(e.Reason), instant(e.RecordedAt), u.GetSchemaVersion(), e.Digest[:],
		e.InHistory(), u.GetRawBody())
}

func appendLetter(values []any, d *payments.DeadLetter) []any {
	return append(values,
		d.Key.Provider, d.Key.EventID, d.Digest[:], payments.DeadLetterReasons.Name(d.Reason), d.Detail,
		d.OrderID, d.DisputeID, d.Payload, instant(d.CreatedAt))
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
func list(values []string) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic(err) // a list of strings can always be encoded
	}
	return string(data)
}
