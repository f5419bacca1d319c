package store

import (
	"fmt"
	"strconv"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// EventSubject is what an event reports about its order or dispute, in the columns
// of the events table, which are the same for both.
type EventSubject struct {
	// DisputeID is empty for an order.
	DisputeID, Status, ProviderStatus, Reason string
	OrderCreatedAt, EvidenceDueAt             *timestamppb.Timestamp
	// Amount has an empty currency if the event reports no amount.
	Amount payments.Money
	Note   bool
	// Whole is an update with nothing but the subject, as binary Protobuf. It is nil
	// if the fields above hold all of the subject.
	Whole []byte
}

// SubjectOf returns the subject of an event.
func SubjectOf(e *payments.Event) (s EventSubject) {
	whole := false
	switch subject := e.Update.GetSubject().(type) {
	case *payrelayv1.Update_Dispute:
		d := subject.Dispute
		s = EventSubject{
			DisputeID: e.Dispute().ID, Status: reported(payments.DisputeStatuses, d.GetStatus()), ProviderStatus: d.GetProviderStatus(),
			Reason: d.GetReason(), EvidenceDueAt: d.GetEvidenceDueAt(), Amount: amountOf(d.GetAmount()),
		}
		whole = d.GetStage() != 0 || d.GetOutcomeAmount() != nil || hasExponent(d.GetAmount())
	case *payrelayv1.Update_Note:
		s = EventSubject{DisputeID: subject.Note.GetDisputeId(), Note: true}
		whole = true
	default:
		o := e.Update.GetOrder()
		s = EventSubject{
			Status: reported(payments.OrderStatuses, o.GetStatus()), ProviderStatus: o.GetProviderStatus(),
			OrderCreatedAt: o.GetCreatedAt(), Amount: amountOf(o.GetAmount()),
		}
		whole = o.GetPart() != "" || o.GetAuthorized() != nil || o.GetCaptured() != nil || o.GetRefunded() != nil || hasExponent(o.GetAmount())
	}
	if whole {
		// Marshal fails only for text that is not UTF-8, which no valid update has.
		s.Whole, _ = proto.Marshal(&payrelayv1.Update{Subject: e.Update.Subject})
	}
	return s
}

// Complete sets the key and the update of an event that was read, from the columns
// of its subject and the update's other fields. hasFacts is false for an event of a
// release that did not store the facts; Complete then computes them.
func (s EventSubject) Complete(e *payments.Event, u *payrelayv1.Update, hasFacts bool) error {
	e.Key = payments.Key{Source: u.GetProvider(), Kind: s.kind(), EventID: u.GetEventId()}
	e.Update = u
	if err := s.describe(u); err != nil {
		return fmt.Errorf("event %s/%s: %w", e.Key.Source, e.Key.EventID, err)
	}
	if !hasFacts {
		e.Facts = payments.FactsDigest(u)
	}
	return nil
}

func (s EventSubject) kind() payments.Kind {
	switch {
	case s.Note:
		return payments.KindNote
	case s.DisputeID != "":
		return payments.KindDispute
	default:
		return payments.KindOrder
	}
}

func (s EventSubject) describe(u *payrelayv1.Update) (err error) {
	whole := new(payrelayv1.Update)
	if err := proto.Unmarshal(s.Whole, whole); err != nil {
		return fmt.Errorf("read its subject: %w", err)
	}
	switch s.kind() {
	case payments.KindNote:
		u.Subject = whole.Subject
		return nil
	case payments.KindDispute:
		d := whole.GetDispute()
		if d == nil {
			d = &payrelayv1.DisputeSnapshot{ProviderStatus: s.ProviderStatus, Reason: s.Reason, Amount: s.Amount.Proto()}
		}
		d.DisputeId, d.EvidenceDueAt = s.DisputeID, s.EvidenceDueAt
		u.Subject = &payrelayv1.Update_Dispute{Dispute: d}
		d.Status, err = parseReported(payments.DisputeStatuses, s.Status)
		return err
	default:
		o := whole.GetOrder()
		if o == nil {
			o = &payrelayv1.OrderSnapshot{ProviderStatus: s.ProviderStatus, Amount: s.Amount.Proto()}
		}
		o.CreatedAt = s.OrderCreatedAt
		u.Subject = &payrelayv1.Update_Order{Order: o}
		o.Status, err = parseReported(payments.OrderStatuses, s.Status)
		return err
	}
}

func hasExponent(m *payrelayv1.Money) bool { return m != nil && m.Exponent != nil }

// amountOf returns an amount without its exponent, which has no column.
func amountOf(m *payrelayv1.Money) payments.Money {
	return payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
}

// reported returns the name of a status that an event reports. A status that this
// release does not know is kept as its number, for the release that does.
func reported[E ~int32](names payments.Names[E], status E) string {
	name := names.Name(status)
	if name == "" && status != 0 {
		return strconv.Itoa(int(status))
	}
	return name
}

// parseReported is the inverse of reported. It also reads what another release
// wrote.
func parseReported[E ~int32](names payments.Names[E], text string) (E, error) {
	if status, known := names.Parse(text); known || text == "" {
		return status, nil
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("this release does not know the status %q", text)
	}
	return E(number), nil
}

// ParseName returns the value of a name, the unspecified value for an empty one. A
// name that only a newer release knows is an error: read as unspecified, an order
// would lose its status.
func ParseName[E ~int32](names payments.Names[E], name string) (E, error) {
	value, known := names.Parse(name)
	if !known && name != "" {
		return 0, fmt.Errorf("this release does not know the name %q", name)
	}
	return value, nil
}
