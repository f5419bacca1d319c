package jsonbody

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Fields reads the members of a document. A member that must be refused reads as the
// zero value, and Err keeps the first refusal.
type Fields struct {
	*Document
	FirstError
	// Ignored holds the paths of members that were read and have no effect.
	Ignored []string
}

// Ignore adds the path of a member that has no effect.
func (in *Fields) Ignore(path string) { in.Ignored = append(in.Ignored, path) }

// ID returns a string that identifies something: Unicode without control characters.
func (in *Fields) ID(path string) string {
	text, err := in.Text(path)
	switch {
	case err == errNotText:
		in.Fail("invalid_field", path+" must be a string")
	case err != nil:
		in.Fail("invalid_utf8", path+" is not valid Unicode: send UTF-8, and escape surrogates in pairs only")
	default:
		in.Keep(CheckID(path, text))
	}
	return text
}

// Words returns a string that only people or tables of words read. It has replacement
// characters where it is not valid Unicode.
func (in *Fields) Words(path string) string {
	text, err := in.Text(path)
	if err == errNotText {
		in.Fail("invalid_field", path+" must be a string")
	}
	return text
}

// Optional returns a string that earlier releases did not read: one that cannot be
// used is ignored.
func (in *Fields) Optional(path string) string {
	text, err := in.Text(path)
	if err != nil {
		in.Ignore(path)
		return ""
	}
	return text
}

// Object refuses a member that is neither an object nor empty.
func (in *Fields) Object(path string) {
	if in.Value(path).Kind() == jsontext.KindBeginObject {
		return
	}
	if text, err := in.Text(path); err != nil || text != "" {
		in.Fail("invalid_field", path+" must be an object")
	}
}

// zeroDates are the dates that languages and databases write if there is none.
var zeroDates = []string{"0001-01-01", "0000-00-00"}

// Time returns a time in RFC 3339, truncated to microseconds. Zero dates and the
// start of 1970, also as the number 0, are absent.
func (in *Fields) Time(path string) *timestamppb.Timestamp {
	if v := in.Value(path); v.Kind() == jsontext.KindNumber && string(v) == "0" {
		return nil
	}
	text := in.Words(path)
	if text == "" || text == "0" {
		return nil
	}
	for _, zero := range zeroDates {
		if strings.HasPrefix(text, zero) {
			return nil
		}
	}
	t, err := payments.ParseTime(text)
	if err != nil {
		in.Fail("invalid_time", path+" must be a time in RFC 3339, such as 2026-01-04T10:00:00.123456Z")
		return nil
	}
	if t.Unix() == 0 && t.Nanosecond() == 0 {
		return nil
	}
	at, ok := Timestamp(t)
	if !ok {
		in.Fail("invalid_time", path+" must be a time between the years 1970 and 9999")
	}
	return at
}

// Number returns the decimal text of an amount, a JSON number or a string. It never
// becomes a float.
func (in *Fields) Number(path string) (text string, ok bool) {
	switch v := in.Value(path); v.Kind() {
	case jsontext.KindInvalid:
		return "", true
	case jsontext.KindNumber:
		return string(v), true
	case jsontext.KindString:
		text, err := in.Text(path)
		return text, err == nil
	default:
		return "", false
	}
}

// Money returns an amount, or nil if there is none. An amount without a currency is
// ignored.
func (in *Fields) Money(path, currency string) *payrelayv1.Money {
	text, ok := in.Number(path)
	switch {
	case !ok:
		in.Fail("invalid_field", path+" must be a decimal number or a string that holds one")
	case text == "":
	case currency == "":
		in.Ignore(path)
	default:
		amount, err := payments.ParseMoney(text, currency)
		in.Keep(err)
		return amount
	}
	return nil
}

// OptionalMoney returns an amount that earlier releases did not read: one that
// cannot be used is ignored.
func (in *Fields) OptionalMoney(path, currency string) *payrelayv1.Money {
	text, ok := in.Number(path)
	if ok && text == "" {
		return nil
	}
	if amount, err := payments.ParseMoney(text, currency); ok && err == nil {
		return amount
	}
	in.Ignore(path)
	return nil
}

// Zero reports whether a member is an amount of 0.
func (in *Fields) Zero(path string) bool {
	text, ok := in.Number(path)
	amount, err := payments.ParseMoney(text, "USD") // zero is zero in every currency
	return ok && err == nil && amount.GetMinorUnits() == 0
}
