package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The columns of the tables, in the order in which the functions of this file scan
// them.
const (
	OrderColumns   = "status, user_id, amount, currency, exponent, created_at, updated_at, parts"
	DisputeColumns = `dispute_id, source, order_id, stage, status, status_at, reopened, user_id, reason, amount, currency, exponent,
		outcome_amount, outcome_currency, outcome_exponent, opened_at, updated_at, evidence_due_at`
	// The columns of an aggregate after those of its state. Fields of the head that are
	// always zero have no column.
	OrderFoldColumns   = "rules, events, pending_at, head_at, head_rank, head_refunded, head_captured, head_event_id, head_source"
	DisputeFoldColumns = "rules, events, pending_at, head_at, head_stage, head_rank, head_event_id, head_source"
	EventColumns       = `provider, event_id, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
		occurred_at, received_at, order_created_at, evidence_due_at, verdict, dead_letter_reason, recorded_at, schema_version,
		note, forced, discarded, facts, subject`
	LetterColumns = `provider, event_id, digest, kind, reason, detail, order_id, dispute_id, payload, created_at,
		deliveries, last_at, resolution, resolved_at, resolved_by, why`
	AuditColumns = "acted_at, who, action, target, order_id, why, state_before, state_after"
	// RecordedColumns are scanned by [ScanRecorded].
	RecordedColumns = "provider, event_id, " + KindColumn + ", facts, in_history"
	// KindColumn is the kind of an event, a column of its unique index.
	KindColumn = "(CASE WHEN note THEN 'note' WHEN dispute_id <> '' THEN 'dispute' ELSE 'order' END)"
)

// ReopenLetter is the SET list of an upsert that opens a dead letter again with the values
// of the excluded row. It does not change one that an operator accepted or discarded.
var ReopenLetter = func() string {
	assignments := []string{"kind = excluded.kind", "has_body = TRUE"}
	for _, column := range []string{
		"reason = excluded.reason", "detail = excluded.detail", "order_id = excluded.order_id", "dispute_id = excluded.dispute_id",
		"payload = excluded.payload", "resolution = ''", "resolved_at = NULL", "resolved_by = ''", "why = ''",
	} {
		name, value, _ := strings.Cut(column, " = ")
		assignments = append(assignments, name+" = CASE WHEN dead_letters.resolution IN ('accepted', 'discarded') THEN dead_letters."+name+" ELSE "+value+" END")
	}
	return strings.Join(assignments, ", ")
}()

// Row is a row of a result. *sql.Rows and pgx.Rows are rows.
type Row interface{ Scan(into ...any) error }

