package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
)

// column is a column of a table, with the function that takes its value from a row
// to write.
type column[R any] struct {
	name, sqlType string
	value         func(R) any
	// array returns the values of many rows.
	array func([]R) any
}

func col[R, V any](name, sqlType string, value func(R) V) column[R] {
	array := func(rows []R) any {
		values := make(pgtype.FlatArray[V], len(rows))
		for i, row := range rows {
			values[i] = value(row)
		}
		return values
	}
	return column[R]{name, sqlType, func(row R) any { return value(row) }, array}
}

func text[R any](name string, value func(R) string) column[R]    { return col(name, "text", value) }
func bigint[R any](name string, value func(R) int64) column[R]   { return col(name, "bigint", value) }
func smallint[R any](name string, value func(R) int16) column[R] { return col(name, "smallint", value) }
func boolean[R any](name string, value func(R) bool) column[R]   { return col(name, "boolean", value) }
func binary[R any](name string, value func(R) []byte) column[R]  { return col(name, "bytea", value) }

// instant is NULL for the zero time.
func instant[R any](name string, value func(R) time.Time) column[R] {
	return col(name, "timestamptz", func(row R) pgtype.Timestamptz {
		t := value(row)
		return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
	})
}

// timestamp is NULL for nil. PostgreSQL has microseconds.
func timestamp[R any](name string, value func(R) *timestamppb.Timestamp) column[R] {
	return col(name, "timestamptz", func(row R) pgtype.Timestamptz {
		ts := value(row)
		if ts == nil {
			return pgtype.Timestamptz{}
		}
		return pgtype.Timestamptz{Time: ts.AsTime().Truncate(time.Microsecond), Valid: true}
	})
}

// columns are the columns of a table that a statement writes or compares.
type columns[R any] []column[R]

func (c columns[R]) names() string {
	return c.join(func(_ int, c column[R]) string { return c.name })
}

// assignments sets the columns to those of the same names in another row.
func (c columns[R]) assignments(from string) string {
	return c.join(func(_ int, c column[R]) string { return c.name + " = " + from + "." + c.name })
}

// arguments returns a placeholder for each column, with its type.
func (c columns[R]) arguments() string {
	return c.join(func(i int, c column[R]) string { return fmt.Sprintf("$%d::%s", i+1, c.sqlType) })
}

// arrays returns the elements of an array for each column. They are in the list of a
// SELECT, because PostgreSQL stores each array of FROM unnest(…) as a table first.
func (c columns[R]) arrays() string {
	return c.join(func(i int, c column[R]) string { return fmt.Sprintf("unnest($%d::%s[])", i+1, c.sqlType) })
}

func (c columns[R]) join(item func(int, column[R]) string) string {
	list := make([]string, len(c))
	for i := range c {
		list[i] = item(i, c[i])
	}
	return strings.Join(list, ", ")
}

// statement writes rows, whose values are its first arguments. Many rows are passed
// as one array for each column, so that the statement is the same for any number of
// them. A single row, for which a lone caller waits, is passed without arrays,
// because PostgreSQL takes long to set up twenty of them.
type statement[R any] struct {
	columns   columns[R]
	one, many string
}

// newStatement makes a statement of a text in which @rows is the table "given" and
// @count one further argument.
func newStatement[R any](c columns[R], text string) statement[R] {
	text = strings.ReplaceAll(text, "@count", fmt.Sprintf("$%d::bigint", len(c)+1))
	given := " AS given (" + c.names() + ")"
	return statement[R]{
		columns: c,
		one:     strings.ReplaceAll(text, "@rows", "(VALUES ("+c.arguments()+"))"+given),
		many:    strings.ReplaceAll(text, "@rows", "(SELECT "+c.arrays()+")"+given),
	}
}

// queue adds the statement to a batch, unless there are no rows.
func (s statement[R]) queue(batch *pgx.Batch, rows []R, more ...any) {
	if len(rows) == 0 {
		return
	}
	text, args := s.many, make([]any, len(s.columns), len(s.columns)+len(more))
	for i, c := range s.columns {
		if len(rows) == 1 {
			text, args[i] = s.one, c.value(rows[0])
		} else {
			args[i] = c.array(rows)
		}
	}
	batch.Queue(text, append(args, more...)...)
}

// orderRow is a row of orders as a commit writes it.
type orderRow struct {
	id string
	// version is the new version, or 0 for a placeholder, to which events of the order
	// refer.
	version int64
	*payments.Aggregate[payments.Order]
}

var orderKey = columns[orderRow]{
	text("order_id", func(o orderRow) string { return o.id }),
	bigint("version", func(o orderRow) int64 { return o.version }),
}

