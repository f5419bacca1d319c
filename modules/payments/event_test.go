package payments_test

import (
	"fmt"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func due(second int) change {
	return func(u *payrelayv1.Update) { u.GetDispute().EvidenceDueAt = at(second) }
}

func noteText(text string) change { return func(u *payrelayv1.Update) { u.GetNote().Text = text } }
func noteDispute(id string) change {
	return func(u *payrelayv1.Update) { u.GetNote().DisputeId = id }
}

// digits sets the exponent of every amount of an update.
func digits(n int32) change {
	return func(u *payrelayv1.Update) {
		o, d := u.GetOrder(), u.GetDispute()
		for _, m := range []*payrelayv1.Money{o.GetAmount(), o.GetAuthorized(), o.GetCaptured(), o.GetRefunded(), d.GetAmount(), d.GetOutcomeAmount()} {
			if m != nil {
				m.Exponent = &n
			}
		}
	}
}

// Updates with different facts have different digests.
func TestFactsDigestHasEveryFact(t *testing.T) {
	variants := []*payrelayv1.Update{
		order("e1", 0, orderCreated),
		order("e1", 0, orderCreated, of("o2")),
		order("e1", 0, orderUpdated),
		order("e1", 0, orderSuccess),
		order("e1", 0, orderRefunded),
		order("e1", 0, orderNone, providerStatus("settled")),
		order("e1", 0, orderNone, providerStatus("Settled")),
		order("e1", 0, orderNone, providerStatus("created")),
		order("e1", 0, payrelayv1.OrderStatus(98)),
		order("e1", 0, payrelayv1.OrderStatus(99)),
		order("e1", 0, orderCreated, partOf("p1")),
		order("e1", 0, orderCreated, partOf("p2")),
		order("e1", 0, orderCreated, amount(1, "USD")),
		order("e1", 0, orderCreated, amount(0, "USD")),
		order("e1", 0, orderCreated, amount(1, "EUR")),
		order("e1", 0, orderCreated, amount(2, "USD")),
		order("e1", 0, orderCreated, amount(1, "USD"), digits(3)),
		order("e1", 0, orderCreated, amount(1, "XTS")),
		order("e1", 0, orderCreated, amount(1, "XTS"), digits(0)),
		order("e1", 0, orderCreated, amount(1, "XTS"), digits(2)),
		order("e1", 0, orderCreated, authorized(1, "USD")),
		order("e1", 0, orderCreated, captured(1, "USD")),
		order("e1", 0, orderCreated, refundedTotal(1, "USD")),
		order("e1", 0, orderCreated, refundedTotal(0, "USD")),
		order("e1", 0, orderCreated, captured(1, "USD"), refundedTotal(1, "USD")),
		dispute("e1", 0, disputeOpen),
		dispute("e1", 0, disputeOpen, of("o2")),
		dispute("e1", 0, disputeOpen, disputeID("x")),
		dispute("e1", 0, disputeOpen, of("o2"), disputeID("x")),
		dispute("e1", 0, disputeWon),
		dispute("e1", 0, disputeNone, providerStatus("settled")),
		dispute("e1", 0, payrelayv1.DisputeStatus(98)),
		dispute("e1", 0, payrelayv1.DisputeStatus(99)),
		dispute("e1", 0, disputeOpen, stage(1)),
		dispute("e1", 0, disputeOpen, stage(2)),
		dispute("e1", 0, disputeOpen, amount(1, "USD")),
		dispute("e1", 0, disputeOpen, outcomeAmount(1, "USD")),
		dispute("e1", 0, disputeOpen, outcomeAmount(0, "USD")),
		dispute("e1", 0, disputeOpen, reason("fraud")),
		dispute("e1", 0, disputeOpen, reason("goods")),
		dispute("e1", 0, disputeOpen, due(1)),
		dispute("e1", 0, disputeOpen, due(2)),
		note("e1", 0, "comment"),
		note("e1", 0, "fraud_warning"),
		note("e1", 0, "comment", of("o2")),
		note("e1", 0, "comment", noteText("x")),
		note("e1", 0, "comment", noteDispute("x")),
		note("e1", 0, "commentx"),
	}
	seen := make(map[payments.Digest]*payrelayv1.Update)
	for _, u := range variants {
		digest := payments.FactsDigest(u)
		if other := seen[digest]; other != nil {
			t.Errorf("the same digest for\n%v and\n%v", other, u)
		}
		seen[digest] = u
	}
}

// The digest does not depend on what a provider may change in a redelivery.
func TestFactsDigestHasNoForm(t *testing.T) {
	full := func(changes ...change) *payrelayv1.Update {
		u := order("e1", 0, orderSuccess, partOf("p1"), amount(1500, "USD"), captured(1500, "USD"), refundedTotal(0, "USD"))
		for _, change := range changes {
			change(u)
		}
		return u
	}
	claim := func(changes ...change) *payrelayv1.Update {
		u := dispute("e1", 0, disputeOpen, disputeID("x"), reason("fraud"), due(5), stage(2))
		for _, change := range changes {
			change(u)
		}
		return u
	}
	for name, same := range map[string][2]*payrelayv1.Update{
		"another body":           {full(), full(body("x"))},
		"no body":                {full(), full(func(u *payrelayv1.Update) { u.RawBody, u.BodySha256 = nil, nil })},
		"another time":           {full(), full(func(u *payrelayv1.Update) { u.OccurredAt = at(9) })},
		"another receipt":        {full(), full(func(u *payrelayv1.Update) { u.ReceivedAt = at(9) })},
		"another user":           {full(), full(user("u2"))},
		"another event id":       {full(), full(func(u *payrelayv1.Update) { u.EventId = "e2" })},
		"another source":         {full(), full(from("other"))},
		"the schema version":     {full(), full(schema(1))},
		"the creation":           {full(), full(func(u *payrelayv1.Update) { u.GetOrder().CreatedAt = at(-5) })},
		"an idle word":           {full(), full(func(u *payrelayv1.Update) { u.GetOrder().ProviderStatus = "PAID" })},
		"the ISO exponent":       {full(), full(digits(2))},
		"finer money":            {order("e1", 0, orderCreated, amount(10, "JPY")), order("e1", 0, orderCreated, amount(1000, "JPY"), digits(2))},
		"coarser money":          {order("e1", 0, orderCreated, amount(100, "USD")), order("e1", 0, orderCreated, amount(1, "USD"), digits(0))},
		"zero in other forms":    {order("e1", 0, orderCreated, amount(0, "USD")), order("e1", 0, orderCreated, amount(0, "USD"), digits(5))},
		"an unknown currency":    {order("e1", 0, orderCreated, amount(10, "XTS"), digits(0)), order("e1", 0, orderCreated, amount(100, "XTS"), digits(1))},
		"a dispute's zero":       {claim(), claim(amount(0, "USD"))},
		"another dispute's time": {claim(), claim(func(u *payrelayv1.Update) { u.OccurredAt = at(9) })},
		"blanks in the reason":   {claim(), claim(reason(" fraud\t"))},
		"a blank reason":         {dispute("e1", 0, disputeOpen), dispute("e1", 0, disputeOpen, reason("  "))},
		"nanoseconds":            {claim(), claim(func(u *payrelayv1.Update) { u.GetDispute().EvidenceDueAt.Nanos = 999 })},
		"a dispute's idle word":  {claim(), claim(func(u *payrelayv1.Update) { u.GetDispute().ProviderStatus = "OPEN" })},
		"a note's time":          {note("e1", 0, "comment"), note("e1", 9, "comment", user("u2"), body("x"))},
	} {
		if payments.FactsDigest(same[0]) != payments.FactsDigest(same[1]) {
			t.Errorf("%s changes the digest:\n%v\n%v", name, same[0], same[1])
		}
	}
}

// The digests are stored, so they must not change.
func TestFactsDigestIsStable(t *testing.T) {
	for want, u := range map[string]*payrelayv1.Update{
		"c1b3e375": order("e1", 0, orderSuccess, partOf("p1"), amount(1500, "USD"), authorized(1, "JPY"), captured(1500, "USD"), refundedTotal(0, "USD")),
		"6eb456eb": dispute("e1", 0, disputeOpen, disputeID("x"), reason("fraud"), due(5), stage(2), amount(1999, "USD"), outcomeAmount(5, "XTS")),
		"2ff3cada": note("e1", 0, "comment", noteText("x"), noteDispute("y")),
	} {
		if got := payments.FactsDigest(u); fmt.Sprintf("%x", got[:4]) != want {
			t.Errorf("the digest of %v is %x, want %s", u, got[:4], want)
		}
	}
}

// A field of a position counts only if all fields before it are equal.
func TestPositionAfter(t *testing.T) {
	ascending := []payments.Position{
		{At: noon, Stage: 9, Rank: 9, Refunded: 9, Captured: 9, EventID: "z", Source: "z"},
		{At: noon.Add(time.Microsecond)},
		{At: noon.Add(time.Second), Stage: 1, Rank: 9, Refunded: 9, Captured: 9, EventID: "z", Source: "z"},
		{At: noon.Add(time.Second), Stage: 2, Rank: 1, Refunded: 9, Captured: 9, EventID: "z", Source: "z"},
		{At: noon.Add(time.Second), Stage: 2, Rank: 2, Refunded: 1, Captured: 9, EventID: "z", Source: "z"},
		{At: noon.Add(time.Second), Stage: 2, Rank: 2, Refunded: 2, Captured: 1, EventID: "z", Source: "z"},
		{At: noon.Add(time.Second), Stage: 2, Rank: 2, Refunded: 2, Captured: 2, EventID: "a", Source: "z"},
		{At: noon.Add(time.Second), Stage: 2, Rank: 2, Refunded: 2, Captured: 2, EventID: "b", Source: "a"},
		{At: noon.Add(time.Second), Stage: 2, Rank: 2, Refunded: 2, Captured: 2, EventID: "b", Source: "b"},
	}
	for i, p := range ascending {
		for j, q := range ascending {
			if got := p.After(q); got != (i > j) {
				t.Errorf("%+v.After(%+v) = %v", p, q, got)
			}
		}
	}
}

func TestPositionOfAnEvent(t *testing.T) {
	o := order("e1", 3, orderSuccess, refundedTotal(5, "USD"), captured(7, "USD"), amount(9, "USD"))
	o.OccurredAt = &timestamppb.Timestamp{Seconds: 1e9, Nanos: 1999}
	d := dispute("d1", 3, disputeLost, stage(3), from("acme"))
	for _, test := range []struct {
		u    *payrelayv1.Update
		want payments.Position
	}{
		{o, payments.Position{At: time.Unix(1e9, 1000).UTC(), Rank: 6, Refunded: 5, Captured: 7, EventID: "e1", Source: "generic"}},
		{d, payments.Position{At: at(3).AsTime(), Stage: 3, Rank: 5, EventID: "d1", Source: "acme"}},
		{order("e2", 0, orderNone, providerStatus("x")), payments.Position{At: noon, EventID: "e2", Source: "generic"}},
	} {
		if got := payments.PositionOf(&payments.Event{Key: keyOf(test.u), Update: test.u}); got != test.want {
			t.Errorf("position of %v is %+v, want %+v", test.u, got, test.want)
		}
	}
}
