package jsonbody

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Change is another form of a body.
type Change struct {
	// Message completes "the signature is right for the body … ".
	Message string
	Body    []byte
}

// Changes yields the forms that a body may have had before a program changed it,
// simple ones first.
func Changes(body []byte) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		seen := map[[sha256.Size]byte]bool{sha256.Sum256(body): true}
		try := func(message string, body []byte) (more bool) {
			if digest := sha256.Sum256(body); len(body) > 0 && !seen[digest] {
				seen[digest] = true
				return yield(Change{message, body})
			}
			return true
		}
		_ = tryBytes(body, try) && jsontext.Value(bytes.TrimPrefix(body, []byte("\ufeff"))).IsValid(Lenient) && !TooDeep(body) && tryStyles(body, try)
	}
}

// tryBytes tries the changes that any body may have gone through.
func tryBytes(body []byte, try func(message string, body []byte) bool) bool {
	trimmed := slices.Clip(bytes.TrimRight(body, "\r\n"))
	unix := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(body)))
	if err != nil {
		decoded = nil
	}
	return try("without the line break at its end", trimmed) &&
		try("with a line break at its end", append(trimmed, '\n')) &&
		try("with CR and LF at its end", append(trimmed, "\r\n"...)) &&
		try("without spaces around it", bytes.TrimSpace(body)) &&
		try("without a byte order mark", bytes.TrimPrefix(body, []byte("\ufeff"))) &&
		try("with a byte order mark", append([]byte("\ufeff"), body...)) &&
		try("with LF as line breaks, in place of CR and LF", unix) &&
		try("with CR and LF as line breaks, in place of LF", bytes.ReplaceAll(unix, []byte("\n"), []byte("\r\n"))) &&
		try("decoded from base64", decoded) &&
		try("with characters that were encoded in UTF-8 twice", undoDoubleUTF8(body))
}

// tryStyles tries the ways to write the same JSON.
func tryStyles(body []byte, try func(message string, body []byte) bool) bool {
	for _, order := range keyOrders {
		for _, spacing := range spacings {
			for _, escape := range escapes {
				text, err := restyle(body, order.sorted, spacing, escape.string)
				if err != nil {
					continue
				}
				message := "as JSON " + spacing.message + escape.message + order.message
				if !try(message, text) || !try(message+" and a line break at its end", append(slices.Clip(text), '\n')) {
					return false
				}
			}
		}
	}
	return true
}

// undoDoubleUTF8 returns the bytes of a text that was read as Latin-1 and written in
// UTF-8, or nil if it was not.
func undoDoubleUTF8(body []byte) []byte {
	var out []byte
	for _, r := range string(body) {
		if r > 0xff {
			return nil
		}
		out = append(out, byte(r))
	}
	if !utf8.Valid(out) {
		return nil
	}
	return out
}

var keyOrders = []struct {
	message string
	sorted  bool
}{{"", false}, {" and sorted keys", true}}

// spacing is how JSON is laid out.
type spacing struct {
	message              string
	comma, colon, indent string
	kept                 bool // as in the body
}

var spacings = []spacing{
	{message: "with the spaces that it has", kept: true},
	{message: "without spaces", comma: ",", colon: ":"},
	{message: "with a space after each comma and colon", comma: ", ", colon: ": "},
	{message: "indented by 2 spaces", comma: ",", colon: ": ", indent: "  "},
	{message: "indented by 4 spaces", comma: ",", colon: ": ", indent: "    "},
	{message: "indented by tabs", comma: ",", colon: ": ", indent: "\t"},
}

// escapes are how the strings of JSON are written. Text is a string without quotation
// marks, as it is in the body.
var escapes = []struct {
	message string
	string  func(text string) string
}{
	{"", func(text string) string { return text }},
	{", / escaped as \\/", func(text string) string { return strings.ReplaceAll(strings.ReplaceAll(text, `\/`, `/`), `/`, `\/`) }},
	{", / not escaped", func(text string) string { return strings.ReplaceAll(text, `\/`, `/`) }},
	{", other characters than ASCII escaped", func(text string) string { return escapeRunes(text, false, "") }},
	{", other characters than ASCII and / escaped", func(text string) string {
		return strings.ReplaceAll(strings.ReplaceAll(escapeRunes(text, false, ""), `\/`, `/`), `/`, `\/`)
	}},
	{", <, > and & escaped", func(text string) string { return escapeRunes(text, true, "<>&") }},
	{", nothing escaped that need not be", func(text string) string { return string(unescape(text)) }},
}

