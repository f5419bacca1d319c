package alerts

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "payrelay-alerts-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory does no harm
	binary = filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "alerts: build the program under test: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

const (
	free        = "127.0.0.1:0"
	startWithin = 30 * time.Second
	// within is long enough for everything that a process does every 15 seconds.
	within = 40 * time.Second
)

// process is one run of the program.
type process struct {
	*program.Process
	log string
}

// launch starts a server process and waits until it is ready. It is killed when the test
// ends.
func launch(t *testing.T, serve program.Serve, env ...string) *process {
	t.Helper()
	p := start(t, serve, env...)
	check(t, p.AwaitReady(startWithin))
	return p
}

// start starts a server process, and does not wait.
func start(t *testing.T, serve program.Serve, env ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{log: filepath.Join(dir, "log")}
	var err error
	p.Process, err = program.Start(program.Options{Name: "serve " + serve.Role, Binary: binary, Args: serve.Args(), Env: env, Dir: dir},
		filepath.Join(dir, "output"), p.log)
	check(t, err)
	t.Cleanup(func() {
		check(t, p.Kill())
		if log, err := os.ReadFile(p.log); t.Failed() && err == nil {
			t.Logf("%s logged\n%s", serve.Role, log[max(0, len(log)-4<<10):])
		}
	})
	return p
}

// all returns the command line of a process with all roles.
func all(t *testing.T, mode string, more ...string) program.Serve {
	return program.Serve{Role: "all", Mode: mode, DataDir: filepath.Join(t.TempDir(), "data"),
		Admin: free, API: free, Internal: free, Ingest: free, More: more}
}

// run runs a command to its end, and returns what it writes to standard output.
func run(t *testing.T, args ...string) string {
	t.Helper()
	r, err := program.Run(program.Options{Name: args[0], Binary: binary, Args: args, Dir: t.TempDir()}, time.Minute)
	check(t, err)
	if r.Code != 0 {
		t.Fatalf("app %q ended with code %d: %s%s", args, r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// await waits until a condition is true.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(within); !condition(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", within, what)
		}
	}
}

// awaitUnready waits until a readiness check of a process fails.
func awaitUnready(t *testing.T, p *process, name string) {
	t.Helper()
	await(t, "the readiness check "+name+" to fail", func() bool { return peek(p, "payrelay_readiness_check", "check", name) == 0 })
}

// awaitReady waits until all readiness checks of a process pass.
func awaitReady(t *testing.T, p *process) {
	t.Helper()
	await(t, "the readiness checks to pass", func() bool {
		families, err := metricsOf(p)
		if err != nil || families["payrelay_readiness_check"] == nil {
			return false
		}
		for _, m := range families["payrelay_readiness_check"].GetMetric() {
			if m.GetGauge().GetValue() != 1 {
				return false
			}
		}
		return true
	})
}

// post sends a webhook, or any other request, and returns the status and the body. The
// status is 0 if there is no answer.
func post(url, body string, header ...string) (int, string) {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// order returns a generic webhook about an order, with further members.
func order(event, id, status string, at time.Time, more string) string {
	return fmt.Sprintf(`{"provider_event_id": %q, "order_id": %q, "user_id": "user-1", "status": %q, "updated_at": %q%s}`,
		event, id, status, at.Format(time.RFC3339), more)
}

// chargeback returns a generic webhook about a dispute, with further members.
func chargeback(event, dispute, id, status string, at time.Time, more string) string {
	return fmt.Sprintf(`{"provider_event_id": %q, "dispute_id": %q, "order_id": %q, "user_id": "user-1", "status": %q, "occurred_at": %q%s}`,
		event, dispute, id, status, at.Format(time.RFC3339), more)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
