package payments

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// PlainText is what of a provider's own words fits into an update: one line of
// at most MaxTextBytes, cut at a character. Words are for people to read, so
// odd ones must not cost the webhook, whose body keeps them as they came.
func PlainText(words string) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, words)
	if len(plain) <= MaxTextBytes {
		return plain
	}
	end := MaxTextBytes
	for !utf8.RuneStart(plain[end]) {
		end--
	}
	return plain[:end]
}
