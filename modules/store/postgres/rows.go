package postgres

import (
	"slices"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// orderRow is a row of orders as a commit writes it.
type orderRow struct {
	id string
	// version is the new one; 0 for an order that is only noted, so that its
	// events have a row to refer to.
	version int64
	payments.Folded[payments.Order]
}

var orderKey = columns[orderRow]{
	text("order_id", func(o orderRow) string { return o.id }),
	bigint("version", func(o orderRow) int64 { return o.version }),
}

var orderState = slices.Concat(columns[orderRow]{
	text("status", func(o orderRow) string { return payments.OrderStatuses.Name(o.State.Status) }),
	text("user_id", func(o orderRow) string { return o.State.UserID }),
	bigint("amount", func(o orderRow) int64 { return o.State.Amount.MinorUnits }),
	text("currency", func(o orderRow) string { return o.State.Amount.Currency }),
	instant("created_at", func(o orderRow) time.Time { return o.State.CreatedAt }),
	instant("updated_at", func(o orderRow) time.Time { return o.State.UpdatedAt }),
}, head(func(o orderRow) payments.Position { return o.Head }))

type disputeRow = payments.Folded[payments.Dispute]

var disputeKey = columns[disputeRow]{
	text("dispute_id", func(d disputeRow) string { return d.State.ID }),
	text("order_id", func(d disputeRow) string { return d.State.OrderID }),
}

var disputeState = slices.Concat(columns[disputeRow]{
	text("status", func(d disputeRow) string { return payments.DisputeStatuses.Name(d.State.Status) }),
	text("user_id", func(d disputeRow) string { return d.State.UserID }),
	text("reason", func(d disputeRow) string { return d.State.Reason }),
	bigint("amount", func(d disputeRow) int64 { return d.State.Amount.MinorUnits }),
	text("currency", func(d disputeRow) string { return d.State.Amount.Currency }),
	instant("opened_at", func(d disputeRow) time.Time { return d.State.OpenedAt }),
	instant("updated_at", func(d disputeRow) time.Time { return d.State.UpdatedAt }),
	instant("evidence_due_at", func(d disputeRow) time.Time { return d.State.EvidenceDueAt }),
}, head(func(d disputeRow) payments.Position { return d.Head }))

func head[R any](of func(R) payments.Position) columns[R] {
	return columns[R]{
		instant("head_at", func(r R) time.Time { return of(r).At }),
		col("head_rank", "integer", func(r R) int32 { return int32(of(r).Rank) }),
		text("head_event_id", func(r R) string { return of(r).EventID }),
	}
}

// eventRow is an event as its columns have it.
type eventRow struct {
	*payments.Event
	says store.EventSubject
}

var eventKey = columns[eventRow]{
	text("provider", func(e eventRow) string { return e.Key.Provider }),
	text("event_id", func(e eventRow) string { return e.Key.EventID }),
}

var eventFacts = columns[eventRow]{
	text("order_id", func(e eventRow) string { return e.Update.GetOrderId() }),
	text("dispute_id", func(e eventRow) string { return e.says.DisputeID }),
	text("user_id", func(e eventRow) string { return e.Update.GetUserId() }),
	text("status", func(e eventRow) string { return e.says.Status }),
	text("provider_status", func(e eventRow) string { return e.says.ProviderStatus }),
	text("reason", func(e eventRow) string { return e.says.Reason }),
	bigint("amount", func(e eventRow) int64 { return e.says.Amount.MinorUnits }),
	text("currency", func(e eventRow) string { return e.says.Amount.Currency }),
	stamp("occurred_at", func(e eventRow) *timestamppb.Timestamp { return e.Update.GetOccurredAt() }),
	stamp("received_at", func(e eventRow) *timestamppb.Timestamp { return e.Update.GetReceivedAt() }),
	stamp("order_created_at", func(e eventRow) *timestamppb.Timestamp { return e.says.OrderCreatedAt }),
	stamp("evidence_due_at", func(e eventRow) *timestamppb.Timestamp { return e.says.EvidenceDueAt }),
	instant("recorded_at", func(e eventRow) time.Time { return e.RecordedAt }),
	bigint("schema_version", func(e eventRow) int64 { return int64(e.Update.GetSchemaVersion()) }),
	binary("digest", func(e eventRow) []byte { return e.Digest[:] }),
	binary("body", func(e eventRow) []byte { return e.Update.GetRawBody() }),
}

// eventVerdict is what can change about an event.
var eventVerdict = columns[eventRow]{
	text("verdict", func(e eventRow) string { return payments.Verdicts.Name(e.Verdict) }),
	text("dead_letter_reason", func(e eventRow) string { return payments.DeadLetterReasons.Name(e.Reason) }),
	col("in_history", "boolean", func(e eventRow) bool { return e.InHistory() }),
}

type letterRow = *payments.DeadLetter

var letterKey = columns[letterRow]{
	text("provider", func(l letterRow) string { return l.Key.Provider }),
	text("event_id", func(l letterRow) string { return l.Key.EventID }),
	binary("digest", func(l letterRow) []byte { return l.Digest[:] }),
}

// letterCase is what a dead letter says; when it was first put is created_at.
var letterCase = columns[letterRow]{
	text("reason", func(l letterRow) string { return payments.DeadLetterReasons.Name(l.Reason) }),
	text("detail", func(l letterRow) string { return l.Detail }),
	text("order_id", func(l letterRow) string { return l.OrderID }),
	text("dispute_id", func(l letterRow) string { return l.DisputeID }),
	binary("payload", func(l letterRow) []byte { return l.Payload }),
}

var letterCreation = columns[letterRow]{
	instant("created_at", func(l letterRow) time.Time { return l.CreatedAt }),
}

type settlementRow = *payments.Settlement

var settlementKey = columns[settlementRow]{
	text("provider", func(s settlementRow) string { return s.Key.Provider }),
	text("event_id", func(s settlementRow) string { return s.Key.EventID }),
	binary("digest", func(s settlementRow) []byte { return s.Digest[:] }),
}

var settlementState = columns[settlementRow]{
	text("resolution", func(s settlementRow) string { return string(s.Resolution) }),
	instant("resolved_at", func(s settlementRow) time.Time { return s.At }),
}
