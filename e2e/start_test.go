package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/wait"
)

// anyPorts returns the arguments of serve all with a free port for every listener.
func anyPorts(dir string, more ...string) []string {
	const free = "127.0.0.1:0"
	return program.Serve{Role: "all", DataDir: dir, Admin: free, API: free, Internal: free, Ingest: free, More: more}.Args()
}

// wantRefusal checks that a start failed with one sentence that contains these
// texts. There may be lines of the log before it.
func wantRefusal(t *testing.T, r program.Result, texts ...string) {
	t.Helper()
	wantRefusalCode(t, r, 1, texts...)
}

// wantRefusalCode is wantRefusal with another exit code.
func wantRefusalCode(t *testing.T, r program.Result, code int, texts ...string) {
	t.Helper()
	if r.Code != code || r.Stdout != "" {
		t.Errorf("exit code %d and stdout %q, want %d and none", r.Code, r.Stdout, code)
	}
	var sentence string
	for line := range strings.Lines(r.Stderr) {
		if !strings.HasPrefix(line, `{"time":`) {
			sentence += line
		}
	}
	if !strings.HasPrefix(sentence, "app: ") || strings.Count(sentence, "\n") != 1 {
		t.Errorf("the error is not one line: %s", sentence)
	}
	for _, text := range texts {
		if !strings.Contains(sentence, text) {
			t.Errorf("the error %q does not contain %q", sentence, text)
		}
	}
}

// TestFirstStart: serve all on an empty directory is ready soon, uses little memory,
// and prints commands that work.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	p := launch(t, "serve all", nil, anyPorts(filepath.Join(t.TempDir(), "new"))...)
	took := time.Since(begin)
	t.Logf("ready after %s (race detector: %t)", took.Round(time.Millisecond), program.RaceDetector)
	if took > 5*time.Second {
		t.Errorf("ready after %s, want at most 5s", took)
	}
	checkIdleMemory(t, p)
	checkSuggestion(t, p)
}

func checkIdleMemory(t *testing.T, p *process) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Logf("memory is not measured on this system: %v", err)
		return
	}
	resident := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if resident == nil {
		t.Fatalf("no resident memory in %s", status)
	}
	kib, _ := strconv.Atoi(string(resident[1])) // these are digits
	t.Logf("%d KiB of resident memory when idle (race detector: %t)", kib, program.RaceDetector)
	if kib > 64<<10 && !program.RaceDetector {
		t.Errorf("%d KiB of resident memory when idle, want at most 64 MiB", kib)
	}
}

// checkSuggestion runs the commands that the program prints.
func checkSuggestion(t *testing.T, p *process) {
	t.Helper()
	var printed string
	wait.Until(t, startWithin, "the commands are printed", func() bool {
		printed = p.output(t)
		return strings.Contains(printed, "/orders/order-1")
	})
	for _, name := range []string{"admin", "internal", "api", "ingest"} {
		url := p.URL(name)
		if _, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://")); err != nil || port == "0" || !strings.Contains(printed, url) {
			t.Errorf("the URL %q of the %s listener has no port, or is not printed", url, name)
		}
	}
	create := regexp.MustCompile(`(?s)curl -i (\S+) -H '(\S+): (\S+)' -d '(.*?)'`).FindStringSubmatch(printed)
	read := regexp.MustCompile(`curl (http://\S+/orders/order-1)`).FindStringSubmatch(printed)
	if create == nil || read == nil {
		t.Fatalf("no commands in %s", printed)
	}
	answer, err := do("POST", create[1], create[4], create[2], create[3])
	if err != nil || answer.status != 202 {
		t.Errorf("the first command is answered %s, %v, want 202", answer, err)
	}
	wait.Until(t, appliedWithin, "the second command shows the order", func() bool {
		answer, err := get(read[1])
		return err == nil && answer.status == 200 && strings.Contains(string(answer.body), `"minor_units":10050`)
	})
}

// TestOneProcessPerDirectory: a second process refuses a directory that is in use.
// Each of two writers would lose what the other acknowledged.
func TestOneProcessPerDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := launch(t, "serve all", nil, anyPorts(dir)...)
	pid := fmt.Sprintf("process %d", first.PID())
	wantRefusal(t, runToEnd(t, nil, anyPorts(dir)...), dir, pid)
	samePort := strings.TrimPrefix(first.URL("admin"), "http://") // the error must not be about the port
	wantRefusal(t, runToEnd(t, nil, anyPorts(dir, "--admin-addr", samePort)...), dir, pid)
	wantRefusal(t, runToEnd(t, nil, anyPorts(t.TempDir(), "--database-url", "sqlite://"+dir+"/payrelay.db")...), dir, pid)
	wantRefusal(t, runToEnd(t, nil, "serve", "api", "--mode", "http", "--data-dir", dir, "--admin-addr", "127.0.0.1:0",
		"--api-addr", "127.0.0.1:0", "--internal-addr", "127.0.0.1:0"), dir, pid)
	wantRefusal(t, runToEnd(t, nil, "serve", "broker", "--data-dir", dir, "--admin-addr", "127.0.0.1:0", "--broker-addr", "127.0.0.1:0"), dir, pid)
	first.kill(t)
	launch(t, "serve all after a kill", nil, anyPorts(dir)...)
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	addr := taken.Addr().String()
	for _, flag := range []string{"--ingest-addr", "--api-addr", "--internal-addr", "--admin-addr", "--broker-addr"} {
		wantRefusal(t, runToEnd(t, nil, anyPorts(t.TempDir(), flag, addr)...), addr, "address already in use")
	}
}

