package postgres

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"google.golang.org/protobuf/types/known/timestamppb"
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

// intoEnum scans the name of a value.
type intoEnum[E ~int32] struct {
	names payments.Names[E]
	value *E
}

func (into intoEnum[E]) ScanText(name pgtype.Text) (err error) {
	*into.value, err = store.ParseName(into.names, name.String)
	return err
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
