package cmd

import (
	"fmt"
	"log/slog"
	"strings"
)

// maskAttr masks card numbers in an attribute of a log record, also in the message. A
// provider's text, such as an id or an error, may contain one although it should not.
func maskAttr(_ []string, attr slog.Attr) slog.Attr {
	var text string
	switch attr.Value.Kind() {
	case slog.KindString:
		text = attr.Value.String()
	case slog.KindAny:
		if _, level := attr.Value.Any().(slog.Level); level {
			return attr
		}
		text = fmt.Sprint(attr.Value.Any())
	default:
		return attr
	}
	if masked := maskCardNumbers(text); masked != text {
		attr.Value = slog.StringValue(masked)
	}
	return attr
}

// The shortest and the longest card number.
const minCardDigits, maxCardDigits = 13, 19

// maskCardNumbers replaces the digits of numbers that look like a card number, all but
// the last four, with asterisks: 13 to 19 digits with a valid check digit, which single
// spaces and hyphens may divide.
func maskCardNumbers(text string) string {
	var masked []byte
	for start := 0; start < len(text); {
		if !isDigit(text[start]) {
			start++
			continue
		}
		digits, end := digitRun(text, start)
		if len(digits) >= minCardDigits && len(digits) <= maxCardDigits && validCheckDigit(text, digits) {
			if masked == nil {
				masked = []byte(text)
			}
			for _, at := range digits[:len(digits)-4] {
				masked[at] = '*'
			}
		}
		start = end
	}
	if masked == nil {
		return text
	}
	return string(masked)
}

// digitRun returns the positions of the digits of a number that begins at start, and the
// end of the number.
func digitRun(text string, start int) (digits []int, end int) {
	for end = start; end < len(text); end++ {
		switch divides := strings.IndexByte(" -", text[end]) >= 0 && end+1 < len(text) && isDigit(text[end+1]); {
		case isDigit(text[end]):
			digits = append(digits, end)
		case !divides:
			return digits, end
		}
	}
	return digits, end
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// validCheckDigit reports whether the digits at these positions satisfy the formula of
// Luhn, as all card numbers do.
func validCheckDigit(text string, digits []int) bool {
	sum := 0
	for i, at := range digits {
		digit := int(text[at] - '0')
		if (len(digits)-i)%2 == 0 {
			if digit *= 2; digit > 9 {
				digit -= 9
			}
		}
		sum += digit
	}
	return sum%10 == 0
}
