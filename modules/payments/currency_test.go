package payments

import (
	"os"
	"regexp"
	"testing"
)

// The test reads the source, because the map cannot show that a code is in two of the
// lists that it is made from.
func TestEveryCurrencyIsListedOnce(t *testing.T) {
	source, err := os.ReadFile("currency.go")
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
		t.Errorf("%d codes are listed and %d are in the table, want the same and at least 150", len(listed), len(minorUnitDigits))
	}
}

func TestCurrencyExponents(t *testing.T) {
	for code, want := range map[string]int{
		"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "CNY": 2, "INR": 2, "HUF": 2, "MGA": 2, "MRU": 2, "UYU": 2,
		"JPY": 0, "KRW": 0, "ISK": 0, "CLP": 0, "VND": 0, "XAF": 0, "UGX": 0, "PYG": 0,
		"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	} {
		if got, ok := minorUnitDigits[code]; !ok || got != want {
			t.Errorf("minorUnitDigits[%s] = %d, %t, want %d", code, got, ok, want)
		}
	}
	for _, code := range []string{"CLF", "UYI", "XAU", "XAG", "XDR", "XTS", "BOV", "USN", "HRK", "VEF", ""} {
		if _, ok := minorUnitDigits[code]; ok {
			t.Errorf("minorUnitDigits has %q, in which no payment is made", code)
		}
	}
}