// EachRow calls each for every row of a result, and closes it.
func EachRow(rows *sql.Rows, each func(Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// IntoTime returns what a time is scanned into.
func IntoTime(t *time.Time) any { return intoInstant{t} }

// OrderFields returns what OrderColumns are scanned into.
func OrderFields(o *payments.Order) []any {
	return []any{
		intoEnum[payrelayv1.OrderStatus]{payments.OrderStatuses, &o.Status}, &o.UserID, &o.Amount.MinorUnits, &o.Amount.Currency, &o.Amount.Exponent,
		intoInstant{&o.CreatedAt}, intoInstant{&o.UpdatedAt}, &o.Parts,
	}
}

// DisputeFields returns what DisputeColumns are scanned into.
func DisputeFields(d *payments.Dispute) []any {
	return []any{
		&d.ID, &d.Source, &d.OrderID, intoEnum[payrelayv1.DisputeStage]{payments.DisputeStages, &d.Stage},
		intoEnum[payrelayv1.DisputeStatus]{payments.DisputeStatuses, &d.Status}, intoInstant{&d.StatusAt}, &d.Reopened,
		&d.UserID, &d.Reason, &d.Amount.MinorUnits, &d.Amount.Currency, &d.Amount.Exponent,
		&d.OutcomeAmount.MinorUnits, &d.OutcomeAmount.Currency, &d.OutcomeAmount.Exponent,
		intoInstant{&d.OpenedAt}, intoInstant{&d.UpdatedAt}, intoInstant{&d.EvidenceDueAt},
	}
}

// OrderAggregateFields returns what the version, OrderColumns and OrderFoldColumns
// are scanned into.
func OrderAggregateFields(a *payments.Aggregate[payments.Order]) []any {
	head := &a.Head
	return slices.Concat([]any{&a.Version}, OrderFields(&a.State), []any{
		&a.Rules, &a.Events, intoInstant{&a.Pending}, intoInstant{&head.At}, &head.Rank, &head.Refunded, &head.Captured, &head.EventID, &head.Source,
	})
}

// DisputeAggregateFields returns what the version, DisputeColumns and
// DisputeFoldColumns are scanned into.
func DisputeAggregateFields(a *payments.Aggregate[payments.Dispute]) []any {
	head := &a.Head
	return slices.Concat([]any{&a.Version}, DisputeFields(&a.State), []any{
		&a.Rules, &a.Events, intoInstant{&a.Pending}, intoInstant{&head.At}, &head.Stage, &head.Rank, &head.EventID, &head.Source,
	})
}

// ScanEvent scans EventColumns, after columns that are scanned into first.
func ScanEvent(row Row, e *payments.Event, first ...any) error {
	u, subject, hasFacts := new(payrelayv1.Update), new(EventSubject), false
	err := row.Scan(append(first,
		&u.Provider, &u.EventId, &u.OrderId, &subject.DisputeID, &u.UserId, &subject.Status, &subject.ProviderStatus, &subject.Reason,
		&subject.Amount.MinorUnits, &subject.Amount.Currency, intoTimestamp{&u.OccurredAt}, intoTimestamp{&u.ReceivedAt},
		intoTimestamp{&subject.OrderCreatedAt}, intoTimestamp{&subject.EvidenceDueAt}, intoEnum[payrelayv1.Verdict]{payments.Verdicts, &e.Verdict},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &e.Reason}, intoInstant{&e.RecordedAt}, &u.SchemaVersion,
		&subject.Note, &e.Forced, &e.Discarded, intoFacts{&e.Facts, &hasFacts}, &subject.Whole)...)
	if err != nil {
		return err
	}
	return subject.Complete(e, u, hasFacts)
}

// ScanRecorded scans RecordedColumns. It reports whether the row has facts. An event of
// the first release has none; [AddFacts] computes them.
func ScanRecorded(row Row) (key payments.Key, r payments.Recorded, hasFacts bool, err error) {
	err = row.Scan(&key.Source, &key.EventID, &key.Kind, intoFacts{&r.Facts, &hasFacts}, &r.InHistory)
	return key, r, hasFacts, err
}

// WithoutFactsColumns are scanned by [AddFacts].
const WithoutFactsColumns = "digest, " + EventColumns

// AddFacts scans WithoutFactsColumns of an event of the first release, and sets the facts
// and the digest of the body in its entry of recorded, if there is one.
func AddFacts(row Row, recorded map[payments.Key]payments.Recorded) error {
	var e payments.Event
	var body payments.Digest
	if err := ScanEvent(row, &e, intoDigest{&body}); err != nil {
		return err
	}
	if r, known := recorded[e.Key]; known {
		r.Facts, r.Body = e.Facts, &body
		recorded[e.Key] = r
	}
	return nil
}

// CheckpointColumns are the columns of a checkpoint that [CheckpointFields] are
// scanned from.
const CheckpointColumns = "before_at, rules, state"

// CheckpointFields returns what CheckpointColumns are scanned into.
func CheckpointFields(c *payments.Checkpoint) []any {
	return []any{intoInstant{&c.Before}, &c.Rules, &c.State}
}

func scanOrder(row Row) (payments.Order, error) {
	var o payments.Order
	err := row.Scan(append([]any{&o.ID}, OrderFields(&o)...)...)
	return o, err
}

func scanListedOrder(row Row) (payments.Order, error) {
	var o payments.Order
	err := row.Scan(append([]any{&o.Sequence, &o.ID}, OrderFields(&o)...)...)
	return o, err
}

func scanListedDispute(row Row) (payments.Dispute, error) {
	var d payments.Dispute
	err := row.Scan(append([]any{&d.Sequence}, DisputeFields(&d)...)...)
	return d, err
}

func scanDispute(row Row) (payments.Dispute, error) {
	var d payments.Dispute
	err := row.Scan(DisputeFields(&d)...)
	return d, err
}

func scanRecorded(row Row) (payments.RecordedEvent, error) {
	var e payments.RecordedEvent
	err := ScanEvent(row, &e.Event, &e.Sequence, intoDigest{&e.BodySHA256})
	return e, err
}

// scanLetter scans LetterColumns. It derives the kind and the deliveries of a dead letter
// from the other columns if an older release did not store them.
func scanLetter(row Row) (*payments.DeadLetter, error) {
	d := new(payments.DeadLetter)
	err := row.Scan(
		&d.ID, &d.Key.Source, &d.Key.EventID, intoDigest{&d.Digest}, &d.Key.Kind,
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &d.Reason}, &d.Detail,
		&d.OrderID, &d.DisputeID, &d.Payload, intoInstant{&d.CreatedAt},
		&d.Deliveries, intoInstant{&d.LastAt}, &d.Resolution, intoInstant{&d.ResolvedAt}, &d.By, &d.Why)
	if d.LastAt.IsZero() {
		d.LastAt = d.CreatedAt
	}
	if d.Key.Kind == "" && d.OrderID != "" { // a dead letter without an event has no order
		d.Key.Kind = EventSubject{DisputeID: d.DisputeID}.kind()
	}
	return d, err
}

