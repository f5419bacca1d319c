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
		{"90071992547409.93", "USD", 9007199254740993}, // no float64 has this value
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
		{"1.001", "USD", "invalid_amount"},
		{"1.000", "USD", "invalid_amount"},
		{"1.0", "JPY", "invalid_amount"},
		{"1.2345", "KWD", "invalid_amount"},
		{"92233720368547758.08", "USD", "invalid_amount"},
		{"9223372036854775808", "JPY", "invalid_amount"},
		{"9223372036854775.808", "KWD", "invalid_amount"},
		{strings.Repeat("9", 1000), "USD", "invalid_amount"},
		{"1", "", "invalid_currency"},
		{"1", "usd", "invalid_currency"},
		{"1", "US", "invalid_currency"},
		{"1", "USDT", "invalid_currency"},
		{"1", "USD ", "invalid_currency"},
		{"1", "X" + "XX", "invalid_currency"},
		{"1", "XTS", "invalid_currency"},
		{"1", "XAU", "invalid_currency"},
		{"1", "\U0001F4B6", "invalid_currency"},
		{"x", "x", "invalid_currency"},
	} {
		got, err := payments.ParseMoney(test.amount, test.currency)
		wantInvalid(t, "ParseMoney("+test.amount+", "+test.currency+")", err, test.code)
		if got != nil {
			t.Errorf("ParseMoney(%q, %q) = %v with an error, want nil", test.amount, test.currency, got)
		}
	}
}

// wantInvalid checks that err is an InvalidError with the code, and that its message
// has a length that fits an answer.
func wantInvalid(t *testing.T, what string, err error, code string) {
	t.Helper()
	var refusal *payments.InvalidError
	if !errors.As(err, &refusal) {
		t.Errorf("%s: error = %v, want an InvalidError with the code %s", what, err, code)
		return
	}
	if refusal.Code() != code {
		t.Errorf("%s: code = %s (%v), want %s", what, refusal.Code(), err, code)
	}
	if n := len(refusal.Error()); n == 0 || n > 256 {
		t.Errorf("%s: message of %d bytes, want 1 to 256", what, n)
	}
}

// FuzzParseMoney checks that the minor units have all digits of the text.
func FuzzParseMoney(f *testing.F) {
	for _, amount := range []string{"100.50", "0", "01.2", "-1", "1e3", ".5", "9223372036854775808"} {
		f.Add(amount)
	}
	f.Fuzz(func(t *testing.T, amount string) {
		for currency, decimals := range map[string]int{"JPY": 0, "USD": 2, "KWD": 3} {
			m, err := payments.ParseMoney(amount, currency)
			if err != nil {
				continue
			}
			if m.GetMinorUnits() < 0 {
				t.Fatalf("ParseMoney(%q, %s) = %d, want at least 0", amount, currency, m.GetMinorUnits())
			}
			whole, fraction, _ := strings.Cut(amount, ".")
			digits := strings.TrimLeft(whole+fraction+strings.Repeat("0", decimals-len(fraction)), "0")
			if got := strings.TrimLeft(decimal(m.GetMinorUnits()), "0"); got != digits {
				t.Fatalf("ParseMoney(%q, %s) = %s, want %s", amount, currency, got, digits)
			}
		}
	})
}

// decimal formats a number without strconv, which ParseMoney uses.
func decimal(n int64) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}
