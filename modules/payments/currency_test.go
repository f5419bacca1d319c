package payments

import (
	"math"
	"os"
	"regexp"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func TestMoneyOfOneValueIsEqual(t *testing.T) {
	digits := func(units int64, currency string, digits int) Money {
		return Money{MinorUnits: units, Currency: currency, Exponent: exponentOf(digits, currency)}
	}
	for _, test := range []struct {
		a, b Money
		want int
	}{
		{digits(1000, "CLP", 0), digits(100000, "CLP", 2), 0}, // a Stripe dispute of an Adyen order
		{digits(1000, "CLP", 0), digits(100001, "CLP", 2), -1},
		{digits(1000, "CLP", 0), digits(99999, "CLP", 2), 1},
		{digits(1000, "CVE", 0), digits(100000, "CVE", 2), 0},
		{digits(279000, "ISK", 2), digits(2790, "ISK", 0), 0},
		{usd(5), usd(5), 0},
		{usd(5), usd(6), -1},
		{digits(19999, "USD", 3), usd(2000), -1},
		{digits(math.MaxInt64, "USD", 0), digits(math.MaxInt64, "USD", 18), 1}, // beyond int64 in the finer unit
		{digits(7, "XTS", 0), digits(70, "XTS", 1), 0},
	} {
		if got := test.a.compare(test.b); got != test.want {
			t.Errorf("%v.compare(%v) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := test.b.compare(test.a); got != -test.want {
			t.Errorf("%v.compare(%v) = %d, want %d", test.b, test.a, got, -test.want)
		}
		if equal := test.a.canonical() == test.b.canonical(); equal != (test.want == 0) {
			t.Errorf("%q and %q are equal: %v", test.a.canonical(), test.b.canonical(), equal)
		}
	}
}

func TestMoneyAdds(t *testing.T) {
	for _, test := range []struct{ a, b, want Money }{
		{usd(5), usd(6), usd(11)},
		{Money{1000, "CLP", 0}, Money{150, "CLP", 3}, Money{100150, "CLP", 3}}, // 1000 + 1.50
		{Money{150, "CLP", 3}, Money{1000, "CLP", 0}, Money{100150, "CLP", 3}},
		{Money{5, "USD", 1}, usd(50), usd(550)}, // 5 dollars and 50 cents
		{Money{15, "JPY", 2}, Money{5, "JPY", 2}, Money{20, "JPY", 2}},
		{usd(math.MaxInt64), usd(1), usd(math.MaxInt64)},
		{usd(math.MaxInt64 - 1), usd(1), usd(math.MaxInt64)},
		{usd(math.MaxInt64), Money{1, "USD", 19}, Money{math.MaxInt64, "USD", 19}},
	} {
		if got := test.a.add(test.b); got != test.want {
			t.Errorf("%v.add(%v) = %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

// The contract states an exponent only if it differs from that of ISO 4217.
func TestMoneyOfTheContract(t *testing.T) {
	two := int32(2)
	zero := int32(0)
	for _, test := range []struct {
		from *payrelayv1.Money
		want Money
		back *int32
	}{
		{&payrelayv1.Money{MinorUnits: 1000, Currency: "USD"}, usd(1000), nil},
		{&payrelayv1.Money{MinorUnits: 1000, Currency: "USD", Exponent: &two}, usd(1000), nil},
		{&payrelayv1.Money{MinorUnits: 1000, Currency: "CLP", Exponent: &two}, Money{1000, "CLP", 3}, &two},
		{&payrelayv1.Money{MinorUnits: 1000, Currency: "CVE", Exponent: &zero}, Money{1000, "CVE", 1}, &zero},
		{&payrelayv1.Money{MinorUnits: 1000, Currency: "XTS"}, Money{1000, "XTS", 0}, nil},
		{&payrelayv1.Money{MinorUnits: 1000, Currency: "XTS", Exponent: &two}, Money{1000, "XTS", 3}, &two},
	} {
		got := moneyOf(test.from)
		back := got.Proto()
		if got != test.want || back.GetMinorUnits() != test.from.GetMinorUnits() || back.GetCurrency() != test.from.GetCurrency() ||
			(back.Exponent == nil) != (test.back == nil) || test.back != nil && back.GetExponent() != *test.back {
			t.Errorf("moneyOf(%v) = %+v, and back %v", test.from, got, back)
		}
	}
	if (Money{}).Proto() != nil || moneyOf(nil) != (Money{}) {
		t.Error("an unknown amount is not nil in the contract")
	}
	if digits, known := (Money{1, "XTS", 0}).Digits(); digits != 0 || known {
		t.Errorf("an unknown currency has %d digits (known: %v)", digits, known)
	}
}

// The test reads the source, because the map hides a code that is in two lists.
func TestEveryCurrencyIsListedOnce(t *testing.T) {
	source, err := os.ReadFile("money.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, list := range regexp.MustCompile("`[^`]*`").FindAll(source, -1) {
		for _, code := range regexp.MustCompile(`[^\s`+"`"+`]+`).FindAllString(string(list), -1) {
			if listed[code] {
				t.Errorf("%s is listed twice", code)
			}
			if !regexp.MustCompile(`^[A-Z]{3}$`).MatchString(code) {
				t.Errorf("%q is not a code of three capital letters", code)
			}
			listed[code] = true
		}
	}
	if len(listed) != len(minorUnitDigits) || len(listed) < 150 {
		t.Errorf("%d codes are listed and %d known, want the same", len(listed), len(minorUnitDigits))
	}
}

func TestCurrencyExponents(t *testing.T) {
	for code, want := range map[string]int{
		"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "CNY": 2, "INR": 2, "HUF": 2, "MGA": 2, "MRU": 2, "UYU": 2,
		"JPY": 0, "KRW": 0, "ISK": 0, "CLP": 0, "VND": 0, "XAF": 0, "UGX": 0, "PYG": 0,
		"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
		"CLF": 4, "UYW": 4, "UYI": 0,
		// Disputes about old orders have historic currencies.
		"BGN": 2, "HRK": 2, "ANG": 2, "SLL": 2, "ZWL": 2, "CUC": 2, "VEF": 2, "VEB": 2, "MRO": 2, "STD": 2, "ZMK": 2, "GHC": 2,
		"LTL": 2, "LVL": 2, "EEK": 2, "SKK": 2, "SIT": 2, "CYP": 2, "MTL": 2, "ROL": 2, "TMM": 2, "AZM": 2, "MZM": 2, "SDD": 2,
		"CSD": 2, "AFA": 2, "BYR": 0, "BYB": 0, "MGF": 0, "TRL": 0, "ITL": 0, "ESP": 0, "PTE": 0, "BEF": 0, "LUF": 0, "GRD": 0,
		"ADP": 0, "TPE": 0, "DEM": 2, "FRF": 2, "NLG": 2, "ATS": 2, "FIM": 2, "IEP": 2,
	} {
		if got, ok := minorUnitDigits[code]; !ok || got != want {
			t.Errorf("%s has %d decimals (known: %v), want %d", code, got, ok, want)
		}
	}
	for _, code := range []string{"XAU", "XAG", "XDR", "XTS", "BOV", "USN", ""} {
		if _, ok := minorUnitDigits[code]; ok {
			t.Errorf("%q is in the table, but no payments use it", code)
		}
	}
}
