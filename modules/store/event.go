package store

import (
	"fmt"
	"strconv"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
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
}

// SubjectOf returns the subject of an event.
func SubjectOf(e *payments.Event) EventSubject {
	if d := e.Update.GetDispute(); d != nil {
		return EventSubject{
			DisputeID: e.DisputeID(), Status: reported(payments.DisputeStatuses, d.GetStatus()), ProviderStatus: d.GetProviderStatus(),
			Reason: d.GetReason(), EvidenceDueAt: d.GetEvidenceDueAt(), Amount: amountOf(d.GetAmount()),
		}
	}
	o := e.Update.GetOrder()
	return EventSubject{
		Status: reported(payments.OrderStatuses, o.GetStatus()), ProviderStatus: o.GetProviderStatus(),
		OrderCreatedAt: o.GetCreatedAt(), Amount: amountOf(o.GetAmount()),
	}
}

// Complete sets the key and the update of an event that was read, from the columns
// of its subject and the update's other fields.
func (s EventSubject) Complete(e *payments.Event, u *payrelayv1.Update) error {
	e.Key = payments.Key{Provider: u.GetProvider(), EventID: u.GetEventId()}
	e.Update = u
	if err := s.describe(u); err != nil {
		return fmt.Errorf("event %s/%s: %w", e.Key.Provider, e.Key.EventID, err)
	}
	return nil
}

func (s EventSubject) describe(u *payrelayv1.Update) (err error) {
	if s.DisputeID == "" {
		o := &payrelayv1.OrderSnapshot{ProviderStatus: s.ProviderStatus, CreatedAt: s.OrderCreatedAt, Amount: s.money()}
		u.Subject = &payrelayv1.Update_Order{Order: o}
		o.Status, err = parseReported(payments.OrderStatuses, s.Status)
		return err
	}
	d := &payrelayv1.DisputeSnapshot{
		DisputeId: s.DisputeID, ProviderStatus: s.ProviderStatus, Reason: s.Reason, Amount: s.money(), EvidenceDueAt: s.EvidenceDueAt,
	}
	u.Subject = &payrelayv1.Update_Dispute{Dispute: d}
	d.Status, err = parseReported(payments.DisputeStatuses, s.Status)
	return err
}

func amountOf(m *payrelayv1.Money) payments.Money {
	return payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
}

func (s EventSubject) money() *payrelayv1.Money {
	if s.Amount.Currency == "" {
		return nil
	}
	return &payrelayv1.Money{MinorUnits: s.Amount.MinorUnits, Currency: s.Amount.Currency}
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
