package payments

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxTextBytes is the largest size of a text that a provider wrote, such as
	// the reason of a dispute.
	MaxTextBytes = 1024
	// maxMessageBytes is the largest size of an error message in an answer.
	maxMessageBytes = 256
)

// PlainText returns a provider's text as an update can hold it: one line, with a
// space for each control character, of at most [MaxTextBytes]. Only people read
// such a text, so unusual characters in it are no reason to refuse a webhook; the
// raw body keeps it unchanged.
func PlainText(text string) string {
	return cut(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text), MaxTextBytes)
}

// ErrorMessage returns text as the message of an error in an answer, which may
// quote what the client sent: printable UTF-8 of at most 256 bytes, with a
// question mark for everything else.
func ErrorMessage(text string) string {
	return cut(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text), maxMessageBytes)
}

// cut returns the longest prefix of s that has at most maxBytes bytes and ends at
// the boundary of a character.
func cut(s string, maxBytes int) string {
	if len(s) <= maxBytes {
		return s
	}
	for !utf8.RuneStart(s[maxBytes]) {
		maxBytes--
	}
	return s[:maxBytes]
}