var orderState = columns[orderRow]{
	text("status", func(o orderRow) string { return payments.OrderStatuses.Name(o.State.Status) }),
	text("user_id", func(o orderRow) string { return o.State.UserID }),
	bigint("amount", func(o orderRow) int64 { return o.State.Amount.MinorUnits }),
	text("currency", func(o orderRow) string { return o.State.Amount.Currency }),
	smallint("exponent", func(o orderRow) int16 { return int16(o.State.Amount.Exponent) }),
	instant("created_at", func(o orderRow) time.Time { return o.State.CreatedAt }),
	instant("updated_at", func(o orderRow) time.Time { return o.State.UpdatedAt }),
	text("parts", func(o orderRow) string { return o.State.Parts }),
	smallint("rules", func(o orderRow) int16 { return int16(o.Rules) }),
	bigint("events", func(o orderRow) int64 { return int64(o.Events) }),
	instant("pending_at", func(o orderRow) time.Time { return o.Pending }),
	instant("head_at", func(o orderRow) time.Time { return o.Head.At }),
	col("head_rank", "integer", func(o orderRow) int32 { return int32(o.Head.Rank) }),
	bigint("head_refunded", func(o orderRow) int64 { return o.Head.Refunded }),
	bigint("head_captured", func(o orderRow) int64 { return o.Head.Captured }),
	text("head_event_id", func(o orderRow) string { return o.Head.EventID }),
	text("head_source", func(o orderRow) string { return o.Head.Source }),
}

type disputeRow = *payments.Aggregate[payments.Dispute]

var disputeKey = columns[disputeRow]{
	text("dispute_id", func(d disputeRow) string { return d.State.ID }),
	text("source", func(d disputeRow) string { return d.State.Source }),
	bigint("version", func(d disputeRow) int64 { return d.Version + 1 }),
}

var disputeState = columns[disputeRow]{
	text("order_id", func(d disputeRow) string { return d.State.OrderID }),
	text("stage", func(d disputeRow) string { return payments.DisputeStages.Name(d.State.Stage) }),
	text("status", func(d disputeRow) string { return payments.DisputeStatuses.Name(d.State.Status) }),
	instant("status_at", func(d disputeRow) time.Time { return d.State.StatusAt }),
	col("reopened", "integer", func(d disputeRow) int32 { return int32(d.State.Reopened) }),
	text("user_id", func(d disputeRow) string { return d.State.UserID }),
	text("reason", func(d disputeRow) string { return d.State.Reason }),
	bigint("amount", func(d disputeRow) int64 { return d.State.Amount.MinorUnits }),
	text("currency", func(d disputeRow) string { return d.State.Amount.Currency }),
	smallint("exponent", func(d disputeRow) int16 { return int16(d.State.Amount.Exponent) }),
	bigint("outcome_amount", func(d disputeRow) int64 { return d.State.OutcomeAmount.MinorUnits }),
	text("outcome_currency", func(d disputeRow) string { return d.State.OutcomeAmount.Currency }),
	smallint("outcome_exponent", func(d disputeRow) int16 { return int16(d.State.OutcomeAmount.Exponent) }),
	instant("opened_at", func(d disputeRow) time.Time { return d.State.OpenedAt }),
	instant("updated_at", func(d disputeRow) time.Time { return d.State.UpdatedAt }),
	instant("evidence_due_at", func(d disputeRow) time.Time { return d.State.EvidenceDueAt }),
	smallint("rules", func(d disputeRow) int16 { return int16(d.Rules) }),
	bigint("events", func(d disputeRow) int64 { return int64(d.Events) }),
	instant("pending_at", func(d disputeRow) time.Time { return d.Pending }),
	instant("head_at", func(d disputeRow) time.Time { return d.Head.At }),
	smallint("head_stage", func(d disputeRow) int16 { return int16(d.Head.Stage) }),
	col("head_rank", "integer", func(d disputeRow) int32 { return int32(d.Head.Rank) }),
	text("head_event_id", func(d disputeRow) string { return d.Head.EventID }),
	text("head_source", func(d disputeRow) string { return d.Head.Source }),
}

// eventRow is a row of events as a commit writes it.
type eventRow struct {
	*payments.Event
	subject store.EventSubject
}

var eventKey = columns[eventRow]{
	text("provider", func(e eventRow) string { return e.Key.Source }),
	text("event_id", func(e eventRow) string { return e.Key.EventID }),
}

// eventKind has no column of its own, see [store.KindColumn].
var eventKind = columns[eventRow]{
	text("kind", func(e eventRow) string { return string(e.Key.Kind) }),
}