// TestBadConfiguration: a bad value is refused before anything starts, by a sentence
// that names the setting.
func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	ingest := []string{"serve", "ingest", "--admin-addr", "127.0.0.1:0", "--ingest-addr", "127.0.0.1:0"}
	api := []string{"serve", "api", "--admin-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--internal-addr", "127.0.0.1:0"}
	for name, c := range map[string]struct {
		env  string
		args []string
		want string
	}{
		"unknown flag":      {"", anyPorts("data", "--colour", "red"), "--colour"},
		"unknown command":   {"", []string{"serve", "everything"}, "everything"},
		"mode":              {"", anyPorts("data", "--mode", "carrier-pigeon"), "carrier-pigeon"},
		"mode, environment": {"WEBHOOK_MODE=carrier-pigeon", anyPorts("data"), "WEBHOOK_MODE"},
		"duration":          {"", anyPorts("data", "--api-timeout", "soon"), "API_TIMEOUT"},
		"no time":           {"API_TIMEOUT=0s", anyPorts("data"), "API_TIMEOUT"},
		"no attempts":       {"", anyPorts("data", "--api-retry-attempts", "0"), "api-retry-attempts"},
		"log format":        {"LOG_FORMAT=xml", append(api, "--mode", "http"), "LOG_FORMAT"},
		"log level":         {"", anyPorts("data", "--log-level", "loud"), "LOG_LEVEL"},
		"address":           {"", anyPorts("data", "--ingest-addr", "3001"), "INGEST_ADDR"},
		"database":          {"DATABASE_URL=oracle://db", anyPorts("data"), "DATABASE_URL"},
		"broker address":    {"", anyPorts("data", "--broker-addr", "0.0.0.0:0"), "broker-addr"},
		"API address":       {"API_BASE_URL=ftp://api", append(ingest, "--mode", "http"), "API_BASE_URL"},
		"ingest, no broker": {"", ingest, "KAFKA_BROKERS"},
		"api, no broker":    {"", api, "KAFKA_BROKERS"},
		"brokers, no port":  {"KAFKA_BROKERS=kafka", ingest, "KAFKA_BROKERS"},
		"one topic":         {"", anyPorts("data", "--kafka-orders-topic", "a", "--kafka-disputes-topic", "a"), "KAFKA_ORDERS_TOPIC"},
		"two copies of one": {"KAFKA_MIN_COPIES=2", anyPorts("data"), "KAFKA_MIN_COPIES"},
		"TLS of one":        {"KAFKA_TLS=true", anyPorts("data"), "KAFKA_TLS"},
		"login of one":      {"KAFKA_SASL_PASSWORD=hunter2", anyPorts("data"), "KAFKA_BROKERS"},
		"login in a broker": {"KAFKA_BROKERS=SASL_SSL://relay:hunter2@kafka:9092", ingest, "KAFKA_BROKERS"},
		"login, no TLS":     {"KAFKA_SASL_PASSWORD=hunter2", append(ingest, "--kafka-brokers", "kafka:9092", "--kafka-sasl-mechanism", "PLAIN", "--kafka-sasl-username", "u"), "--kafka-tls"},
		"no such mechanism": {"KAFKA_SASL_PASSWORD=hunter2", append(api, "--kafka-brokers", "kafka:9092", "--kafka-sasl-mechanism", "GSSAPI"), "KAFKA_SASL_MECHANISM"},
		"password file":     {"KAFKA_SASL_PASSWORD_FILE=/does/not/exist", append(api, "--kafka-brokers", "kafka:9092"), "KAFKA_SASL_PASSWORD_FILE"},
		"topics, no broker": {"", []string{"topics", "check"}, "KAFKA_BROKERS"},
		"negative copies":   {"", anyPorts("data", "--kafka-min-copies=-1"), "KAFKA_MIN_COPIES"},
		"direct, ingest":    {"", append(ingest, "--mode", "direct"), "serve all"},
		"direct, api":       {"", append(api, "--mode", "direct"), "serve all"},
		"no token":          {"", append(api, "--mode", "http", "--internal-addr", "0.0.0.0:0"), "INTERNAL_TOKEN"},
		"short token":       {"INTERNAL_TOKEN=hunter2", append(api, "--mode", "http"), "INTERNAL_TOKEN"},
		"token file":        {"INTERNAL_TOKEN_FILE=/does/not/exist", append(api, "--mode", "http"), "INTERNAL_TOKEN_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var env []string
			if c.env != "" {
				env = []string{c.env}
			}
			r := runToEnd(t, env, c.args...)
			code := 1
			if slices.Contains([]string{"unknown flag", "unknown command", "mode", "mode, environment", "duration", "log level"}, name) {
				code = 2 // it cannot be understood
			}
			wantRefusalCode(t, r, code, c.want)
			if strings.Contains(r.Stderr, `{"time":`) {
				t.Errorf("the process logged before it refused to start: %s", r.Stderr)
			}
			if strings.Contains(r.Stderr, "hunter2") {
				t.Errorf("the error %q contains a secret", r.Stderr)
			}
		})
	}
}
