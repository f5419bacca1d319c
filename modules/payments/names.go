package payments

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
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