// eventContent are the columns of an event that never change.
var eventContent = columns[eventRow]{
	text("order_id", func(e eventRow) string { return e.Update.GetOrderId() }),
	text("dispute_id", func(e eventRow) string { return e.subject.DisputeID }),
	text("user_id", func(e eventRow) string { return e.Update.GetUserId() }),
	text("status", func(e eventRow) string { return e.subject.Status }),
	text("provider_status", func(e eventRow) string { return e.subject.ProviderStatus }),
	text("reason", func(e eventRow) string { return e.subject.Reason }),
	bigint("amount", func(e eventRow) int64 { return e.subject.Amount.MinorUnits }),
	text("currency", func(e eventRow) string { return e.subject.Amount.Currency }),
	timestamp("occurred_at", func(e eventRow) *timestamppb.Timestamp { return e.Update.GetOccurredAt() }),
	timestamp("received_at", func(e eventRow) *timestamppb.Timestamp { return e.Update.GetReceivedAt() }),
	timestamp("order_created_at", func(e eventRow) *timestamppb.Timestamp { return e.subject.OrderCreatedAt }),
	timestamp("evidence_due_at", func(e eventRow) *timestamppb.Timestamp { return e.subject.EvidenceDueAt }),
	instant("recorded_at", func(e eventRow) time.Time { return e.RecordedAt }),
	bigint("schema_version", func(e eventRow) int64 { return int64(e.Update.GetSchemaVersion()) }),
	boolean("note", func(e eventRow) bool { return e.subject.Note }),
	binary("facts", func(e eventRow) []byte { return e.Facts[:] }),
	binary("subject", func(e eventRow) []byte { return e.subject.Whole }),
	binary("digest", func(e eventRow) []byte { return payments.BodyDigest(e.Update) }),
}

// eventBody has a table of its own.
var eventBody = columns[eventRow]{
	binary("body", func(e eventRow) []byte { return e.Update.GetRawBody() }),
}

// eventVerdict are the columns of an event that can change.
var eventVerdict = columns[eventRow]{
	text("verdict", func(e eventRow) string { return payments.Verdicts.Name(e.Verdict) }),
	text("dead_letter_reason", func(e eventRow) string { return payments.DeadLetterReasons.Name(e.Reason) }),
	boolean("in_history", func(e eventRow) bool { return e.InHistory() }),
	boolean("forced", func(e eventRow) bool { return e.Forced }),
	boolean("discarded", func(e eventRow) bool { return e.Discarded }),
}

type letterRow = *payments.DeadLetter

var letterKey = columns[letterRow]{
	text("provider", func(l letterRow) string { return l.Key.Source }),
	text("event_id", func(l letterRow) string { return l.Key.EventID }),
	binary("digest", func(l letterRow) []byte { return l.Digest[:] }),
}

var letterContent = columns[letterRow]{
	text("kind", func(l letterRow) string { return string(l.Key.Kind) }),
	text("reason", func(l letterRow) string { return payments.DeadLetterReasons.Name(l.Reason) }),
	text("detail", func(l letterRow) string { return l.Detail }),
	text("order_id", func(l letterRow) string { return l.OrderID }),
	text("dispute_id", func(l letterRow) string { return l.DisputeID }),
	binary("payload", func(l letterRow) []byte { return l.Payload }),
	instant("created_at", func(l letterRow) time.Time { return l.CreatedAt }),
	bigint("deliveries", func(l letterRow) int64 { return l.Deliveries }),
	instant("last_at", func(l letterRow) time.Time { return l.LastAt }),
}

type settlementRow = *payments.Settlement

var settlementKey = columns[settlementRow]{
	text("provider", func(s settlementRow) string { return s.Key.Source }),
	text("event_id", func(s settlementRow) string { return s.Key.EventID }),
	binary("digest", func(s settlementRow) []byte { return s.Digest[:] }),
}

var settlementState = columns[settlementRow]{
	text("resolution", func(s settlementRow) string { return string(s.Resolution) }),
	instant("resolved_at", func(s settlementRow) time.Time { return s.At }),
	text("resolved_by", func(s settlementRow) string { return s.By }),
	text("why", func(s settlementRow) string { return s.Why }),
}

type auditRow = *payments.AuditEntry

var auditEntry = columns[auditRow]{
	instant("acted_at", func(e auditRow) time.Time { return e.At }),
	text("who", func(e auditRow) string { return e.Who }),
	text("action", func(e auditRow) string { return string(e.Action) }),
	text("target", func(e auditRow) string { return e.Target }),
	text("order_id", func(e auditRow) string { return e.OrderID }),
	text("why", func(e auditRow) string { return e.Why }),
	text("state_before", func(e auditRow) string { return e.Before }),
	text("state_after", func(e auditRow) string { return e.After }),
}
