package cmd

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/transport"
	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// newTestProcess returns a process with an admin listener. It is stopped after the test.
func newTestProcess(t *testing.T) *process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := admin.New(admin.Config{}, listener, transporttest.Quiet())
	p := &process{log: transporttest.Quiet(), admin: server, supervisor: newSupervisor()}
	p.start(context.Background(), "admin listener", server.Run)
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return p
}

func TestEveryModeHasAWire(t *testing.T) {
	direct := payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { return nil, nil })
	cfg := ingestConfig{
		rpc: transport.RPCConfig{URL: "http://127.0.0.1:1"},
		kafka: kafka.Config{
			ClusterConfig: kafka.ClusterConfig{Brokers: []string{startBroker(t)}},
			TopicConfig:   kafka.TopicConfig{OrdersTopic: "webhooks.orders", DisputesTopic: "webhooks.disputes", Group: "payrelay"},
		},
	}
	for _, mode := range append([]payments.Mode{"unknown"}, payments.Modes...) {
		p := newTestProcess(t)
		cfg.wire.Mode = mode
		wire, err := cfg.addWire(t.Context(), p, direct)
		if known := mode != "unknown"; known != (err == nil) || known != (wire != nil) {
			t.Errorf("addWire of mode %s = %v, %v", mode, wire, err)
		}
	}
}

func TestEveryModeIsInReadmeAndTaskfile(t *testing.T) {
	for file, entry := range map[string]func(payments.Mode) string{
		"../README.md":    func(mode payments.Mode) string { return "| `" + string(mode) + "`" },
		"../Taskfile.yml": func(mode payments.Mode) string { return "e2e-test-" + string(mode) + ":" },
	} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range payments.Modes {
			if !strings.Contains(string(content), entry(mode)) {
				t.Errorf("%s lacks %q", file, entry(mode))
			}
		}
	}
}
