package ingest

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// fields reads the members of a document. A member that must be refused reads as the
// zero value, and err keeps the first refusal.
type fields struct {
	*document
	err error
	// ignored holds the paths of members that were read and have no effect.
	ignored []string
}

func (in *fields) fail(code, message string) {
	if in.err == nil {
		in.err = badRequest(code, message)
	}
}

func (in *fields) ignore(path string) { in.ignored = append(in.ignored, path) }

// id returns a string that identifies something: Unicode without control characters.
func (in *fields) id(path string) string {
	text, err := in.text(path)
	switch {
	case err == errNotText:
		in.fail("invalid_field", path+" must be a string")
	case err != nil:
		in.fail("invalid_utf8", path+" is not valid Unicode: send UTF-8, and escape surrogates in pairs only")
	case len(text) > payments.MaxIDBytes:
		in.fail("field_too_long", fmt.Sprintf("%s must be at most %d bytes", path, payments.MaxIDBytes))
	case strings.ContainsFunc(text, unicode.IsControl):
		in.fail("invalid_field", path+" must not contain control characters")
	}
	return text
}

// words returns a string that only people or tables of words read. It has replacement
// characters where it is not valid Unicode.
func (in *fields) words(path string) string {
	text, err := in.text(path)
	if err == errNotText {
		in.fail("invalid_field", path+" must be a string")
	}
	return text
}

// optional returns a string that earlier releases did not read: one that cannot be
// used is ignored.
func (in *fields) optional(path string) string {
	text, err := in.text(path)
	if err != nil {
		in.ignore(path)
		return ""
	}
	return text
}

// object refuses a member that is neither an object nor empty.
func (in *fields) object(path string) {
	if in.value(path).Kind() == jsontext.KindBeginObject {
		return
	}
	if text, err := in.text(path); err != nil || text != "" {
		in.fail("invalid_field", path+" must be an object")
	}
}

// zeroDates are the dates that languages and databases write if there is none.
var zeroDates = []string{"0001-01-01", "0000-00-00"}

// time returns a time in RFC 3339, truncated to microseconds. Zero dates and the
// start of 1970, also as the number 0, are absent.
func (in *fields) time(path string) *timestamppb.Timestamp {
	if v := in.value(path); v.Kind() == jsontext.KindNumber && string(v) == "0" {
		return nil
	}
	text := in.words(path)
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
		in.fail("invalid_time", path+" must be a time in RFC 3339, such as 2026-01-04T10:00:00.123456Z")
		return nil
	}
	if t.Unix() == 0 && t.Nanosecond() == 0 {
		return nil
	}
	if t.Unix() < 0 || t.UTC().Year() > 9999 {
		in.fail("invalid_time", path+" must be a time between the years 1970 and 9999")
		return nil
	}
	return timestamppb.New(t.Truncate(time.Microsecond))
}

// number returns the decimal text of an amount, a JSON number or a string. It never
// becomes a float.
func (in *fields) number(path string) (text string, ok bool) {
	switch v := in.value(path); v.Kind() {
	case jsontext.KindInvalid:
		return "", true
	case jsontext.KindNumber:
		return string(v), true
	case jsontext.KindString:
		text, err := in.text(path)
		return text, err == nil
	default:
		return "", false
	}
}

// money returns an amount, or nil if there is none. An amount without a currency is
// ignored.
func (in *fields) money(path, currency string) *payrelayv1.Money {
	text, ok := in.number(path)
	switch {
	case !ok:
		in.fail("invalid_field", path+" must be a decimal number or a string that holds one")
	case text == "":
	case currency == "":
		in.ignore(path)
	default:
		amount, err := payments.ParseMoney(text, currency)
		if err != nil && in.err == nil {
			in.err = err
		}
		return amount
	}
	return nil
}

// optionalMoney returns an amount that earlier releases did not read: one that
// cannot be used is ignored.
func (in *fields) optionalMoney(path, currency string) *payrelayv1.Money {
	text, ok := in.number(path)
	if ok && text == "" {
		return nil
	}
	if amount, err := payments.ParseMoney(text, currency); ok && err == nil {
		return amount
	}
	in.ignore(path)
	return nil
}

// zero reports whether a member is an amount of 0.
func (in *fields) zero(path string) bool {
	text, ok := in.number(path)
	amount, err := payments.ParseMoney(text, "USD") // zero is zero in every currency
	return ok && err == nil && amount.GetMinorUnits() == 0
}