func scanAudit(row Row) (payments.AuditEntry, error) {
	var e payments.AuditEntry
	err := row.Scan(&e.ID, intoInstant{&e.At}, &e.Who, &e.Action, &e.Target, &e.OrderID, &e.Why, &e.Before, &e.After)
	return e, err
}

// The types below scan a column from both drivers: Scan is the interface of
// database/sql, for SQLite and for migrations, and the other method is pgx's.

// intoInstant scans a time, in SQLite its microseconds since 1970; NULL is the
// zero time.
type intoInstant struct{ t *time.Time }

func (into intoInstant) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*into.t = time.Time{}
	case int64:
		*into.t = time.UnixMicro(v).UTC()
	case time.Time: // from pgx behind database/sql
		*into.t = v.UTC()
	default:
		return fmt.Errorf("a time has the type %T", value)
	}
	return nil
}

func (into intoInstant) ScanTimestamptz(value pgtype.Timestamptz) error {
	*into.t = time.Time{}
	if value.Valid {
		*into.t = value.Time.UTC()
	}
	return nil
}

// intoTimestamp scans the time of a message; NULL is nil.
type intoTimestamp struct{ ts **timestamppb.Timestamp }

func (into intoTimestamp) Scan(value any) error {
	var at time.Time
	err := intoInstant{&at}.Scan(value)
	if *into.ts = nil; err == nil && value != nil {
		*into.ts = timestamppb.New(at)
	}
	return err
}

func (into intoTimestamp) ScanTimestamptz(value pgtype.Timestamptz) error {
	*into.ts = nil
	if value.Valid {
		*into.ts = timestamppb.New(value.Time)
	}
	return nil
}

// intoEnum scans the name of a value.
type intoEnum[E ~int32] struct {
	names payments.Names[E]
	value *E
}

func (into intoEnum[E]) Scan(value any) (err error) {
	name, ok := value.(string)
	if !ok {
		return fmt.Errorf("a name has the type %T", value)
	}
	*into.value, err = ParseName(into.names, name)
	return err
}

func (into intoEnum[E]) ScanText(name pgtype.Text) (err error) {
	*into.value, err = ParseName(into.names, name.String)
	return err
}

var errDigestSize = errors.New("a digest has the wrong size")

// intoDigest scans a digest.
type intoDigest struct{ digest *payments.Digest }

func (into intoDigest) Scan(value any) error {
	data, ok := value.([]byte)
	if !ok {
		return errDigestSize
	}
	return into.ScanBytes(data)
}

func (into intoDigest) ScanBytes(data []byte) error {
	if len(data) != len(into.digest) {
		return errDigestSize
	}
	*into.digest = payments.Digest(data)
	return nil
}

// intoFacts scans a digest and reports whether there is one: NULL is none.
type intoFacts struct {
	digest *payments.Digest
	has    *bool
}

func (into intoFacts) Scan(value any) error {
	if *into.has = value != nil; value == nil {
		return nil
	}
	return intoDigest{into.digest}.Scan(value)
}

func (into intoFacts) ScanBytes(data []byte) error {
	if *into.has = data != nil; data == nil {
		return nil
	}
	return intoDigest{into.digest}.ScanBytes(data)
}
