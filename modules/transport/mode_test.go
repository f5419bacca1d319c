package transport

import (
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestModeFlag(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	cfg.RegisterFlags(fs)
	if cfg.Mode != payments.Kafka || !cfg.Batch {
		t.Errorf("defaults are %+v", cfg)
	}
	if err := fs.Parse([]string{"--mode", "grpc", "--batch=false"}); err != nil || cfg.Mode != payments.GRPC || cfg.Batch {
		t.Errorf("got %+v, %v", cfg, err)
	}
	if err := fs.Parse([]string{"--mode", "smoke"}); err == nil || !strings.Contains(err.Error(), "choose one of kafka, http, protobuf, grpc, direct") {
		t.Errorf("error is %v", err)
	}
}

func TestRPCServesTheRPCModesOnly(t *testing.T) {
	for _, mode := range payments.Modes {
		client, err := NewRPC(mode, RPCConfig{URL: "http://127.0.0.1:1"})
		if (err == nil) != mode.RPC() || (client != nil) != mode.RPC() {
			t.Errorf("NewRPC(%s) = %v, %v", mode, client, err)
		}
	}
}
