package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/cmd/doctor"
	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/modules/broker"
)

// anyPort gives each listener of a role a free port.
func anyPort(listeners ...string) (args []string) {
	for _, name := range listeners {
		args = append(args, "--"+name+"-addr", "127.0.0.1:0")
	}
	return args
}

// examined runs app doctor and returns the checks, and whether the command succeeded.
func examined(t *testing.T, args ...string) (checks []doctor.Check, passed bool) {
	t.Helper()
	out, err := execute(t, append(append([]string{"doctor"}, args...), "--output", "json")...)
	var report struct{ Checks []doctor.Check }
	if wrong := json.Unmarshal([]byte(out), &report); wrong != nil {
		t.Fatalf("app doctor %q = %v: %s", args, errors.Join(err, wrong), out)
	}
	return report.Checks, err == nil
}

// wantCheck checks that there is a check with a name, a result and a text.
func wantCheck(t *testing.T, checks []doctor.Check, name string, result doctor.Result, text string) {
	t.Helper()
	for _, c := range checks {
		if c.Name == name && c.Result == result && strings.Contains(c.Message, text) {
			return
		}
	}
	t.Errorf("no check %q is %s with %q: %+v", name, result, text, checks)
}

func hasCheck(checks []doctor.Check, name string) bool {
	return slices.ContainsFunc(checks, func(c doctor.Check) bool { return c.Name == name })
}

// TestDoctorOfANewInstallation checks that all is well before the first start, and that
// the check makes nothing.
func TestDoctorOfANewInstallation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	checks, passed := examined(t, append([]string{"all", "--data-dir", dir, "--min-free-disk", "1"}, anyPort("api", "ingest", "internal", "admin")...)...)
	if !passed {
		t.Errorf("app doctor failed: %+v", checks)
	}
	wantCheck(t, checks, "configuration", doctor.OK, "mode kafka")
	wantCheck(t, checks, "database", doctor.OK, "the first start creates it")
	wantCheck(t, checks, "topics", doctor.OK, "embedded")
	wantCheck(t, checks, "disk", doctor.OK, "the first start creates")
	wantCheck(t, checks, "sources", doctor.Warn, "anyone who reaches the ingest listener can change orders")
	wantCheck(t, checks, "process", doctor.Warn, "nothing runs with these settings")
	if exists(dir) {
		t.Error("app doctor made the data directory")
	}
	if _, err := execute(t, "migrate", "up", "--data-dir", dir); err != nil {
		t.Fatal(err)
	}
	checks, passed = examined(t, append([]string{"api", "--mode", "grpc", "--data-dir", dir, "--min-free-disk", "1"}, anyPort("api", "internal", "admin")...)...)
	if !passed {
		t.Errorf("app doctor failed: %+v", checks)
	}
	wantCheck(t, checks, "schema", doctor.OK, "that of this release")
	wantCheck(t, checks, "privileges", doctor.OK, "")
	if hasCheck(checks, "process") {
		t.Errorf("app doctor misses a process, but there is a database: %+v", checks)
	}
}

