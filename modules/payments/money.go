package payments

import (
	"fmt"
	"strconv"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Money is an amount in minor units of its ISO 4217 currency. The zero value has no
// currency and means that the amount is not known.
type Money struct {
	MinorUnits int64
	Currency   string
}

func moneyOf(m *payrelayv1.Money) Money {
	return Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
}

// ParseMoney reads a decimal amount as providers write it in JSON, such as "100.50"
// or "100", with at most as many decimals as the currency has. It never uses a
// float. The error is an [InvalidError] with the code invalid_currency or
// invalid_amount.
func ParseMoney(amount, currency string) (*payrelayv1.Money, error) {
	digits, ok := minorUnitDigits[currency]
	if !ok {
		return nil, invalidCurrency()
	}
	whole, fraction, hasFraction := strings.Cut(amount, ".")
	if !allDigits(whole) || (hasFraction && !allDigits(fraction)) {
		return nil, invalid("invalid_amount", "amount must be a plain decimal number such as 100.50, not negative and without an exponent")
	}
	if len(fraction) > digits {
		return nil, invalid("invalid_amount", fmt.Sprintf("amount has more decimals than %s allows: send at most %d", currency, digits))
	}
	units, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil {
		return nil, invalid("invalid_amount", "amount is too large")
	}
	return &payrelayv1.Money{MinorUnits: units, Currency: currency}, nil
}

func invalidCurrency() error {
	return invalid("invalid_currency", "currency must be an active ISO 4217 code of three capital letters, such as USD")
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
