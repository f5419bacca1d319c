package jsonbody

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Form is the set of members that a decoder reads, by their paths, such as
// "order_id" and "meta.amount". The names are ASCII. Twins are found of those in
// lower case only.
type Form struct {
	index   map[string]int    // of a member's path
	objects map[string]string // prefixes of members, such as "meta.", by the path of the object
}

// NewForm returns the form of some paths.
func NewForm(paths ...string) *Form {
	f := &Form{index: make(map[string]int), objects: make(map[string]string)}
	for _, path := range paths {
		if object, _, nested := strings.Cut(path, "."); nested && f.objects[object] == "" {
			f.objects[object] = object + "."
			f.index[object] = len(f.index)
		}
		f.index[path] = len(f.index)
	}
	return f
}

// Paths returns the paths of the members, in no order, including those of objects.
func (f *Form) Paths() []string { return slices.Collect(maps.Keys(f.index)) }

// Document is a body, divided into the members of a form. Other members only have to
// be JSON: their names may appear twice, and their text need not be Unicode.
type Document struct {
	form   *Form
	body   []byte
	buffer bytes.Buffer // of the body, for tokens
	tokens jsontext.Decoder
	values []jsontext.Value // as in the body, by the form's index
	twins  []bool           // whether a name that differs in letter case only appeared
	path   []byte           // of the last member that was looked up
}

// documents holds documents without a body.
var documents = sync.Pool{New: func() any { return new(Document) }}

// emptyObject is the value of an object whose members have values of their own.
var emptyObject = jsontext.Value("{}")

// NewDocument returns a document without a body. Release returns it to the pool.
func NewDocument(f *Form) *Document {
	d := documents.Get().(*Document)
	d.form = f
	d.values = append(d.values[:0], make([]jsontext.Value, len(f.index))...)
	d.twins = append(d.twins[:0], make([]bool, len(f.index))...)
	return d
}

// maxKept is the largest capacity for a path that a pooled document may have. Nearly
// all names are shorter.
const maxKept = 4 << 10

// Release clears the document and returns it to the pool.
func (d *Document) Release() {
	d.body, d.buffer = nil, bytes.Buffer{}
	d.tokens.Reset(&d.buffer)
	clear(d.values)
	if cap(d.path) > maxKept {
		d.path = nil
	}
	documents.Put(d)
}

// Parse divides the body. After an error, the members that were read until then
// have values.
func (d *Document) Parse(body []byte) error {
	d.body = bytes.TrimPrefix(body, []byte("\ufeff"))
	err := d.divide()
	if TooDeep(d.body) {
		return ErrTooDeep
	}
	return err
}

// divide is parse without the check of the depth.
func (d *Document) divide() error {
	d.buffer = *bytes.NewBuffer(d.body)
	d.tokens.Reset(&d.buffer, Lenient)
	if d.tokens.PeekKind() != jsontext.KindBeginObject {
		if jsontext.Value(d.body).IsValid(Lenient) {
			return ErrNotAnObject
		}
		return ErrInvalidJSON
	}
	if err := d.members(""); err != nil {
		return err
	}
	if _, err := d.tokens.ReadToken(); err != io.EOF {
		return ErrInvalidJSON
	}
	for i, twin := range d.twins {
		if twin && d.values[i] != nil {
			return ErrDuplicateKey // without the name, which is the sender's data
		}
	}
	return nil
}

// members reads the members of an object of the form. Prefix is that of their paths.
func (d *Document) members(prefix string) error {
	if _, err := d.tokens.ReadToken(); err != nil {
		return ErrInvalidJSON
	}
	for d.tokens.PeekKind() == jsontext.KindString {
		name, err := d.tokens.ReadValue()
		if err != nil {
			return ErrInvalidJSON
		}
		member, object := d.find(prefix, name)
		if member >= 0 && d.values[member] != nil {
			return ErrDuplicateKey
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
			return ErrInvalidJSON
		}
		if member >= 0 {
			end := int(d.tokens.InputOffset()) // value is valid until the next call only
			d.values[member] = d.body[end-len(value) : end]
		}
	}
	if _, err := d.tokens.ReadToken(); err != nil {
		return ErrInvalidJSON
	}
	return nil
}

// find returns the index of the member with a name, quoted as in the body, or -1 if
// it is not read. Object is the prefix of the members in it, if those are read. A
// name that differs from one that is read in letter case only is remembered as its
// twin.
func (d *Document) find(prefix string, name jsontext.Value) (member int, object string) {
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

// Value returns a member, or nil if it is absent, null, a blank string or [], which
// is how some languages write an empty map.
func (d *Document) Value(path string) jsontext.Value {
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

// Text returns a string, or an empty one if the member is absent. The error is
// errNotText for another value. If the string is not valid Unicode, Text returns an
// error, and the string with replacement characters.
func (d *Document) Text(path string) (string, error) {
	v := d.Value(path)
	if v == nil {
		return "", nil
	}
	if v.Kind() != jsontext.KindString {
		return "", errNotText
	}
	text, err := Unquote(v)
	if strings.TrimSpace(text) == "" {
		return "", err
	}
	return text, err
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