// TestDoctorFindsWhatIsBroken breaks one thing after the other.
func TestDoctorFindsWhatIsBroken(t *testing.T) {
	dir, authority := t.TempDir(), testcert.NewAuthority(t)
	ports := anyPort("api", "internal", "admin")
	for _, c := range []struct {
		name  string
		args  []string
		check string
		want  doctor.Result
		text  string
	}{
		{"a full disk", []string{"api", "--mode", "grpc", "--data-dir", dir, "--min-free-disk", fmt.Sprint(1 << 40)}, "disk", doctor.Fail, "less than"},
		{"an expired certificate", append([]string{"api", "--mode", "grpc", "--data-dir", dir}, certificate(t, authority, time.Now().Add(-time.Minute))...), "api listener", doctor.Fail, "expired on"},
		{"a certificate that expires soon", append([]string{"api", "--mode", "grpc", "--data-dir", dir}, certificate(t, authority, time.Now().Add(time.Hour))...), "api listener", doctor.Warn, "renew it"},
		{"no tokens", []string{"api", "--mode", "grpc", "--data-dir", dir, "--api-tokens-file", filepath.Join(dir, "none")}, "api listener", doctor.Fail, "API_TOKENS_FILE"},
		{"a wrong setting", []string{"api", "--mode", "kafka", "--data-dir", dir}, "configuration", doctor.Fail, "KAFKA_BROKERS"},
		{"a database that does not answer", []string{"api", "--mode", "grpc", "--database-url", "postgres://user:hunter2@127.0.0.1:1/db"}, "database", doctor.Fail, "127.0.0.1:1"},
		{"no broker", []string{"api", "--mode", "kafka", "--kafka-brokers", "127.0.0.1:1", "--data-dir", dir}, "topics", doctor.Fail, "KAFKA_BROKERS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := ports
			for _, arg := range c.args {
				if arg == "--api-tls-cert" {
					args = anyPort("internal", "admin")
				}
			}
			checks, passed := examined(t, append(c.args, args...)...)
			wantCheck(t, checks, c.check, c.want, c.text)
			if passed == (c.want == doctor.Fail) {
				t.Errorf("app doctor passed = %v, want the opposite: %+v", passed, checks)
			}
			if strings.Contains(fmt.Sprint(checks), "hunter2") {
				t.Errorf("the report has the password: %+v", checks)
			}
		})
	}
}

// certificate returns the flags of a certificate of the api listener.
func certificate(t *testing.T, authority *testcert.Authority, until time.Time) []string {
	cert, key := authority.Issue(t, until, "127.0.0.1")
	dir := t.TempDir()
	return []string{"--api-tls-cert", testcert.Write(t, dir, "cert.pem", cert), "--api-tls-key", testcert.Write(t, dir, "key.pem", key), "--api-addr", "127.0.0.1:0"}
}

func TestDoctorFindsMisspeltVariables(t *testing.T) {
	t.Setenv("INGEST_ADRR", "127.0.0.1:80")
	checks, passed := examined(t, append([]string{"ingest", "--mode", "http"}, anyPort("ingest", "admin")...)...)
	if wantCheck(t, checks, "environment", doctor.Fail, "INGEST_ADDR"); passed {
		t.Error("app doctor succeeded")
	}
}

// TestDoctorFindsMissingTopics checks the topics of the embedded broker, which makes one
// for each name that it is given.
func TestDoctorFindsMissingTopics(t *testing.T) {
	b, err := broker.Open(broker.Config{Addr: "127.0.0.1:0"}, t.TempDir(), []string{"payrelay.orders", "payrelay.disputes"}, "payrelay", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	args := append([]string{"api", "--kafka-brokers", b.Addr(), "--kafka-orders-topic", "payrelay.orders", "--data-dir", t.TempDir()}, anyPort("api", "internal", "admin")...)
	checks, passed := examined(t, append(args, "--kafka-disputes-topic", "payrelay.nothing")...)
	if wantCheck(t, checks, "topics", doctor.Fail, "app topics create"); passed {
		t.Error("app doctor succeeded")
	}
	checks, passed = examined(t, append(args, "--kafka-disputes-topic", "payrelay.disputes")...)
	if wantCheck(t, checks, "topic payrelay.disputes", doctor.Warn, "one broker"); !passed {
		t.Errorf("app doctor failed: %+v", checks)
	}
}

// TestDoctorFindsAddressesInUse checks the difference between another program and payrelay.
func TestDoctorFindsAddressesInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	none := filepath.Join(t.TempDir(), "none")
	if checks, _ := examined(t, append([]string{"api", "--mode", "grpc", "--data-dir", none, "--api-addr", taken.Addr().String()}, anyPort("internal", "admin")...)...); hasCheck(checks, "process") {
		t.Errorf("app doctor misses a process, but an address is in use: %+v", checks)
	}
	args := []string{"ingest", "--mode", "http", "--admin-addr", "127.0.0.1:0", "--ingest-addr", taken.Addr().String()}
	checks, passed := examined(t, args...)
	if wantCheck(t, checks, "ingest listener", doctor.Fail, "stop the program"); passed {
		t.Error("app doctor succeeded")
	}
}

