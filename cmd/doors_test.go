package cmd

import (
	"crypto/sha256"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/door"
)

// TestStartsOnTheNetwork runs serve commands on an address that other machines can
// reach. Each is refused, before it opens anything, by a sentence that says how to fix
// it. Combinations that start are checked in modules/door.
func TestStartsOnTheNetwork(t *testing.T) {
	roles := map[string][]string{
		"all":    {"serve", "all", "--mode", "direct"},
		"api":    {"serve", "api", "--mode", "http"},
		"ingest": {"serve", "ingest", "--mode", "http"},
		"broker": {"serve", "broker"},
	}
	tls := func(name string) []string {
		return []string{"--" + name + "-tls-cert", "missing.pem", "--" + name + "-tls-key", "missing.pem"}
	}
	t.Setenv("INTERNAL_TOKEN", "")
	for _, c := range []struct {
		role, listener string
		more           []string
		want           []string
	}{
		{"all", "ingest", nil, []string{"--ingest-tls-cert and --ingest-tls-key", "--insecure-ingest"}},
		{"all", "api", nil, []string{"--api-tls-cert", "--api-tokens-file", "app tokens new", "--insecure-api"}},
		{"all", "internal", nil, []string{"--internal-tls-cert", "INTERNAL_TOKEN", "--insecure-internal"}},
		{"all", "admin", nil, []string{"--admin-tls-cert", "--admin-tokens-file", "--insecure-admin"}},
		{"api", "api", tls("api"), []string{"--api-tokens-file"}},
		{"api", "api", []string{"--api-tokens-file", "missing"}, []string{"--api-tls-cert"}},
		{"api", "internal", tls("internal"), []string{"INTERNAL_TOKEN", "--internal-tls-client-ca"}},
		{"api", "admin", tls("admin"), []string{"--admin-tokens-file"}},
		{"ingest", "ingest", nil, []string{"--ingest-tls-cert"}},
		{"ingest", "admin", nil, []string{"--admin-tls-cert", "--admin-tokens-file"}},
		{"broker", "admin", nil, []string{"--admin-tls-cert", "--admin-tokens-file"}},
	} {
		args := append(append([]string{}, roles[c.role]...), "--"+c.listener+"-addr", "0.0.0.0:0")
		if c.role != "ingest" {
			args = append(args, "--data-dir", t.TempDir())
		}
		_, err := execute(t, append(args, c.more...)...)
		if err == nil {
			t.Errorf("%s %q started", c.role, args)
			continue
		}
		for _, want := range append(c.want, c.listener+"-addr (", "127.0.0.1") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q %q: error = %v, want it to contain %q", args, c.more, err, want)
			}
		}
	}
}

// TestIngestRefusesPlainHTTPToAnotherMachine checks that the ingest role does not start
// to show its token to the network.
func TestIngestRefusesPlainHTTPToAnotherMachine(t *testing.T) {
	t.Setenv("INTERNAL_TOKEN", strings.Repeat("k", 32))
	for _, mode := range []string{"http", "protobuf", "grpc"} {
		_, err := execute(t, "serve", "ingest", "--mode", mode, "--ingest-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--api-url", "http://api.example:3002")
		if err == nil || !strings.Contains(err.Error(), "--insecure-internal") || strings.Contains(err.Error(), "kkkk") {
			t.Errorf("mode %s: error = %v, want one that names --insecure-internal", mode, err)
		}
	}
}

func TestAdminNeeds(t *testing.T) {
	for path, want := range map[string]door.Role{
		"/livez": door.Anyone, "/readyz": door.Anyone, "/metrics": door.Reader, "/webhooks": door.Reader,
		"/debug/pprof/": door.Operator, "/debug/pprof/heap": door.Operator, "/": door.Operator, "/readyz/": door.Operator,
		"/livez/../debug/pprof/heap": door.Operator, "//livez": door.Operator,
	} {
		if got := adminNeeds(httptest.NewRequest("GET", "http://localhost"+path, nil)); got != want {
			t.Errorf("adminNeeds(%s) = %s, want %s", path, got, want)
		}
	}
}

func TestTokensNew(t *testing.T) {
	out, err := execute(t, "tokens", "new", "--name", "grafana", "--role", "operator")
	lines := strings.Split(out, "\n")
	if err != nil || len(lines) < 5 {
		t.Fatalf("app tokens new printed %q, %v", out, err)
	}
	if want := fmt.Sprintf("grafana operator %x", sha256.Sum256([]byte(lines[1]))); lines[4] != want {
		t.Errorf("line = %q, want %q", lines[4], want)
	}
	again, err := execute(t, "tokens", "new", "--name", "grafana")
	if err != nil || strings.Contains(again, lines[1]) || !strings.Contains(again, "\ngrafana reader ") {
		t.Errorf("app tokens new printed %q, %v, want another token, of a reader", again, err)
	}
	for want, args := range map[string][]string{"--name": {}, "reader or operator": {"--name", "a", "--role", "root"}} {
		if out, err := execute(t, append([]string{"tokens", "new"}, args...)...); err == nil || out != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("app tokens new %q = %q, %v, want an error that contains %q", args, out, err, want)
		}
	}
}
