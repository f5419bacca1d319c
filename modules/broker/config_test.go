package broker

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	var c Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	c.RegisterFlags(fs, "127.0.0.1:9092")
	if want := (Config{Addr: "127.0.0.1:9092", SyncWrites: true, Keep: 48 * time.Hour, KeepBytes: 256 << 20}); c != want {
		t.Errorf("defaults = %+v, want %+v", c, want)
	}
	if err := fs.Parse([]string{"--broker-addr", "[::1]:0", "--broker-sync-writes=false", "--broker-keep", "1h", "--broker-keep-bytes=7"}); err != nil {
		t.Fatal(err)
	}
	if want := (Config{Addr: "[::1]:0", Keep: time.Hour, KeepBytes: 7}); c != want {
		t.Errorf("parsed flags = %+v, want %+v", c, want)
	}
	for name, env := range map[string]string{"broker-addr": "BROKER_ADDR", "broker-sync-writes": "BROKER_SYNC_WRITES", "broker-keep": "BROKER_KEEP", "broker-keep-bytes": "BROKER_KEEP_BYTES"} {
		if got, _ := flag.UnquoteUsage(fs.Lookup(name)); got != env {
			t.Errorf("environment variable of %s = %q, want %q", name, got, env)
		}
	}
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:9092":   "",
		"127.0.0.1:0":      "",
		"127.1.2.3:9092":   "",
		"[::1]:9092":       "",
		"localhost:9092":   "",
		":9092":            "not a loopback",
		"0.0.0.0:9092":     "not a loopback",
		"[::]:9092":        "not a loopback",
		"10.0.0.7:9092":    "not a loopback",
		"example.org:9092": "not a loopback",
		"127.0.0.1":        "not host:port",
		"":                 "not host:port",
	} {
		err := Config{Addr: addr}.Validate()
		if want == "" && err != nil {
			t.Errorf("Validate(%q) = %v, want nil", addr, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Validate(%q) = %v, want %q", addr, err, want)
		}
	}
	for _, cfg := range []Config{{Addr: "127.0.0.1:0", Keep: -1}, {Addr: "127.0.0.1:0", KeepBytes: -1}} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("Validate(%+v) = %v, want an error", cfg, err)
		}
	}
	if _, err := Open(Config{Addr: "0.0.0.0:0"}, t.TempDir(), nil, relayGroup, discard); err == nil {
		t.Error("Open() on 0.0.0.0 = nil, want an error")
	}
}
