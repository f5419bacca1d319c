package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The columns of the tables, in the order in which the functions of this file scan
// them.
const (
	OrderColumns   = "status, user_id, amount, currency, created_at, updated_at"
	DisputeColumns = "dispute_id, order_id, status, user_id, reason, amount, currency, opened_at, updated_at, evidence_due_at"
	HeadColumns    = "head_at, head_rank, head_event_id"
	EventColumns   = `provider, event_id, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
		occurred_at, received_at, order_created_at, evidence_due_at, verdict, dead_letter_reason, recorded_at, schema_version, digest`
	LetterColumns = "provider, event_id, digest, reason, detail, order_id, dispute_id, payload, created_at, resolution, resolved_at"
)

// Row is a row of a result. *sql.Rows and pgx.Rows are rows.
type Row interface{ Scan(into ...any) error }

// OrderFields returns what OrderColumns are scanned into.
func OrderFields(o *payments.Order) []any {
	return []any{
		intoEnum[payrelayv1.OrderStatus]{payments.OrderStatuses, &o.Status}, &o.UserID, &o.Amount.MinorUnits, &o.Amount.Currency,
		intoInstant{&o.CreatedAt}, intoInstant{&o.UpdatedAt},
	}
}

// DisputeFields returns what DisputeColumns are scanned into. Like HeadFields it
// accepts NULL in each column, for an order without a dispute.
func DisputeFields(d *payments.Dispute) []any {
	return []any{
		intoText{&d.ID}, intoText{&d.OrderID}, intoEnum[payrelayv1.DisputeStatus]{payments.DisputeStatuses, &d.Status},
		intoText{&d.UserID}, intoText{&d.Reason}, intoInteger[int64]{&d.Amount.MinorUnits}, intoText{&d.Amount.Currency},
		intoInstant{&d.OpenedAt}, intoInstant{&d.UpdatedAt}, intoInstant{&d.EvidenceDueAt},
	}
}

// HeadFields returns what HeadColumns are scanned into.
func HeadFields(head *payments.Position) []any {
	return []any{intoInstant{&head.At}, intoInteger[int]{&head.Rank}, intoText{&head.EventID}}
}

// DigestField returns what a digest is scanned into.
func DigestField(digest *payments.Digest) any { return intoDigest{digest} }

// ScanEvent scans EventColumns, after columns that are scanned into first.
func ScanEvent(row Row, e *payments.Event, first ...any) error {
	u, subject := new(payrelayv1.Update), new(EventSubject)
	err := row.Scan(append(first,
		&u.Provider, &u.EventId, &u.OrderId, &subject.DisputeID, &u.UserId, &subject.Status, &subject.ProviderStatus, &subject.Reason,
		&subject.Amount.MinorUnits, &subject.Amount.Currency, intoTimestamp{&u.OccurredAt}, intoTimestamp{&u.ReceivedAt},
		intoTimestamp{&subject.OrderCreatedAt}, intoTimestamp{&subject.EvidenceDueAt}, intoEnum[payrelayv1.Verdict]{payments.Verdicts, &e.Verdict},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &e.Reason}, intoInstant{&e.RecordedAt},
		&u.SchemaVersion, intoDigest{&e.Digest})...)
	if err != nil {
		return err
	}
	return subject.Complete(e, u)
}

func scanOrder(row Row) (payments.Order, error) {
	var o payments.Order
	err := row.Scan(append([]any{&o.ID}, OrderFields(&o)...)...)
	return o, err
}

func scanDispute(row Row) (payments.Dispute, error) {
	var d payments.Dispute
	err := row.Scan(DisputeFields(&d)...)
	return d, err
}

func scanRecorded(row Row) (payments.RecordedEvent, error) {
	var e payments.RecordedEvent
	err := ScanEvent(row, &e.Event, &e.Sequence)
	return e, err
}

func scanLetter(row Row) (*payments.DeadLetter, error) {
	d := new(payments.DeadLetter)
	return d, row.Scan(
		&d.ID, &d.Key.Provider, &d.Key.EventID, intoDigest{&d.Digest},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &d.Reason}, &d.Detail,
		&d.OrderID, &d.DisputeID, &d.Payload, intoInstant{&d.CreatedAt}, &d.Resolution, intoInstant{&d.ResolvedAt})
}

// The types below scan a column from both drivers: Scan is the interface of
// database/sql, for SQLite, and the other method is pgx's.

// intoInstant scans a time, in SQLite its microseconds since 1970; NULL is the
// zero time.
type intoInstant struct{ t *time.Time }

func (into intoInstant) Scan(value any) error {
	micros, ok := value.(int64)
	if !ok && value != nil {
		return fmt.Errorf("a time has the type %T", value)
	}
	*into.t = time.Time{}
	if ok {
		*into.t = time.UnixMicro(micros).UTC()
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
	micros, ok := value.(int64)
	if !ok && value != nil {
		return fmt.Errorf("a time has the type %T", value)
	}
	*into.ts = nil
	if ok {
		*into.ts = timestamppb.New(time.UnixMicro(micros))
	}
	return nil
}

func (into intoTimestamp) ScanTimestamptz(value pgtype.Timestamptz) error {
	*into.ts = nil
	if value.Valid {
		*into.ts = timestamppb.New(value.Time)
	}
	return nil
}

// intoText scans a text; NULL is the empty one.
type intoText struct{ text *string }

func (into intoText) Scan(value any) error {
	text, ok := value.(string)
	if !ok && value != nil {
		return fmt.Errorf("a text has the type %T", value)
	}
	*into.text = text
	return nil
}

func (into intoText) ScanText(value pgtype.Text) error {
	*into.text = value.String
	return nil
}

// intoInteger scans an integer; NULL is 0.
type intoInteger[T int | int64] struct{ number *T }

func (into intoInteger[T]) Scan(value any) error {
	number, ok := value.(int64)
	if !ok && value != nil {
		return fmt.Errorf("an integer has the type %T", value)
	}
	*into.number = T(number)
	return nil
}

func (into intoInteger[T]) ScanInt64(value pgtype.Int8) error {
	*into.number = T(value.Int64)
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
