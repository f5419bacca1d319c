package payments_test

import (
	"errors"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

func TestParseMoney(t *testing.T) {
	for _, test := range []struct {
		amount, currency string
		want             int64
	}{
		{"100.50", "USD", 10050},
		{"100.5", "USD", 10050},
		{"100", "USD", 10000},
		{"0", "USD", 0},
		{"0.00", "USD", 0},
		{"0.01", "USD", 1},
		{"0.1", "EUR", 10},
		{"01", "USD", 100},
		{"0000000000000000000000000000007.25", "USD", 725},
		{"0.07", "USD", 7},
		{"500", "JPY", 500},
		{"0", "JPY", 0},
		{"1", "KWD", 1000},
		{"1.5", "KWD", 1500},
		{"1.234", "KWD", 1234},
		{"90071992547409.93", "USD", 9007199254740993}, // not exact as a float64
		{"92233720368547758.07", "USD", 9223372036854775807},
		{"9223372036854775807", "JPY", 9223372036854775807},
	} {
		got, err := payments.ParseMoney(test.amount, test.currency)
		want := &payrelayv1.Money{MinorUnits: test.want, Currency: test.currency}
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("ParseMoney(%q, %s) = %v, %v; want %v", test.amount, test.currency, got, err, want)
		}
	}
}

// ParseMoney normalizes the form, never rounds, and accepts unknown currencies.
func TestParseMoneyKeepsTheValue(t *testing.T) {
	for _, test := range []struct {
		amount, currency string
		want             payments.Money
		digits           int
		known            bool
	}{
		{"500.00", "JPY", payments.Money{MinorUnits: 500, Currency: "JPY"}, 0, true},
		{"1.0", "JPY", payments.Money{MinorUnits: 1, Currency: "JPY"}, 0, true},
		{"100.5000", "USD", payments.Money{MinorUnits: 10050, Currency: "USD"}, 2, true},
		{"1.000", "USD", payments.Money{MinorUnits: 100, Currency: "USD"}, 2, true},
		{"5", "usd", payments.Money{MinorUnits: 500, Currency: "USD"}, 2, true},
		{"5", " Usd\t", payments.Money{MinorUnits: 500, Currency: "USD"}, 2, true},
		{"19.999", "USD", payments.Money{MinorUnits: 19999, Currency: "USD", Exponent: 4}, 3, true},
		{"1.001", "USD", payments.Money{MinorUnits: 1001, Currency: "USD", Exponent: 4}, 3, true},
		{"1.5", "JPY", payments.Money{MinorUnits: 15, Currency: "JPY", Exponent: 2}, 1, true},
		{"1.50", "JPY", payments.Money{MinorUnits: 15, Currency: "JPY", Exponent: 2}, 1, true},
		{"1.2345", "KWD", payments.Money{MinorUnits: 12345, Currency: "KWD", Exponent: 5}, 4, true},
		{"0.000000000000000001", "USD", payments.Money{MinorUnits: 1, Currency: "USD", Exponent: 19}, 18, true},
		{"1.50", "HRK", payments.Money{MinorUnits: 150, Currency: "HRK"}, 2, true},
		{"1", "XTS", payments.Money{MinorUnits: 1, Currency: "XTS", Exponent: 1}, 0, true},
		{"1.10", "USDT", payments.Money{MinorUnits: 11, Currency: "USDT", Exponent: 2}, 1, true},
		{"7.00", "B2B", payments.Money{MinorUnits: 7, Currency: "B2B", Exponent: 1}, 0, true},
		{"1", "ABCDEFGH10", payments.Money{MinorUnits: 1, Currency: "ABCDEFGH10", Exponent: 1}, 0, true},
	} {
		got, err := payments.ParseMoney(test.amount, test.currency)
		if err != nil || !proto.Equal(got, test.want.Proto()) {
			t.Errorf("ParseMoney(%q, %q) = %v, %v; want %v", test.amount, test.currency, got, err, test.want)
		}
		if digits, known := test.want.Digits(); digits != test.digits || known != test.known {
			t.Errorf("%v has %d digits (known: %v), want %d", test.want, digits, known, test.digits)
		}
	}
}

