package postgres

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The columns as they are read, in the sequence of the fields below that they are
// read into.
const (
	orderColumns   = "status, user_id, amount, currency, created_at, updated_at"
	disputeColumns = "dispute_id, order_id, status, user_id, reason, amount, currency, opened_at, updated_at, evidence_due_at"
	headColumns    = "head_at, head_rank, head_event_id"
	eventColumns   = `provider, event_id, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency,
		occurred_at, received_at, order_created_at, evidence_due_at, verdict, dead_letter_reason, recorded_at, schema_version, digest`
	letterColumns = "id, provider, event_id, digest, reason, detail, order_id, dispute_id, payload, created_at, resolution, resolved_at"
)

func orderFields(o *payments.Order) []any {
	return []any{
		intoEnum[payrelayv1.OrderStatus]{payments.OrderStatuses, &o.Status}, &o.UserID, &o.Amount.MinorUnits, &o.Amount.Currency,
		intoInstant{&o.CreatedAt}, intoInstant{&o.UpdatedAt},
	}
}

// disputeFields and headFields take NULL too, where there is no dispute.
func disputeFields(d *payments.Dispute) []any {
	return []any{
		orNone(&d.ID), orNone(&d.OrderID), intoEnum[payrelayv1.DisputeStatus]{payments.DisputeStatuses, &d.Status},
		orNone(&d.UserID), orNone(&d.Reason), (*zeronull.Int8)(&d.Amount.MinorUnits), orNone(&d.Amount.Currency),
		intoInstant{&d.OpenedAt}, intoInstant{&d.UpdatedAt}, intoInstant{&d.EvidenceDueAt},
	}
}

func headFields(head *payments.Position) []any {
	return []any{intoInstant{&head.At}, intoRank{&head.Rank}, orNone(&head.EventID)}
}

func orNone(text *string) *zeronull.Text { return (*zeronull.Text)(text) }

// intoRank scans a rank; NULL is 0.
type intoRank struct{ rank *int }

func (into intoRank) ScanInt64(value pgtype.Int8) error {
	*into.rank = int(value.Int64)
	return nil
}

func scanOrder(row pgx.CollectableRow) (payments.Order, error) {
	var o payments.Order
	err := row.Scan(append([]any{&o.ID}, orderFields(&o)...)...)
	return o, err
}

func scanDispute(row pgx.CollectableRow) (payments.Dispute, error) {
	var d payments.Dispute
	err := row.Scan(disputeFields(&d)...)
	return d, err
}

func scanLetter(row pgx.CollectableRow) (*payments.DeadLetter, error) {
	d := new(payments.DeadLetter)
	return d, row.Scan(
		&d.ID, &d.Key.Provider, &d.Key.EventID, intoDigest{&d.Digest},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &d.Reason}, &d.Detail,
		&d.OrderID, &d.DisputeID, &d.Payload, intoInstant{&d.CreatedAt}, &d.Resolution, intoInstant{&d.ResolvedAt})
}

func scanRecorded(row pgx.CollectableRow) (payments.RecordedEvent, error) {
	var e payments.RecordedEvent
	err := scanEvent(row, &e.Event, &e.Sequence)
	return e, err
}

// scanEvent reads the event columns, after others that the caller wants first.
func scanEvent(row pgx.CollectableRow, e *payments.Event, first ...any) error {
	u, r := new(payrelayv1.Update), eventRow{amount: new(payrelayv1.Money)}
	err := row.Scan(append(first,
		&u.Provider, &u.EventId, &u.OrderId, &r.disputeID, &u.UserId, &r.status, &r.providerStatus, &r.reason,
		&r.amount.MinorUnits, &r.amount.Currency, intoStamp{&u.OccurredAt}, intoStamp{&u.ReceivedAt},
		intoStamp{&r.orderCreatedAt}, intoStamp{&r.evidenceDueAt}, intoEnum[payrelayv1.Verdict]{payments.Verdicts, &e.Verdict},
		intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &e.Reason}, intoInstant{&e.RecordedAt},
		&u.SchemaVersion, intoDigest{&e.Digest})...)
	if err != nil {
		return err
	}
	e.Key = payments.Key{Provider: u.GetProvider(), EventID: u.GetEventId()}
	e.Update = u
	if err := r.describe(u); err != nil {
		return fmt.Errorf("event %s/%s: %w", e.Key.Provider, e.Key.EventID, err)
	}
	return nil
}

// describe gives the update its order or dispute.
func (e eventRow) describe(u *payrelayv1.Update) error {
	if e.amount.GetCurrency() == "" {
		e.amount = nil
	}
	if e.disputeID != "" {
		status, err := parseReported(payments.DisputeStatuses, e.status)
		u.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: e.disputeID, Status: status, ProviderStatus: e.providerStatus, Reason: e.reason,
			Amount: e.amount, EvidenceDueAt: e.evidenceDueAt,
		}}
		return err
	}
	status, err := parseReported(payments.OrderStatuses, e.status)
	u.Subject = &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
		Status: status, ProviderStatus: e.providerStatus, CreatedAt: e.orderCreatedAt, Amount: e.amount,
	}}
	return err
}

// intoInstant scans a time; NULL is the zero time.
type intoInstant struct{ t *time.Time }

func (into intoInstant) ScanTimestamptz(value pgtype.Timestamptz) error {
	*into.t = time.Time{}
	if value.Valid {
		*into.t = value.Time.UTC()
	}
	return nil
}

// intoStamp scans a time of a message; NULL is none.
type intoStamp struct{ ts **timestamppb.Timestamp }

func (into intoStamp) ScanTimestamptz(value pgtype.Timestamptz) error {
	*into.ts = nil
	if value.Valid {
		*into.ts = timestamppb.New(value.Time)
	}
	return nil
}

// intoEnum scans the name of a value. A name from a newer release is an error:
// taken for none, an order would lose its status.
type intoEnum[E ~int32] struct {
	names payments.Names[E]
	value *E
}

func (into intoEnum[E]) ScanText(name pgtype.Text) error {
	known := name.String == ""
	*into.value = 0
	if !known {
		*into.value, known = into.names.Parse(name.String)
	}
	if !known {
		return fmt.Errorf("%q is not a name that this release knows", name.String)
	}
	return nil
}

var errDigestSize = errors.New("a digest of the wrong size")

// intoDigest scans a payments.Digest.
type intoDigest struct{ digest *payments.Digest }

func (into intoDigest) ScanBytes(data []byte) error {
	if len(data) != len(into.digest) {
		return errDigestSize
	}
	*into.digest = payments.Digest(data)
	return nil
}

// reported is a status as an event reports it. One that this release has no name
// for is kept as its number, for the release that knows it.
func reported[E ~int32](names payments.Names[E], status E) string {
	name := names.Name(status)
	if name == "" && status != 0 {
		return strconv.Itoa(int(status))
	}
	return name
}

// parseReported is the inverse of reported, in any release.
func parseReported[E ~int32](names payments.Names[E], text string) (E, error) {
	if status, known := names.Parse(text); known || text == "" {
		return status, nil
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a status that this release knows", text)
	}
	return E(number), nil
}
