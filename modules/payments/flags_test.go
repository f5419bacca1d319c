package payments_test

import (
	"fmt"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// orderAfter returns the order after the lines of a scenario.
func orderAfter(t *testing.T, lines ...string) payments.Order {
	t.Helper()
	b := newFixture(t)
	for _, line := range lines {
		b.apply(oracle.ParseUpdate(t, strings.Fields(line)))
	}
	return b.store.order("o1")
}

func flagNames(flags []payments.Flag) string {
	return strings.Trim(fmt.Sprint(flags), "[]")
}

func TestOrderFlags(t *testing.T) {
	for _, test := range []struct {
		name, want string
		lines      []string
	}{
		{"nothing known", "", []string{"e1 0 order created"}},
		{"paid", "", []string{"e1 0 order success amount=100USD captured=100USD refunded=100USD"}},
		{"all refunded without a number", "", []string{"e1 0 order success amount=100USD", "e2 1m order refunded"}},
		{"refunded more than captured", "over_refunded", []string{"e1 0 order success captured=100USD refunded=101USD"}},
		{"refunds of parts", "over_refunded", []string{
			"e1 0 order success part=p captured=100USD", "e2 1m order updated part=r1 refunded=60USD", "e3 2m order updated part=r2 refunded=60USD"}},
		{"refunded without a capture that is known", "", []string{"e1 0 order success refunded=101USD"}},
		{"paid twice", "overpaid", []string{
			"e1 0 order success part=p amount=100USD captured=100USD", "e2 1m order success part=q amount=100USD captured=100USD"}},
		{"paid less", "", []string{"e1 0 order success amount=100USD captured=60USD"}},
		{"both", "over_refunded overpaid", []string{"e1 0 order success amount=1USD captured=2USD refunded=3USD"}},
		{"another cart", "", []string{"e1 0 order created amount=100USD", "e2 1m order success amount=90EUR"}},
		{"parts in two currencies", "currency_differs", []string{
			"e1 0 order updated part=p captured=100USD", "e2 1m order updated part=q captured=90EUR"}},
		{"no such currency", "currency_unknown", []string{"e1 0 order created amount=100QQQ"}},
		{"no such currency of a part", "currency_unknown", []string{"e1 0 order created part=p authorized=100QQQ"}},
	} {
		if got := flagNames(orderAfter(t, test.lines...).Flags()); got != test.want {
			t.Errorf("%s: Flags() = [%s], want [%s]", test.name, got, test.want)
		}
	}
}

func TestFlagOfAnotherMinorUnit(t *testing.T) {
	for text, want := range map[[2]string]string{
		{"500.00", "JPY"}:  "",
		{"500.25", "JPY"}:  "non_standard_exponent",
		{"1.005", "USD"}:   "non_standard_exponent",
		{"1.005", "KWD"}:   "",
		{"1.5", "XTESTCO"}: "currency_unknown",
	} {
		amount, err := payments.ParseMoney(text[0], text[1])
		if err != nil {
			t.Fatal(err)
		}
		b := newFixture(t)
		u := oracle.ParseUpdate(t, []string{"e1", "0", "order", "created"})
		u.GetOrder().Amount = amount
		d := oracle.ParseUpdate(t, []string{"e2", "0", "dispute", "open"})
		d.GetDispute().OutcomeAmount = amount
		b.apply(u, d)
		if got := flagNames(b.store.order("o1").Flags()); got != want {
			t.Errorf("Flags() of an order about %v = [%s], want [%s]", text, got, want)
		}
		if got := flagNames(b.store.dispute("o1").Flags(nil)); got != want {
			t.Errorf("Flags() of a dispute with the outcome %v = [%s], want [%s]", text, got, want)
		}
	}
}

func TestDisputeFlags(t *testing.T) {
	paid := orderAfter(t, "e1 0 order success amount=100USD captured=60USD")
	unpaid := orderAfter(t, "e1 0 order created amount=100USD")
	bare := orderAfter(t, "e1 0 order created")
	usd := func(units int64) payments.Money { return payments.Money{MinorUnits: units, Currency: "USD"} }
	cents := payments.Money{MinorUnits: 60_00, Currency: "USD", Exponent: 5} // ten-thousandths
	for _, test := range []struct {
		name    string
		dispute payments.Dispute
		order   *payments.Order
		want    string
	}{
		{"without an order", payments.Dispute{Amount: usd(1000)}, nil, ""},
		{"without an amount", payments.Dispute{}, &paid, ""},
		{"about a part of the money", payments.Dispute{Amount: usd(60)}, &paid, ""},
		{"about more than was captured", payments.Dispute{Amount: usd(61)}, &paid, "dispute_exceeds_order"},
		{"about no more than the amount", payments.Dispute{Amount: usd(100)}, &unpaid, ""},
		{"about more than the amount", payments.Dispute{Amount: usd(101)}, &unpaid, "dispute_exceeds_order"},
		{"in a finer unit", payments.Dispute{Amount: cents}, &paid, "non_standard_exponent"},
		{"about an order without an amount", payments.Dispute{Amount: usd(101)}, &bare, ""},
		{"in another currency", payments.Dispute{Amount: payments.Money{MinorUnits: 1000, Currency: "EUR"}}, &paid, "currency_differs"},
		{"in an unknown currency", payments.Dispute{Amount: payments.Money{MinorUnits: 1, Currency: "QQQ"}}, &paid, "currency_differs currency_unknown"},
		{"opened again", payments.Dispute{Reopened: 2}, nil, "reopened"},
	} {
		if got := flagNames(test.dispute.Flags(test.order)); got != test.want {
			t.Errorf("dispute %s: Flags() = [%s], want [%s]", test.name, got, test.want)
		}
	}
}

// An order whose parts cannot be read is shown without their amounts.
func TestFlagsOfPartsThatCannotBeRead(t *testing.T) {
	o := payments.Order{Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, Amount: payments.Money{MinorUnits: 1, Currency: "QQQ"}, Parts: "{"}
	if got := flagNames(o.Flags()); got != "currency_unknown" || o.View() != "success" {
		t.Errorf("Flags() = [%s], View() = %s, want [currency_unknown] and success", got, o.View())
	}
}
