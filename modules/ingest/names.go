package ingest

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// nameStack holds the names of all open objects, case-folded, one after the other.
// It allocates nothing for ordinary documents: an object has few names, and a linear
// search of few names is faster than a map.
type nameStack struct {
	bytes []byte
	ends  []int // where each name ends in bytes
	open  []openObject
}

type openObject struct {
	first int // the index of the object's first name
	// set holds the names as well once there are many. A linear search would take
	// quadratic time in the size of the body.
	set map[string]struct{}
}

// fewNames is the largest number of names that are searched one by one.
const fewNames = 32

func (n *nameStack) reset() {
	clear(n.open)
	n.bytes, n.ends, n.open = n.bytes[:0], n.ends[:0], n.open[:0]
}

// begin opens an object inside the innermost one.
func (n *nameStack) begin() { n.open = append(n.open, openObject{first: len(n.ends)}) }

// end closes the innermost object.
func (n *nameStack) end() {
	last := len(n.open) - 1
	first := n.open[last].first
	n.bytes, n.ends = n.bytes[:n.start(first)], n.ends[:first]
	n.open[last].set = nil
	n.open = n.open[:last]
}

// add adds a name, quoted as in the document, to the innermost object. It reports
// whether the object did not have the name yet.
func (n *nameStack) add(quoted []byte) bool {
	begin := len(n.bytes)
	n.bytes, _ = jsontext.AppendUnquote(n.bytes, quoted) // cannot fail: the tokenizer accepted it
	n.bytes = append(n.bytes[:begin], fold(n.bytes[begin:])...)
	name, object := n.bytes[begin:], &n.open[len(n.open)-1]
	if object.set == nil && len(n.ends)-object.first < fewNames {
		for i := object.first; i < len(n.ends); i++ {
			if bytes.Equal(n.name(i), name) {
				return false
			}
		}
	} else if !object.keep(n, name) {
		return false
	}
	n.ends = append(n.ends, len(n.bytes))
	return true
}

// keep adds a name to the set of the object, and reports whether it was new. The
// first call also adds the names that the object already has.
func (o *openObject) keep(n *nameStack, name []byte) bool {
	if o.set == nil {
		o.set = make(map[string]struct{}, 2*fewNames)
		for i := o.first; i < len(n.ends); i++ {
			o.set[string(n.name(i))] = struct{}{}
		}
	}
	if _, twice := o.set[string(name)]; twice {
		return false
	}
	o.set[string(name)] = struct{}{}
	return true
}

// name returns the name with index i of all open objects.
func (n *nameStack) name(i int) []byte { return n.bytes[n.start(i):n.ends[i]] }

func (n *nameStack) start(i int) int {
	if i == 0 {
		return 0
	}
	return n.ends[i-1]
}

// fold returns the same bytes for all names that some parser regards as equal. It
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
