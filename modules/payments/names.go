package payments

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The names of the contract's enums, as people, databases and metrics use them:
// "under_review" for DISPUTE_STATUS_UNDER_REVIEW.
var (
	OrderStatuses     = newNames[payrelayv1.OrderStatus](payrelayv1.OrderStatus_name, "ORDER_STATUS_")
	DisputeStatuses   = newNames[payrelayv1.DisputeStatus](payrelayv1.DisputeStatus_name, "DISPUTE_STATUS_")
	DisputeStages     = newNames[payrelayv1.DisputeStage](payrelayv1.DisputeStage_name, "DISPUTE_STAGE_")
	Verdicts          = newNames[payrelayv1.Verdict](payrelayv1.Verdict_name, "VERDICT_")
	DeadLetterReasons = newNames[payrelayv1.DeadLetterReason](payrelayv1.DeadLetterReason_name, "DEAD_LETTER_REASON_")
)

// Names translates between the values of an enum and their names.
type Names[E ~int32] struct {
	names  map[E]string
	values map[string]E
}

func newNames[E ~int32](generated map[int32]string, prefix string) Names[E] {
	n := Names[E]{names: make(map[E]string), values: make(map[string]E)}
	for number, long := range generated {
		if name := strings.ToLower(strings.TrimPrefix(long, prefix)); number != 0 {
			n.names[E(number)] = name
			n.values[name] = E(number)
		}
	}
	return n
}

// Name returns the name of a value. It is empty for the unspecified value and for
// one that this release does not know.
func (n Names[E]) Name(value E) string { return n.names[value] }

// All returns the names of all values, in the order of their numbers.
func (n Names[E]) All() []string {
	var all []string
	for _, value := range slices.Sorted(maps.Keys(n.names)) {
		all = append(all, n.names[value])
	}
	return all
}

// Parse returns the value of a name, and whether there is one. The unspecified
// value has no name.
func (n Names[E]) Parse(name string) (value E, ok bool) {
	value, ok = n.values[name]
	return value, ok
}

// Mode is the transport of updates from the ingest role to the api role.
type Mode string

const (
	// Kafka publishes to a topic. The verdict is QUEUED once the record is durable.
	Kafka Mode = "kafka"
	// HTTP calls the api role with JSON over HTTP/1.1.
	HTTP Mode = "http"
	// Protobuf calls the api role with binary Protobuf over HTTP/1.1.
	Protobuf Mode = "protobuf"
	// GRPC calls the api role with gRPC over HTTP/2.
	GRPC Mode = "grpc"
	// Direct has no wire: both roles are one process.
	Direct Mode = "direct"
)

// Modes holds every mode, the default one first.
var Modes = []Mode{Kafka, HTTP, Protobuf, GRPC, Direct}

// RPC reports whether the mode calls the api role and waits for its verdict.
func (m Mode) RPC() bool { return m == HTTP || m == Protobuf || m == GRPC }

// MarshalText returns the name of the mode. With UnmarshalText it makes Mode
// usable as the value of a flag.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m), nil }

// UnmarshalText sets m to the mode of that name. The error names all modes.
func (m *Mode) UnmarshalText(text []byte) error {
	names := make([]string, len(Modes))
	for i, mode := range Modes {
		if string(text) == string(mode) {
			*m = mode
			return nil
		}
		names[i] = string(mode)
	}
	return fmt.Errorf("mode %q is not known: choose one of %s", text, strings.Join(names, ", "))
}

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
