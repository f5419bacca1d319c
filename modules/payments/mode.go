package payments

import (
	"fmt"
	"strings"
)

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
