package api

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// stamp returns a time as a timestamp, or nil for the zero time.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// convert returns the messages of items.
func convert[S, M any](items []S, message func(S) M) []M {
	messages := make([]M, len(items))
	for i, item := range items {
		messages[i] = message(item)
	}
	return messages
}

func flagNames(flags []payments.Flag) []string {
	var names []string
	for _, flag := range flags {
		names = append(names, string(flag))
	}
	return names
}

func orderMessage(o payments.Order) *payrelayv1.Order {
	totals := o.Totals()
	return &payrelayv1.Order{
		OrderId: o.ID, Status: o.Status, View: o.View(), UserId: o.UserID,
		Amount: o.Amount.Proto(), Authorized: totals.Authorized.Proto(), Captured: totals.Captured.Proto(), Refunded: totals.Refunded.Proto(),
		Flags: flagNames(o.Flags()), CreatedAt: stamp(o.CreatedAt), UpdatedAt: stamp(o.UpdatedAt),
	}
}

// disputeMessage returns the message of a dispute. The order is the one that the dispute
// belongs to, or nil if it is unknown.
func disputeMessage(d payments.Dispute, order *payments.Order) *payrelayv1.Dispute {
	return &payrelayv1.Dispute{
		Source: d.Source, DisputeId: d.ID, OrderId: d.OrderID, Stage: d.Stage, Status: d.Status, Reopened: int32(d.Reopened),
		UserId: d.UserID, Reason: d.Reason, Amount: d.Amount.Proto(), OutcomeAmount: d.OutcomeAmount.Proto(), Flags: flagNames(d.Flags(order)),
		OpenedAt: stamp(d.OpenedAt), UpdatedAt: stamp(d.UpdatedAt), EvidenceDueAt: stamp(d.EvidenceDueAt),
	}
}

func eventMessage(e payments.RecordedEvent) *payrelayv1.Event {
	return &payrelayv1.Event{
		Sequence: e.Sequence, Update: withoutBody(e.Update, e.BodySHA256[:]),
		Outcome: &payrelayv1.Outcome{Verdict: e.Verdict, Reason: e.Reason},
		Forced:  e.Forced, Discarded: e.Discarded, RecordedAt: stamp(e.RecordedAt),
	}
}

// withoutBody returns a copy of the update without its body. Digest is that of the body.
func withoutBody(u *payrelayv1.Update, digest []byte) *payrelayv1.Update {
	bare := proto.CloneOf(u)
	bare.RawBody, bare.BodySha256 = nil, digest
	return bare
}

func timelineMessage(e payments.TimelineEntry) *payrelayv1.TimelineEntry {
	return &payrelayv1.TimelineEntry{Event: eventMessage(e.RecordedEvent), StatusBefore: e.Before, StatusAfter: e.After, Late: e.Late, Why: e.Why}
}

func letterMessage(d *payments.DeadLetter) *payrelayv1.DeadLetter {
	return &payrelayv1.DeadLetter{
		Id: d.ID, Source: d.Key.Source, Kind: string(d.Key.Kind), EventId: d.Key.EventID, OrderId: d.OrderID, DisputeId: d.DisputeID,
		Reason: d.Reason, Detail: d.Detail, CreatedAt: stamp(d.CreatedAt), Deliveries: d.Deliveries, LastAt: stamp(d.LastAt),
		Resolution: string(d.Resolution), ResolvedAt: stamp(d.ResolvedAt), ResolvedBy: d.By, ResolvedWhy: d.Why, Digest: d.Digest[:],
	}
}

// letterUpdate returns the update of a dead letter, or nil if it holds none. It leaves out
// the fields that this release does not know, which may have a body. Some text of a Kafka
// record parses as a message of such fields, and every update has a provider.
func letterUpdate(d *payments.DeadLetter) *payrelayv1.Update {
	u := new(payrelayv1.Update)
	if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(d.Payload, u) != nil || u.GetProvider() == "" {
		return nil
	}
	return u
}

func auditMessage(a payments.AuditEntry) *payrelayv1.AuditEntry {
	return &payrelayv1.AuditEntry{
		Id: a.ID, At: stamp(a.At), Who: a.Who, Action: string(a.Action), Target: a.Target, OrderId: a.OrderID,
		Why: a.Why, Before: a.Before, After: a.After,
	}
}

func differenceMessage(d payments.Difference) *payrelayv1.Difference {
	return &payrelayv1.Difference{
		OrderId: d.Of.Order, Source: d.Of.Dispute.Source, DisputeId: d.Of.Dispute.ID,
		Field: d.Field, Stored: d.Stored, Derived: d.Derived,
	}
}