// escapeRunes escapes some characters, or all that are not ASCII, as \uXXXX.
func escapeRunes(text string, keep bool, some string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && !strings.ContainsRune(some, r), r >= utf8.RuneSelf && keep:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// unescape writes a string with the fewest escapes.
func unescape(text string) []byte {
	quoted, err := jsontext.AppendUnquote(nil, `"`+text+`"`)
	if err != nil {
		return []byte(text)
	}
	shortest, err := jsontext.AppendQuote(nil, quoted)
	if err != nil {
		return []byte(text)
	}
	return shortest[1 : len(shortest)-1]
}

// restyle writes JSON in another style. Numbers are not changed.
func restyle(body []byte, sorted bool, s spacing, escape func(string) string) ([]byte, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if s.kept {
		if sorted {
			return nil, strconv.ErrSyntax // the spaces belong to the order that the keys have
		}
		return mapStrings(body, escape), nil
	}
	w := styler{spacing: s, sorted: sorted, escape: escape}
	err := w.value(jsontext.NewDecoder(bytes.NewReader(body), Lenient), 0)
	return w.out, err
}

// HasSortedKeys reports whether a body is JSON whose keys are in alphabetical order.
func HasSortedKeys(body []byte) bool {
	asIs := func(text string) string { return text }
	compact := spacing{comma: ",", colon: ":"}
	kept, err := restyle(body, false, compact, asIs)
	sorted, _ := restyle(body, true, compact, asIs)
	return err == nil && bytes.Equal(kept, sorted) && bytes.Count(kept, []byte(":")) > 3
}

// mapStrings rewrites the strings of JSON, and nothing between them.
func mapStrings(body []byte, escape func(string) string) []byte {
	var out []byte
	for i := 0; i < len(body); i++ {
		if body[i] != '"' {
			out = append(out, body[i])
			continue
		}
		end := i + 1
		for end < len(body) && body[end] != '"' {
			if body[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end, len(body))
		out = append(append(append(out, '"'), escape(string(body[i+1:end]))...), '"')
		i = end
	}
	return out
}

// styler writes JSON in a style.
type styler struct {
	spacing
	sorted bool
	escape func(string) string
	out    []byte
}

func (w *styler) line(depth int) {
	if w.indent != "" {
		w.out = append(append(w.out, '\n'), strings.Repeat(w.indent, depth)...)
	}
}

// value writes the next value of in.
func (w *styler) value(in *jsontext.Decoder, depth int) error {
	switch in.PeekKind() {
	case jsontext.KindBeginObject:
		return w.list(in, depth, '{', '}')
	case jsontext.KindBeginArray:
		return w.list(in, depth, '[', ']')
	default:
		value, err := in.ReadValue()
		if err == nil {
			w.out = append(w.out, mapStrings(value, w.escape)...)
		}
		return err
	}
}

// list writes an object or an array.
func (w *styler) list(in *jsontext.Decoder, depth int, open, end byte) error {
	if _, err := in.ReadToken(); err != nil {
		return err
	}
	type element struct {
		name string
		text []byte
	}
	var elements []element
	outer := w.out
	for in.PeekKind() != jsontext.Kind(end) {
		w.out = nil
		var e element
		if open == '{' {
			name, err := in.ReadValue()
			if err != nil {
				return err
			}
			e.name = string(name)
			w.out = append(mapStrings(name, w.escape), w.colon...)
		}
		if err := w.value(in, depth+1); err != nil {
			return err
		}
		e.text = w.out
		elements = append(elements, e)
	}
	if w.sorted && open == '{' {
		slices.SortStableFunc(elements, func(a, b element) int { return strings.Compare(a.name, b.name) })
	}
	w.out = append(outer, open)
	for i, e := range elements {
		if i > 0 {
			w.out = append(w.out, w.comma...)
		}
		w.line(depth + 1)
		w.out = append(w.out, e.text...)
	}
	if len(elements) > 0 {
		w.line(depth)
	}
	w.out = append(w.out, end)
	_, err := in.ReadToken()
	return err
}
