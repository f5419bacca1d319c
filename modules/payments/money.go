package payments

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Money is an amount in minor units of a currency. The zero value, without a currency,
// means that the amount is unknown.
type Money struct {
	MinorUnits int64
	Currency   string
	// Exponent is zero for an amount in the minor unit of ISO 4217.
	Exponent Exponent
}

// Exponent is the number of decimal digits of a minor unit plus 1, if it differs from
// that of ISO 4217. Zero means that of ISO 4217, or that it is unknown if the currency is
// not in the table.
type Exponent int8

// maxExponent bounds the decimals of an amount. int64 has 19 digits.
const maxExponent = 18

func moneyOf(m *payrelayv1.Money) Money {
	if m == nil {
		return Money{}
	}
	money := Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	if m.Exponent != nil {
		money.Exponent = exponentOf(int(m.GetExponent()), m.GetCurrency())
	}
	return money
}

// exponentOf returns the exponent of a minor unit with a number of digits.
func exponentOf(digits int, currency string) Exponent {
	if standard, known := minorUnitDigits[currency]; known && standard == digits {
		return 0
	}
	return Exponent(digits + 1)
}

// Proto returns the amount as a message of the contract, or nil if it is unknown.
func (m Money) Proto() *payrelayv1.Money {
	if m.Currency == "" {
		return nil
	}
	p := &payrelayv1.Money{MinorUnits: m.MinorUnits, Currency: m.Currency}
	if m.Exponent > 0 {
		digits := int32(m.Exponent - 1)
		p.Exponent = &digits
	}
	return p
}

// Digits returns the number of decimal digits of the minor unit and reports whether it
// is known.
func (m Money) Digits() (digits int, known bool) {
	if m.Exponent > 0 {
		return int(m.Exponent - 1), true
	}
	digits, known = minorUnitDigits[m.Currency]
	return digits, known
}

// known reports whether the amount is known.
func (m Money) known() bool { return m.Currency != "" }

// compare compares the values of two amounts in the same currency.
func (m Money) compare(n Money) int {
	if m.Exponent == n.Exponent {
		return cmp.Compare(m.MinorUnits, n.MinorUnits)
	}
	a, b := m.scaled(n)
	return a.Cmp(b)
}

// add returns the sum of two amounts in the same currency. A sum that overflows int64 is
// the largest amount.
func (m Money) add(n Money) Money {
	a, b := m.scaled(n)
	a.Add(a, b)
	sum := Money{Currency: m.Currency, Exponent: m.Exponent}
	if md, _ := m.Digits(); md < digitsOf(n) {
		sum.Exponent = n.Exponent
	}
	if sum.MinorUnits = a.Int64(); !a.IsInt64() {
		sum.MinorUnits = 1<<63 - 1
	}
	return sum
}

func digitsOf(m Money) int {
	digits, _ := m.Digits()
	return digits
}

// scaled returns both amounts in the finer of the two minor units.
func (m Money) scaled(n Money) (a, b *big.Int) {
	a, b = big.NewInt(m.MinorUnits), big.NewInt(n.MinorUnits)
	ten := func(digits int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil) }
	if finer := digitsOf(n) - digitsOf(m); finer > 0 {
		a.Mul(a, ten(finer))
	} else {
		b.Mul(b, ten(-finer))
	}
	return a, b
}

// canonical returns the value as text that is equal for equal amounts: without
// trailing zeros among the decimals.
func (m Money) canonical() string {
	digits, known := m.Digits()
	units := m.MinorUnits
	for known && digits > 0 && units%10 == 0 {
		units, digits = units/10, digits-1
	}
	if !known {
		digits = -1
	}
	return strconv.FormatInt(units, 10) + "/" + strconv.Itoa(digits) + "/" + m.Currency
}