// TestDoctorOfARunningServer checks that the addresses and the database of a process that
// runs are no problem.
func TestDoctorOfARunningServer(t *testing.T) {
	dir := t.TempDir()
	process := serveAll(t, http.DefaultClient, dir, "--mode", "direct")
	args := []string{"all", "--mode", "direct", "--data-dir", dir, "--min-free-disk", "1"}
	for name, address := range process.urls {
		args = append(args, "--"+name+"-addr", strings.TrimPrefix(address, "http://"))
	}
	checks, passed := examined(t, args...)
	if wantCheck(t, checks, "api listener", doctor.OK, "payrelay runs"); !passed {
		t.Errorf("app doctor failed: %+v", checks)
	}
	wantCheck(t, checks, "schema", doctor.OK, "that of this release")
}

// TestDoctorFindsExpiredSecrets checks that a secret without a successor is a failure.
func TestDoctorFindsExpiredSecrets(t *testing.T) {
	const entry = "  - {name: %s, provider: generic, environment: live, signature: {scheme: hmac, header: X-Sign, algorithm: sha256, encoding: hex}, secrets: [%s]}\n"
	const old, soon, valid = "{secret: 0123456789abcdef0123456789abcdef, not_after: 2026-01-04T10:00:00Z}", "{secret: 1123456789abcdef0123456789abcdef, not_after: %s}", "{secret: 2123456789abcdef0123456789abcdef}"
	file := filepath.Join(t.TempDir(), "sources.yaml")
	text := "sources:\n" + fmt.Sprintf(entry, "replaced", old+", "+valid) + fmt.Sprintf(entry, "expired", old) + fmt.Sprintf(entry, "soon", fmt.Sprintf(soon, time.Now().Add(30*time.Hour).UTC().Format(time.RFC3339)))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	checks, passed := examined(t, append([]string{"ingest", "--mode", "http", "--sources", file}, anyPort("ingest", "admin")...)...)
	wantCheck(t, checks, "secret", doctor.Warn, "secret 1 of source replaced expired")
	wantCheck(t, checks, "secret", doctor.Fail, "secret 1 of source expired expired")
	wantCheck(t, checks, "secret", doctor.Warn, "secret 1 of source soon expires")
	wantCheck(t, checks, "sources", doctor.OK, "3 sources")
	if passed {
		t.Error("app doctor succeeded")
	}
}

// TestDoctorOfPostgres checks a database with too few privileges, and its clock.
func TestDoctorOfPostgres(t *testing.T) {
	server := servers.Need(t, servers.PostgresVariable)[0]
	database, drop, err := servers.CreateDatabase(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"api", "--mode", "http", "--data-dir", t.TempDir(), "--database-url"}, database)
	args = append(args, anyPort("api", "internal", "admin")...)
	checks, passed := examined(t, args...)
	if wantCheck(t, checks, "schema", doctor.OK, "the database is empty"); !passed {
		t.Errorf("app doctor of an empty database failed: %+v", checks)
	}
	if _, err := execute(t, "migrate", "up", "--database-url", database); err != nil {
		t.Fatal(err)
	}
	const user = "doctor_test"
	for _, statement := range []string{
		"DROP ROLE IF EXISTS " + user, "CREATE ROLE " + user + " LOGIN PASSWORD 'x'", "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO " + user,
	} {
		if err := servers.Execute(t.Context(), database, statement); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		err := errors.Join(servers.Execute(t.Context(), database, "DROP OWNED BY "+user), servers.Execute(t.Context(), database, "DROP ROLE "+user), drop())
		if err != nil {
			t.Error(err)
		}
	}()
	checks, passed = examined(t, args...)
	if wantCheck(t, checks, "clock", doctor.OK, "that of the database"); !passed {
		t.Errorf("app doctor of the owner failed: %+v", checks)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "x")
	args[6] = u.String()
	checks, passed = examined(t, args...)
	if wantCheck(t, checks, "privileges", doctor.Fail, "UPDATE on orders"); passed {
		t.Error("app doctor succeeded")
	}
}