func TestParseMoneyRefuses(t *testing.T) {
	for _, test := range []struct{ amount, currency, code string }{
		{"-1", "USD", "invalid_amount"},
		{"-0", "USD", "invalid_amount"},
		{"+1", "USD", "invalid_amount"},
		{"1e3", "USD", "invalid_amount"},
		{"1E3", "USD", "invalid_amount"},
		{"1.0e-1", "USD", "invalid_amount"},
		{"", "USD", "invalid_amount"},
		{".", "USD", "invalid_amount"},
		{"1.", "USD", "invalid_amount"},
		{".5", "USD", "invalid_amount"},
		{"1.2.3", "USD", "invalid_amount"},
		{"1,50", "USD", "invalid_amount"},
		{"1_000", "USD", "invalid_amount"},
		{" 1", "USD", "invalid_amount"},
		{"1 ", "USD", "invalid_amount"},
		{"1\n", "USD", "invalid_amount"},
		{"0x10", "USD", "invalid_amount"},
		{"NaN", "USD", "invalid_amount"},
		{"Infinity", "USD", "invalid_amount"},
		{"١٢", "USD", "invalid_amount"},
		{"１", "USD", "invalid_amount"},
		{"92233720368547758.08", "USD", "invalid_amount"},
		{"9223372036854775808", "JPY", "invalid_amount"},
		{"9223372036854775.808", "KWD", "invalid_amount"},
		{strings.Repeat("9", 1000), "USD", "invalid_amount"},
		{"1", "", "invalid_currency"},
		{"0.0000000000000000001", "USD", "invalid_amount"},
		{"1", "US", "invalid_currency"},
		{"1", "U SD", "invalid_currency"},
		{"1", "US-D", "invalid_currency"},
		{"1", "ABCDEFGHI11", "invalid_currency"},
		{"1", "ÄÄÄ", "invalid_currency"},
		{"1", "\U0001F4B6", "invalid_currency"},
		{"x", "x", "invalid_currency"},
	} {
		got, err := payments.ParseMoney(test.amount, test.currency)
		wantInvalid(t, "ParseMoney("+test.amount+", "+test.currency+")", err, test.code)
		if got != nil {
			t.Errorf("ParseMoney(%q, %q) = %v beside its error", test.amount, test.currency, got)
		}
	}
}

// wantInvalid checks that err is an InvalidError with the code, and that its message
// has a length that fits an answer.
func wantInvalid(t *testing.T, what string, err error, code string) {
	t.Helper()
	var refusal *payments.InvalidError
	if !errors.As(err, &refusal) {
		t.Errorf("%s: error %v, want an InvalidError with the code %s", what, err, code)
		return
	}
	if refusal.Code() != code {
		t.Errorf("%s: code %s (%v), want %s", what, refusal.Code(), err, code)
	}
	if n := len(refusal.Error()); n == 0 || n > 256 {
		t.Errorf("%s: a message of %d bytes", what, n)
	}
}

// The parsed value is exact in every currency.
func FuzzParseMoney(f *testing.F) {
	for _, amount := range []string{"100.50", "0", "01.2", "-1", "1e3", ".5", "9223372036854775808", "1.5000", "0.00001"} {
		f.Add(amount)
	}
	f.Fuzz(func(t *testing.T, amount string) {
		for _, currency := range []string{"JPY", "USD", "KWD", "USDT"} {
			m, err := payments.ParseMoney(amount, currency)
			if err != nil {
				continue
			}
			if m.GetMinorUnits() < 0 {
				t.Fatalf("%q %s is %d: negative", amount, currency, m.GetMinorUnits())
			}
			decimals, known := map[string]int{"JPY": 0, "USD": 2, "KWD": 3}[currency]
			if m.Exponent != nil {
				if known && int(m.GetExponent()) <= decimals {
					t.Fatalf("%q %s has the exponent %d", amount, currency, m.GetExponent())
				}
				decimals = int(m.GetExponent())
			} else if !known {
				t.Fatalf("%q %s has no exponent", amount, currency)
			}
			whole, fraction, _ := strings.Cut(amount, ".")
			for len(fraction) > decimals && strings.HasSuffix(fraction, "0") {
				fraction = fraction[:len(fraction)-1]
			}
			if len(fraction) > decimals {
				t.Fatalf("%q %s was rounded to %d decimals", amount, currency, decimals)
			}
			digits := strings.TrimLeft(whole+fraction+strings.Repeat("0", decimals-len(fraction)), "0")
			if got := strings.TrimLeft(decimal(m.GetMinorUnits()), "0"); got != digits {
				t.Fatalf("%q %s is %s minor units, want %s", amount, currency, got, digits)
			}
		}
	})
}

// decimal formats an amount independently of ParseMoney.
func decimal(n int64) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}
