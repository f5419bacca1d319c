// Package jsonbody reads the JSON bodies of webhooks. It knows no provider.
//
// A [Document] reads strictly: the members of a [Form], each of which may be there once.
// [Text], [Object], [Array] and [List] are members of structs that [Unmarshal] fills
// tolerantly, whatever a provider writes. [Changes] yields the bodies that a program may
// have made this one of.
package jsonbody

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/modules/payments"
)

// MaxDepth is the largest number of nested objects and arrays in a body. It protects
// the parsers of payrelay and of those who read the raw body later.
const MaxDepth = 128

// The errors of every body.
var (
	ErrInvalidJSON  = NewMalformed("invalid_json", "the body is not valid JSON: send exactly one JSON object")
	ErrNotAnObject  = NewMalformed("not_an_object", "the body is not a JSON object: send the webhook as one")
	ErrTooDeep      = NewMalformed("too_deep", fmt.Sprintf("the body is nested too deeply: nest objects and arrays at most %d deep", MaxDepth))
	ErrDuplicateKey = NewMalformed("duplicate_key", "a member that payrelay reads appears twice: send its name once, regardless of letter case")
)

// Malformed is the reason why the body of a webhook cannot be read.
type Malformed struct {
	// Code is stable and in snake_case, such as "invalid_json".
	Code string
	// Message is a sentence that explains what is wrong and how to fix it.
	Message string
}

func (m *Malformed) Error() string { return m.Code + ": " + m.Message }

// NewMalformed returns a [Malformed].
func NewMalformed(code, message string) error { return &Malformed{code, message} }

// FirstError keeps the first error that it gets.
type FirstError struct{ Err error }

// Keep keeps an error, unless it is nil or not the first one.
func (f *FirstError) Keep(err error) {
	if f.Err == nil {
		f.Err = err
	}
}

// Fail keeps a [Malformed], unless it is not the first error.
func (f *FirstError) Fail(code, message string) {
	if f.Err == nil {
		f.Err = NewMalformed(code, message)
	}
}

// CheckID returns a [Malformed] if no update can hold a text as an id.
func CheckID(name, text string) error {
	switch {
	case len(text) > payments.MaxIDBytes:
		return NewMalformed("field_too_long", fmt.Sprintf("%s must be at most %d bytes", name, payments.MaxIDBytes))
	case strings.ContainsFunc(text, unicode.IsControl):
		return NewMalformed("invalid_field", name+" must not contain control characters")
	}
	return nil
}

// Timestamp returns a time, truncated to microseconds. It reports whether the time is
// between the years 1970 and 9999, as in every update.
func Timestamp(t time.Time) (_ *timestamppb.Timestamp, ok bool) {
	if t.Unix() < 0 || t.UTC().Year() > 9999 {
		return nil, false
	}
	return timestamppb.New(t.Truncate(time.Microsecond)), true
}

// Unquote returns the text of a JSON string. If it is not valid Unicode, Unquote returns
// an error, and the text with replacement characters.
func Unquote(v jsontext.Value) (string, error) {
	if bytes.IndexByte(v, '\\') < 0 && utf8.Valid(v) {
		return string(v[1 : len(v)-1]), nil
	}
	text, err := jsontext.AppendUnquote(nil, v)
	return string(text), err
}

// Lenient accepts names that appear twice and invalid Unicode, so that they do not hide
// what else a body reports.
var Lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Unmarshal parses a body into a struct of tolerant members. The body must be an object.
func Unmarshal(body []byte, into any) error {
	if TooDeep(body) {
		return ErrTooDeep
	}
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	switch {
	case json.Unmarshal(body, into, Lenient) == nil && jsontext.Value(body).Kind() == jsontext.KindBeginObject:
		return nil
	case jsontext.Value(body).IsValid(Lenient):
		return ErrNotAnObject
	}
	return ErrInvalidJSON
}

// TooDeep reports whether the body is nested more than MaxDepth deep. A body with
// few brackets cannot be.
func TooDeep(body []byte) bool {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= MaxDepth {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
