package transport

import (
	"fmt"
	"strings"
)

// Mode names the wire between the roles.
type Mode string

const (
	// Kafka publishes to a topic; the verdict is QUEUED once it is durable there.
	Kafka Mode = "kafka"
	// HTTP calls the api role with JSON over HTTP/1.1.
	HTTP Mode = "http"
	// Protobuf calls it with binary Protobuf over HTTP/1.1.
	Protobuf Mode = "protobuf"
	// GRPC calls it with gRPC over HTTP/2.
	GRPC Mode = "grpc"
	// Direct has no wire: both roles are one process.
	Direct Mode = "direct"
)

// modes are all of them, the default first.
var modes = []Mode{Kafka, HTTP, Protobuf, GRPC, Direct}

func parseMode(name string) (Mode, error) {
	for _, mode := range modes {
		if name == string(mode) {
			return mode, nil
		}
	}
	return "", fmt.Errorf("mode %q is not known: choose one of %s", name, modeNames())
}

func modeNames() string {
	names := make([]string, len(modes))
	for i, mode := range modes {
		names[i] = string(mode)
	}
	return strings.Join(names, ", ")
}

// RPC says that the mode calls the api role and waits for its verdict.
func (m Mode) RPC() bool { return m == HTTP || m == Protobuf || m == GRPC }

// MarshalText makes a Mode the default of a flag.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m), nil }

// UnmarshalText makes a flag refuse a mode that does not exist.
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = parseMode(string(text))
	return err
}
