package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxDepth  = 32 // nested objects and arrays
	maxNumber = 32 // characters of a number; 64-bit integers and all amounts have fewer
)

var (
	errInvalidJSON  = badRequest("invalid_json", "the body is not valid JSON: send exactly one JSON object")
	errNotAnObject  = badRequest("not_an_object", "the body is not a JSON object: send the webhook as one")
	errTooDeep      = badRequest("too_deep", fmt.Sprintf("the body is nested too deeply: nest objects and arrays at most %d deep", maxDepth))
	errInvalidUTF8  = badRequest("invalid_utf8", "the body is not valid Unicode: send UTF-8, and escape surrogates in pairs only")
	errNUL          = badRequest("invalid_json", `the body contains the character \u0000: remove it`)
	errDuplicateKey = badRequest("duplicate_key", "an object has the same name twice: send each name once, regardless of letter case")
	errNumberLength = badRequest("invalid_json", fmt.Sprintf("a number is too long: send at most %d characters", maxNumber))
)

// unmarshalStrict decodes body into the struct that into points to. Its fields may
// be strings, raw values and structs of those. Members without a field are ignored,
// and null leaves a field unchanged.
//
// It accepts only what all JSON parsers read in the same way, because the body is
// kept and other programs will parse it too: an object must not have a name twice,
// regardless of letter case, all text must be Unicode, and nesting and the length of
// numbers are limited.
func unmarshalStrict(body []byte, into any) error {
	if err := checkStrict(body); err != nil {
		return err
	}
	// checkStrict has found duplicate names.
	if err := json.Unmarshal(body, into, jsontext.AllowDuplicateNames(true)); err != nil {
		return wrongType(err)
	}
	return nil
}

// wrongType returns a refusal with the name of the field that has the wrong JSON
// type.
func wrongType(err error) error {
	mismatch, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return errInvalidJSON
	}
	want := "a string"
	if mismatch.GoType != nil && mismatch.GoType.Kind() == reflect.Struct {
		want = "an object"
	}
	field := strings.ReplaceAll(strings.TrimPrefix(string(mismatch.JSONPointer), "/"), "/", ".")
	return badRequest("invalid_field", field+" must be "+want)
}

// checkStrict checks everything that unmarshalStrict demands of a body except the
// types of its fields. It reads the body once, token by token.
func checkStrict(body []byte) error {
	if !utf8.Valid(body) {
		return errInvalidUTF8
	}
	s := scans.Get().(*scan)
	defer s.putBack()
	s.tokens.Reset(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	top := s.tokens.PeekKind()
	err := s.document()
	switch {
	case errors.Is(err, errSyntax) && isHalfCharacter(body):
		return errInvalidUTF8
	case errors.Is(err, errSyntax):
		return errInvalidJSON
	case err == nil && top != jsontext.KindBeginObject:
		return errNotAnObject
	}
	return err
}

// isHalfCharacter reports whether a body that is not valid would be valid if half of
// a surrogate pair were a character.
func isHalfCharacter(body []byte) bool {
	return jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// errSyntax replaces all errors of the tokenizer, because their texts quote the body.
var errSyntax = errors.New("not JSON")

// scan is one pass over a document.
type scan struct {
	tokens *jsontext.Decoder
	names  nameStack
}

// scans holds scans without a document.
var scans = sync.Pool{New: func() any { return &scan{tokens: new(jsontext.Decoder)} }}

// maxKept is the largest capacity for names that a pooled scan may have. Nearly all
// documents need less.
const maxKept = 4 << 10

// putBack clears the scan and returns it to the pool.
func (s *scan) putBack() {
	if cap(s.names.bytes) > maxKept || cap(s.names.ends) > maxKept {
		return
	}
	s.tokens.Reset(bytes.NewBuffer(nil))
	s.names.reset()
	scans.Put(s)
}

// document reads one value and the end of the input.
func (s *scan) document() error {
	for {
		switch kind := s.tokens.PeekKind(); kind {
		case jsontext.KindBeginObject, jsontext.KindBeginArray, jsontext.KindEndObject, jsontext.KindEndArray:
			if _, err := s.tokens.ReadToken(); err != nil {
				return errSyntax
			}
			if s.tokens.StackDepth() > maxDepth {
				return errTooDeep
			}
			switch kind {
			case jsontext.KindBeginObject:
				s.names.begin()
			case jsontext.KindEndObject:
				s.names.end()
			}
		default:
			if err := s.scalar(kind); err != nil {
				return err
			}
		}
		if s.tokens.StackDepth() == 0 {
			break
		}
	}
	if _, err := s.tokens.ReadToken(); err != io.EOF {
		return errSyntax
	}
	return nil
}

// scalar reads a name, or a value other than an object or array.
func (s *scan) scalar(kind jsontext.Kind) error {
	depth := s.tokens.StackDepth()
	container, length := s.tokens.StackIndex(depth)
	text, err := s.tokens.ReadValue()
	switch {
	case err != nil:
		return errSyntax
	case kind == jsontext.KindNumber && len(text) > maxNumber:
		return errNumberLength
	case kind == jsontext.KindString && hasNUL(text):
		return errNUL
	case container == jsontext.KindBeginObject && length%2 == 0:
		if !s.names.add(text) {
			return errDuplicateKey // without the name, which is the sender's data
		}
	}
	return nil
}

// hasNUL reports whether a string, quoted as in the document, contains U+0000. It
// unquotes only a string with such an escape, which may be an escaped backslash
// followed by u0000.
func hasNUL(quoted []byte) bool {
	if !bytes.Contains(quoted, []byte(`\u0000`)) {
		return false
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // cannot fail: the tokenizer accepted it
	return bytes.IndexByte(text, 0) >= 0
}
