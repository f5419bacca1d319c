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
	maxDepth  = 32 // of objects and arrays in each other
	maxNumber = 32 // characters; 64-bit integers and every amount have fewer
)

var (
	errInvalidJSON  = badRequest("invalid_json", "the body is not one valid JSON document")
	errNotAnObject  = badRequest("not_an_object", "the body must be a JSON object")
	errTooDeep      = badRequest("too_deep", fmt.Sprintf("objects and arrays may be nested %d deep", maxDepth))
	errInvalidUTF8  = badRequest("invalid_utf8", "the body must be valid UTF-8, without escapes of half a character")
	errNUL          = badRequest("invalid_json", `text must not contain \u0000`)
	errDuplicateKey = badRequest("duplicate_key", "a name occurs twice in one object (upper and lower case count as the same)")
	errNumberLength = badRequest("invalid_json", fmt.Sprintf("a number must have at most %d characters", maxNumber))
)

// unmarshalStrict reads body into the struct that into points to, whose fields
// may be strings, raw values and such structs. Members without a field are
// ignored, null leaves a field as it is.
//
// It accepts only what every JSON parser reads the same way, for the body is
// kept and read again by others: no name twice in an object, not in other letter
// case either, no text that is not Unicode, no nesting or number that only some
// can take.
func unmarshalStrict(body []byte, into any) error {
	if err := checkStrict(body); err != nil {
		return err
	}
	// Names are checked already.
	if err := json.Unmarshal(body, into, jsontext.AllowDuplicateNames(true)); err != nil {
		return wrongType(err)
	}
	return nil
}

// wrongType names the field that has not the type of its Go field.
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

// checkStrict reads body once, token by token.
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

// isHalfCharacter tells whether a body that is not valid would be, if one half
// of a surrogate pair were a character.
func isHalfCharacter(body []byte) bool {
	return jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// errSyntax stands for all errors of the tokenizer, whose texts quote the body.
var errSyntax = errors.New("not JSON")

// scan is one pass over a document.
type scan struct {
	tokens *jsontext.Decoder
	names  nameStack
}

// scans are between two documents.
var scans = sync.Pool{New: func() any { return &scan{tokens: new(jsontext.Decoder)} }}

// maxKept is how many bytes of names a scan keeps room for: enough for nearly
// every document.
const maxKept = 4 << 10

// putBack forgets the document, of which nothing may be seen in the next one.
func (s *scan) putBack() {
	if cap(s.names.bytes) > maxKept || cap(s.names.ends) > maxKept {
		return
	}
	s.tokens.Reset(bytes.NewBuffer(nil))
	s.names.reset()
	scans.Put(s)
}

// document reads one value, and that nothing follows.
func (s *scan) document() error {
	for {
		if err := s.next(); err != nil {
			return err
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

func (s *scan) next() error {
	switch kind := s.tokens.PeekKind(); kind {
	case jsontext.KindBeginObject, jsontext.KindBeginArray, jsontext.KindEndObject, jsontext.KindEndArray:
		return s.delimiter()
	default:
		return s.scalar(kind)
	}
}

func (s *scan) delimiter() error {
	token, err := s.tokens.ReadToken()
	if err != nil {
		return errSyntax
	}
	depth := s.tokens.StackDepth()
	if depth > maxDepth {
		return errTooDeep
	}
	switch token.Kind() {
	case jsontext.KindBeginObject:
		s.names.begin()
	case jsontext.KindEndObject:
		s.names.end()
	}
	return nil
}

// scalar reads a name or a value that is no object and no array.
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
			return errDuplicateKey // without the name: it is the sender's data, like a value
		}
	}
	return nil
}

// hasNUL looks at an escape twice, for in "\\u0000" the backslash is escaped.
func hasNUL(quoted []byte) bool {
	if !bytes.Contains(quoted, []byte(`\u0000`)) {
		return false
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // the tokenizer has accepted it
	return bytes.IndexByte(text, 0) >= 0
}