// ParseMoney reads a decimal amount as providers write it in JSON, such as "100.50"
// or "100", in a currency such as "USD" or "usd". It drops trailing zeros beyond the
// decimals of the currency. An amount with more decimals than the currency has keeps
// them and has its own exponent. ParseMoney never uses floats and never rounds. The error is an [InvalidError] with the code
// invalid_currency or invalid_amount.
func ParseMoney(amount, currency string) (*payrelayv1.Money, error) {
	currency = strings.ToUpper(strings.TrimSpace(currency))
	if !isCurrency(currency) {
		return nil, invalidCurrency()
	}
	whole, fraction, hasFraction := strings.Cut(amount, ".")
	if !allDigits(whole) || (hasFraction && !allDigits(fraction)) {
		return nil, invalid("invalid_amount", "amount must be a plain decimal number such as 100.50, not negative and without an exponent")
	}
	fraction = strings.TrimRight(fraction, "0")
	digits, known := minorUnitDigits[currency]
	if !known || len(fraction) > digits {
		digits = len(fraction)
	}
	if digits > maxExponent {
		return nil, invalid("invalid_amount", fmt.Sprintf("amount has more than %d decimals", maxExponent))
	}
	units, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil {
		return nil, invalid("invalid_amount", "amount is too large")
	}
	return Money{MinorUnits: units, Currency: currency, Exponent: exponentOf(digits, currency)}.Proto(), nil
}

// MinorUnits returns an amount that a provider states in integer minor units. Currency is
// a code such as "USD" or "usd". Digits is the number of decimals of the minor unit by the
// provider's table, or negative for that of ISO 4217. The error is an [InvalidError] with
// the code invalid_currency or invalid_amount.
func MinorUnits(units int64, currency string, digits int) (*payrelayv1.Money, error) {
	currency = strings.ToUpper(strings.TrimSpace(currency))
	switch {
	case !isCurrency(currency):
		return nil, invalidCurrency()
	case units < 0:
		return nil, invalid("invalid_amount", "an amount must not be negative")
	case digits > maxExponent:
		return nil, invalid("invalid_amount", fmt.Sprintf("amount has more than %d decimals", maxExponent))
	}
	m := Money{MinorUnits: units, Currency: currency}
	if digits >= 0 {
		m.Exponent = exponentOf(digits, currency)
	}
	return m.Proto(), nil
}

// isCurrency reports whether text has the form of a currency code. Codes that are not in
// the table are valid.
func isCurrency(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(text) >= 3 && len(text) <= 10
}

func invalidCurrency() error {
	return invalid("invalid_currency", "currency must be a code of 3 to 10 capital letters and digits, such as USD")
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// minorUnitDigits maps currencies to the number of decimal digits of their minor unit.
// It has the currencies of ISO 4217 list one that are used in payments, and historic
// ones of list three, because a dispute may be opened up to 540 days after the sale.
var minorUnitDigits = parseCurrencies(map[int]string{
	0: `BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
	    ADP BEF BYB BYR ESP GRD ITL LUF MGF PTE TPE TRL`,
	2: `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL
	    BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP
	    ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
	    INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD
	    MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN
	    PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD
	    SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED
	    VES WST XCD XCG YER ZAR ZMW ZWG
	    AFA ATS AZM CSD CUC CYP DEM EEK FIM FRF GHC HRK IEP LTL LVL MRO MTL MZM
	    NLG ROL SDD SIT SKK SLL STD TMM VEB VEF ZMK ZWL`,
	3: `BHD IQD JOD KWD LYD OMR TND`,
	4: `CLF UYW`,
})

func parseCurrencies(byDigits map[int]string) map[string]int {
	table := make(map[string]int)
	for digits, codes := range byDigits {
		for _, code := range strings.Fields(codes) {
			table[code] = digits
		}
	}
	return table
}

// moneyFlags returns the flags for the currencies and exponents of amounts.
func moneyFlags(amounts []Money) (flags []Flag) {
	isUnknown := func(m Money) bool { return m.known() && !inCurrencyTable(m.Currency) }
	isNonStandard := func(m Money) bool { return m.Exponent > 0 && inCurrencyTable(m.Currency) }
	if slices.ContainsFunc(amounts, isUnknown) {
		flags = append(flags, FlagCurrencyUnknown)
	}
	if slices.ContainsFunc(amounts, isNonStandard) {
		flags = append(flags, FlagNonStandardExponent)
	}
	return flags
}

func inCurrencyTable(currency string) bool {
	_, known := minorUnitDigits[currency]
	return known
}

// differs reports whether two amounts are known and have different currencies.
func (m Money) differs(n Money) bool {
	return m.known() && n.known() && m.Currency != n.Currency
}

// exceeds reports whether both amounts are known and in the same currency, and m is
// larger.
func (m Money) exceeds(n Money) bool {
	return m.known() && m.Currency == n.Currency && m.compare(n) > 0
}
