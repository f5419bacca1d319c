package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is the largest number of nested objects and arrays in a body. It protects
// the parsers of payrelay and of those who read the raw body later.
const maxDepth = 128

var (
	errInvalidJSON  = badRequest("invalid_json", "the body is not valid JSON: send exactly one JSON object")
	errNotAnObject  = badRequest("not_an_object", "the body is not a JSON object: send the webhook as one")
	errTooDeep      = badRequest("too_deep", fmt.Sprintf("the body is nested too deeply: nest objects and arrays at most %d deep", maxDepth))
	errDuplicateKey = badRequest("duplicate_key", "a member that payrelay reads appears twice: send its name once, regardless of letter case")
)

// form is the set of members that a decoder reads, by their paths, such as
// "order_id" and "meta.amount". The names are ASCII. Twins are found of those in
// lower case only.
type form struct {
	index   map[string]int    // of a member's path
	objects map[string]string // prefixes of members, such as "meta.", by the path of the object
}

func newForm(paths ...string) *form {
	f := &form{index: make(map[string]int), objects: make(map[string]string)}
	for _, path := range paths {
		if object, _, nested := strings.Cut(path, "."); nested && f.objects[object] == "" {
			f.objects[object] = object + "."
			f.index[object] = len(f.index)
		}
		f.index[path] = len(f.index)
	}
	return f
}

// document is a body, divided into the members of a form. Other members only have to
// be JSON: their names may appear twice, and their text need not be Unicode.
type document struct {
	form   *form
	body   []byte
	buffer bytes.Buffer // of the body, for tokens
	tokens jsontext.Decoder
	values []jsontext.Value // as in the body, by the form's index
	twins  []bool           // whether a name that differs in letter case only appeared
	path   []byte           // of the last member that was looked up
}

// documents holds documents without a body.
var documents = sync.Pool{New: func() any { return new(document) }}

// lenient accepts what the document checks itself, for members that are read.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// emptyObject is the value of an object whose members have values of their own.
var emptyObject = jsontext.Value("{}")

func newDocument(f *form) *document {
	d := documents.Get().(*document)
	d.form = f
	d.values = append(d.values[:0], make([]jsontext.Value, len(f.index))...)
	d.twins = append(d.twins[:0], make([]bool, len(f.index))...)
	return d
}

// maxKept is the largest capacity for a path that a pooled document may have. Nearly
// all names are shorter.
const maxKept = 4 << 10

// putBack clears the document and returns it to the pool.
func (d *document) putBack() {
	d.body, d.buffer = nil, bytes.Buffer{}
	d.tokens.Reset(&d.buffer)
	clear(d.values)
	if cap(d.path) > maxKept {
		d.path = nil
	}
	documents.Put(d)
}

// parse divides the body. After an error, the members that were read until then
// have values.
func (d *document) parse(body []byte) error {
	d.body = bytes.TrimPrefix(body, []byte("\ufeff"))
	err := d.divide()
	if tooDeep(d.body) {
		return errTooDeep
	}
	return err
}

// divide is parse without the check of the depth.
func (d *document) divide() error {
	d.buffer = *bytes.NewBuffer(d.body)
	d.tokens.Reset(&d.buffer, lenient)
	if d.tokens.PeekKind() != jsontext.KindBeginObject {
		if jsontext.Value(d.body).IsValid(lenient) {
			return errNotAnObject
		}
		return errInvalidJSON
	}
	if err := d.members(""); err != nil {
		return err
	}
	if _, err := d.tokens.ReadToken(); err != io.EOF {
		return errInvalidJSON
	}
	for i, twin := range d.twins {
		if twin && d.values[i] != nil {
			return errDuplicateKey // without the name, which is the sender's data
		}
	}
	return nil
}

// members reads the members of an object of the form. Prefix is that of their paths.
func (d *document) members(prefix string) error {
	if _, err := d.tokens.ReadToken(); err != nil {
		return errInvalidJSON
	}
	for d.tokens.PeekKind() == jsontext.KindString {
		name, err := d.tokens.ReadValue()
		if err != nil {
			return errInvalidJSON
		}
		member, object := d.find(prefix, name)
		if member >= 0 && d.values[member] != nil {
			return errDuplicateKey
		}
		if object != "" && d.tokens.PeekKind() == jsontext.KindBeginObject {
			d.values[member] = emptyObject
			if err := d.members(object); err != nil {
				return err
			}
			continue
		}
		value, err := d.tokens.ReadValue()
		if err != nil {
			return errInvalidJSON
		}
		if member >= 0 {
			end := int(d.tokens.InputOffset()) // value is valid until the next call only
			d.values[member] = d.body[end-len(value) : end]
		}
	}
	if _, err := d.tokens.ReadToken(); err != nil {
		return errInvalidJSON
	}
	return nil
}

// find returns the index of the member with a name, quoted as in the body, or -1 if
// it is not read. Object is the prefix of the members in it, if those are read. A
// name that differs from one that is read in letter case only is remembered as its
// twin.
func (d *document) find(prefix string, name jsontext.Value) (member int, object string) {
	d.path = append(d.path[:0], prefix...)
	d.path, _ = jsontext.AppendUnquote(d.path, name) // no name that is read has invalid Unicode
	if bytes.IndexByte(d.path[len(prefix):], '.') >= 0 {
		return -1, "" // it would look like the path of a member of an object
	}
	if member, read := d.form.index[string(d.path)]; read {
		return member, d.form.objects[string(d.path)]
	}
	if member, read := d.form.index[string(fold(d.path))]; read {
		d.twins[member] = true
	}
	return -1, ""
}

// tooDeep reports whether the body is nested more than maxDepth deep. A body with
// few brackets cannot be.
func tooDeep(body []byte) bool {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= maxDepth {
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
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// value returns a member, or nil if it is absent, null, a blank string or [], which
// is how some languages write an empty map.
func (d *document) value(path string) jsontext.Value {
	i, ok := d.form.index[path]
	if !ok {
		panic("the form has no member " + path)
	}
	v := d.values[i]
	switch v.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		return nil
	case jsontext.KindString, jsontext.KindBeginArray:
		if len(bytes.TrimSpace(v[1:len(v)-1])) == 0 {
			return nil
		}
	}
	return v
}

var errNotText = errors.New("not a string")

// text returns a string, or an empty one if the member is absent. The error is
// errNotText for another value. If the string is not valid Unicode, text returns an
// error, and the string with replacement characters.
func (d *document) text(path string) (string, error) {
	v := d.value(path)
	if v == nil {
		return "", nil
	}
	if v.Kind() != jsontext.KindString {
		return "", errNotText
	}
	if bytes.IndexByte(v, '\\') < 0 && utf8.Valid(v) {
		return string(v[1 : len(v)-1]), nil
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if len(bytes.TrimSpace(text)) == 0 {
		return "", err
	}
	return string(text), err
}

// fold returns the same bytes for all names that differ in letter case only. It
// modifies name if it is ASCII.
func fold(name []byte) []byte {
	for i, b := range name {
		if b >= utf8.RuneSelf {
			return bytes.Map(foldRune, name)
		}
		if 'A' <= b && b <= 'Z' {
			name[i] = b + 'a' - 'A'
		}
	}
	return name
}

// foldRune returns the same rune for all runes that differ in letter case only.
func foldRune(r rune) rune {
	for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(r) {
		if next <= r { // the cycle starts again at the smallest
			return unicode.ToLower(next)
		}
		r = next
	}
}
