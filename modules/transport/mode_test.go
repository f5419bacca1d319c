package transport

import (
	"flag"
	"io"
	"strings"
	"testing"
)

func TestParseMode(t *testing.T) {
	for _, mode := range modes {
		if got, err := parseMode(string(mode)); got != mode || err != nil {
			t.Errorf("%s is %q, %v", mode, got, err)
		}
	}
	for _, name := range []string{"", "KAFKA", "rest", "kafka "} {
		_, err := parseMode(name)
		if err == nil {
			t.Errorf("%q is accepted", name)
			continue
		}
		for _, mode := range modes {
			if !strings.Contains(err.Error(), string(mode)) {
				t.Errorf("the error does not offer %s: %v", mode, err)
			}
		}
	}
}

func TestModeFlag(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	cfg.RegisterFlags(fs)
	if cfg.Mode != Kafka || !cfg.Batch {
		t.Errorf("defaults are %+v", cfg)
	}
	if err := fs.Parse([]string{"--mode", "grpc", "--batch=false"}); err != nil || cfg.Mode != GRPC || cfg.Batch {
		t.Errorf("got %+v, %v", cfg, err)
	}
	if err := fs.Parse([]string{"--mode", "smoke"}); err == nil || !strings.Contains(err.Error(), "choose one of kafka, http, protobuf, grpc, direct") {
		t.Errorf("error is %v", err)
	}
}

func TestRPCModes(t *testing.T) {
	for mode, rpc := range map[Mode]bool{Kafka: false, HTTP: true, Protobuf: true, GRPC: true, Direct: false} {
		if mode.RPC() != rpc {
			t.Errorf("%s.RPC() is %v", mode, mode.RPC())
		}
		client, err := NewRPC(mode, RPCConfig{URL: "http://127.0.0.1:1"})
		if (err == nil) != rpc || (client != nil) != rpc {
			t.Errorf("NewRPC(%s) is %v, %v", mode, client, err)
		}
	}
}
