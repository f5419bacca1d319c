package payments

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"
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

// ParseTime reads a time in the format of RFC 3339. It is stricter than
// [time.Parse], which also accepts an hour of one digit, a comma before the
// fraction and an offset of more than a day. Unlike time.Parse, it accepts a lower-case
// t and z, and a leap second, which becomes the last microsecond of its minute.
func ParseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return parseRareTime(text, err)
	}
	const prefix, offset = len("2006-01-02T15:04:05"), len("+07:00")
	if text[len("2006-01-02T15")] != ':' || text[prefix] == ',' ||
		text[len(text)-1] != 'Z' && (text[len(text)-offset+1:] >= "24" || text[len(text)-len("00"):] >= "60") {
		return time.Time{}, errors.New("the time is not in the format of RFC 3339")
	}
	return t, nil
}

// parseRareTime parses the forms of RFC 3339 that time.Parse does not accept. It returns
// refusal for all other texts.
func parseRareTime(text string, refusal error) (time.Time, error) {
	const t, second = len("2006-01-02"), len("2006-01-02T15:04:")
	if len(text) < second+len("05Z") {
		return time.Time{}, refusal
	}
	usual := []byte(text)
	if usual[t] == 't' {
		usual[t] = 'T'
	}
	if last := len(usual) - 1; usual[last] == 'z' {
		usual[last] = 'Z'
	}
	leap := string(usual[second:second+2]) == "60"
	if leap {
		copy(usual[second:], "59")
	}
	if string(usual) == text {
		return time.Time{}, refusal
	}
	parsed, err := ParseTime(string(usual))
	if err != nil || !leap {
		return parsed, err
	}
	parsed = parsed.Truncate(time.Second)
	if next := parsed.UTC().Add(time.Second); next.Day() != 1 || next.Hour() != 0 || next.Minute() != 0 || next.Second() != 0 {
		return time.Time{}, refusal // leap seconds are only at the end of a month
	}
	return parsed.Add(time.Second - time.Microsecond), nil
}

// timeOf returns the time of a timestamp, truncated to microseconds, which every store
// keeps. It returns the zero time if there is none.
func timeOf(ts *timestamppb.Timestamp) time.Time {
	if ts == nil {
		return time.Time{}
	}
	return ts.AsTime().Truncate(time.Microsecond)
}
