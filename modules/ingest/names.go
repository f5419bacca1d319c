package ingest

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// nameStack holds the names of all open objects, each folded, one after the
// other. It allocates nothing for ordinary documents: an object has few names,
// among which one is found faster by looking at each than in a map.
type nameStack struct {
	bytes []byte
	ends  []int // of each name in bytes
	open  []openObject
}

// openObject is where the names of an object begin.
type openObject struct {
	first int
	// set has them too once there are many. Looking at each would then let one
	// body take as long as thousands.
	set map[string]struct{}
}

// fewNames is how many names are looked at one by one.
const fewNames = 32

func (n *nameStack) reset() {
	clear(n.open)
	n.bytes, n.ends, n.open = n.bytes[:0], n.ends[:0], n.open[:0]
}

// begin begins an object inside of the last one.
func (n *nameStack) begin() { n.open = append(n.open, openObject{first: len(n.ends)}) }

// end ends the last object.
func (n *nameStack) end() {
	last := len(n.open) - 1
	first := n.open[last].first
	n.bytes, n.ends = n.bytes[:n.start(first)], n.ends[:first]
	n.open[last].set = nil
	n.open = n.open[:last]
}

// add notes a name of the last object, as the document quotes it, and says
// whether it is the first of its kind.
func (n *nameStack) add(quoted []byte) bool {
	begin := len(n.bytes)
	n.bytes, _ = jsontext.AppendUnquote(n.bytes, quoted) // the tokenizer has accepted it
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

// keep adds a name to the set, which the first time takes over what is there.
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

// name is the i-th of all.
func (n *nameStack) name(i int) []byte { return n.bytes[n.start(i):n.ends[i]] }

func (n *nameStack) start(i int) int {
	if i == 0 {
		return 0
	}
	return n.ends[i-1]
}

// fold makes names equal that some parser would take for the same, in place
// where it can.
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

// foldRune chooses one rune of those that are equal but for letter case.
func foldRune(r rune) rune {
	for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(r) {
		if next <= r { // once round: the smallest
			return unicode.ToLower(next)
		}
		r = next
	}
}
