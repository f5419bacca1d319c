package jsonbody

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Text is a JSON string, or the text of a number or a Boolean, because some providers
// write one for the other. It is empty for every other value.
type Text string

// UnmarshalJSONFrom reads one value. It fails only for invalid JSON.
func (t *Text) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	v, err := in.ReadValue()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case jsontext.KindString:
		text, _ := Unquote(v) // the error is that of invalid Unicode
		*t = Text(text)
	case jsontext.KindNumber, jsontext.KindTrue, jsontext.KindFalse:
		*t = Text(v)
	default:
		*t = ""
	}
	return nil
}

// Object is a JSON object. Every other value is skipped.
type Object[T any] struct{ Value T }

// UnmarshalJSONFrom reads one value. It fails for invalid JSON, and if a member of T does.
func (o *Object[T]) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	if in.PeekKind() != jsontext.KindBeginObject {
		return in.SkipValue()
	}
	return json.UnmarshalDecode(in, &o.Value)
}

// Time parses a time in one of the layouts, truncated to microseconds. The result is nil
// without a time: the text is blank, or a time before 1970 such as 0001-01-01, which
// stands for none. Time reports whether the text can be read.
func (t Text) Time(layouts ...string) (_ *timestamppb.Timestamp, ok bool) {
	trimmed := strings.TrimSpace(string(t))
	if trimmed == "" || strings.HasPrefix(trimmed, "0000-00-00") {
		return nil, true
	}
	for _, layout := range layouts {
		parsed, err := time.Parse(layout, trimmed)
		if err != nil {
			continue
		}
		if parsed.Unix() <= 0 {
			return nil, true
		}
		if at, ok := Timestamp(parsed); ok {
			return at, true
		}
	}
	return nil, false
}

// FirstText returns the first text that is not blank.
func FirstText(texts ...Text) string {
	for _, text := range texts {
		if strings.TrimSpace(string(text)) != "" {
			return string(text)
		}
	}
	return ""
}

// List is a list of objects: the elements of an array, or the values of an object,
// whose names are ids. Every other value is empty.
type List[T any] []T

// UnmarshalJSONFrom reads one value. It fails for invalid JSON, and if a member of T does.
func (l *List[T]) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	*l = (*l)[:0]
	kind := in.PeekKind()
	if kind != jsontext.KindBeginObject && kind != jsontext.KindBeginArray {
		return in.SkipValue()
	}
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	for end := in.PeekKind(); end != jsontext.KindEndObject && end != jsontext.KindEndArray; end = in.PeekKind() {
		if kind == jsontext.KindBeginObject {
			if err := in.SkipValue(); err != nil {
				return err
			}
		}
		var element Object[T]
		if err := json.UnmarshalDecode(in, &element); err != nil {
			return err
		}
		*l = append(*l, element.Value)
	}
	_, err := in.ReadToken()
	return err
}

// Array is an array of objects. Every other value is skipped.
type Array[T any] []T

// UnmarshalJSONFrom reads one value. It fails for invalid JSON, and if a member of T does.
func (a *Array[T]) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	if in.PeekKind() != jsontext.KindBeginArray {
		return in.SkipValue()
	}
	return (*List[T])(a).UnmarshalJSONFrom(in)
}
