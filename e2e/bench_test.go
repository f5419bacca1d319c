package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/wait"
)

// benchReport is the part of a report of app bench that tests read.
type benchReport struct {
	Void []string
	Runs []struct {
		Mode, Load string
		Accepted   float64 `json:"accepted_per_second"`
		Errors     map[string]int64
		Ack        struct {
			P50 float64 `json:"p50_ms"`
			P95 float64 `json:"p95_ms"`
			P99 float64 `json:"p99_ms"`
		}
		Answer struct {
			P50 float64 `json:"p50_ms"`
			P95 float64 `json:"p95_ms"`
		}
		Applied struct {
			P50 float64 `json:"p50_ms"`
		}
		CPU         map[string]float64 `json:"cpu_seconds_per_1000"`
		Allocations map[string]struct{ Objects float64 }
		Wire        map[string]struct{ To float64 } `json:"wire_bytes"`
	}
}

func readReport(t *testing.T, path string) benchReport {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r benchReport
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBench: each mode is measured, and its database has every accepted webhook.
func TestBench(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	r := runToEnd(t, nil, "bench", "--mode", "all,http+h2+unary", "--workload", "mix", "--rounds", "1", "--warm-up", "100ms",
		"--duration", "300ms", "--concurrency", "8", "--rate", "50", "--json", path)
	if r.Code != 0 || !strings.Contains(r.Stdout, "Checked: each of the ") {
		t.Fatalf("bench ended with %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	runs := readReport(t, path).Runs
	if want := 6 * 2; len(runs) != want {
		t.Fatalf("%d runs, want %d", len(runs), want)
	}
	for _, run := range runs {
		roles := map[string]int{"direct": 1, "kafka": 3}[run.Mode]
		if roles == 0 {
			roles = 2
		}
		if run.Accepted == 0 || len(run.Errors) > 0 || run.Applied.P50 <= 0 || len(run.CPU) != roles || len(run.Allocations) != roles {
			t.Errorf("%+v", run)
		}
		if wired := len(run.Wire) > 0; wired != (run.Mode != "direct") {
			t.Errorf("mode %s has bytes on its wire: %v", run.Mode, run.Wire)
		}
	}
}

// TestBenchSendsEventsOfProviders: ingest accepts webhooks that embed events of
// providers, and keeps the events as they were sent.
func TestBenchSendsEventsOfProviders(t *testing.T) {
	r := runToEnd(t, nil, "bench", "--mode", "direct,kafka", "--workload", "provider", "--rounds", "1", "--warm-up", "0s",
		"--duration", "500ms", "--concurrency", "8")
	for _, want := range []string{"workload provider, events of 0.7 to 4.6 KiB", "Checked: each of the "} {
		if r.Code != 0 || !strings.Contains(r.Stdout, want) {
			t.Fatalf("bench ended with %d, want %q\n%s%s", r.Code, want, r.Stdout, r.Stderr)
		}
	}
}

// TestBenchOnRealServers: webhooks that go through Apache Kafka to PostgreSQL are
// counted as with the embedded servers, and the report names the servers.
func TestBenchOnRealServers(t *testing.T) {
	needLane(t, production)
	var b backing
	b.database, b.brokers, b.topics = b.startDatabase(t, false), b.startBrokers(t, false, 1), program.NewTopics()
	b.createTopics(t, 1)
	path := filepath.Join(t.TempDir(), "report.json")
	r := runToEnd(t, nil, "bench", "--mode", "direct,kafka", "--workload", "mix", "--rounds", "1", "--warm-up", "100ms", "--duration", "1s",
		"--concurrency", "8", "--database-url", b.database, "--kafka-brokers", b.brokers,
		"--kafka-orders-topic", b.topics.Orders, "--kafka-disputes-topic", b.topics.Disputes, "--json", path)
	if r.Code != 0 || !strings.Contains(r.Stdout, "Checked: each of the ") {
		t.Fatalf("bench ended with %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if heading := regexp.MustCompile(`database PostgreSQL \d+\.\d.*, broker Kafka at .* \(1 broker, metadata\.version \d+\)\n`); !heading.MatchString(r.Stdout) {
		t.Errorf("the heading does not match %s:\n%s", heading, r.Stdout)
	}
	for i, want := range []string{"all database", "api broker database ingest"} {
		run := readReport(t, path).Runs[i]
		if used := strings.Join(slices.Sorted(maps.Keys(run.CPU)), " "); run.Accepted == 0 || len(run.Errors) > 0 || run.Applied.P50 <= 0 || used != want {
			t.Errorf("%s uses %s, want %s: %+v", run.Mode, used, want, run)
		}
	}
	if to := readReport(t, path).Runs[1].Wire["broker"].To; to < 400 {
		t.Errorf("%.0f bytes go to the broker for a webhook of 400 bytes", to)
	}
}

// underWay is a benchmark of one mode that is running.
type underWay struct {
	*process
	report string
}

func startBench(t *testing.T, more ...string) *underWay {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	args := append([]string{"bench", "--mode", "protobuf", "--rounds", "1", "--json", report}, more...)
	return &underWay{spawn(t, "bench", nil, args...), report} // its roles end with it
}

// await waits for the end of the benchmark and returns its exit code.
func (b *underWay) await(t *testing.T) int {
	t.Helper()
	select {
	case <-b.Exited():
	case <-time.After(2 * startWithin):
		t.Fatal("the benchmark did not end")
	}
	return b.ExitCode()
}

// child returns the process ID of a role that the benchmark has started.
func (b *underWay) child(t *testing.T, role string) int {
	t.Helper()
	pid, begin := 0, binary+"\x00serve\x00"+role+"\x00"
	parent := fmt.Sprintf("PPid:\t%d\n", b.PID())
	wait.Until(t, startWithin, "the benchmark has started "+role, func() bool {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well-formed
		for _, path := range lines {
			line, _ := os.ReadFile(path) // a process may be gone
			status, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
			if strings.HasPrefix(string(line), begin) && strings.Contains(string(status), parent) {
				pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
			}
		}
		return pid != 0
	})
	return pid
}

// awaitLoad waits until webhooks arrive.
func (b *underWay) awaitLoad(t *testing.T) {
	t.Helper()
	ingest := b.child(t, "ingest")
	wait.Until(t, startWithin, "ingest has connections", func() bool {
		sockets, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", ingest)) // the pattern is well-formed
		return len(sockets) > 40
	})
}

// TestBenchReportsKilledRole: a benchmark of which a role was killed is void, and
// leaves no process behind.
func TestBenchReportsKilledRole(t *testing.T) {
	for role, other := range map[string]string{"api": "ingest", "ingest": "api"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			b := startBench(t, "--warm-up", "0s", "--duration", "60s")
			left := b.child(t, other)
			b.awaitLoad(t)
			if err := syscall.Kill(b.child(t, role), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if code := b.await(t); code == 0 {
				t.Error("the benchmark ended with exit code 0")
			}
			for _, want := range []string{"VOID", "app serve " + role, "killed"} {
				if !strings.Contains(b.output(t), want) {
					t.Errorf("the output has no %q:\n%s", want, b.output(t))
				}
			}
			if r := readReport(t, b.report); len(r.Void) == 0 {
				t.Error("the JSON report is not void")
			}
			if err := syscall.Kill(left, 0); err != syscall.ESRCH {
				t.Errorf("process %d still runs: %v", left, err)
			}
		})
	}
}

// TestBenchMeasuresStalls: an api process that is stopped for 20 ms of every second
// delays 2% of the webhooks of a steady rate. At 200/s each stall delays four
// webhooks, three of them by more than 5 ms: at least 12 of 1,000.
func TestBenchMeasuresStalls(t *testing.T) {
	b := startBench(t, "--warm-up", "0s", "--duration", "5s", "--rate", "200")
	b.awaitLoad(t)
	api, stalls := b.child(t, "api"), 0
	for ticker := time.NewTicker(time.Second); ; stalls++ {
		select {
		case <-b.Exited():
			ticker.Stop()
			if code := b.await(t); code != 0 || stalls < 4 {
				t.Fatalf("the benchmark ended with %d after %d stalls:\n%s", code, stalls, b.output(t))
			}
			if p99 := readReport(t, b.report).Runs[0].Ack.P99; p99 < 5 {
				t.Errorf("p99 = %.1f ms with %d stalls of 20 ms, want at least 5 ms", p99, stalls)
			}
			return
		case <-ticker.C:
			stall(api)
		}
	}
}

// stall stops a process for 20 ms. Errors are ignored: if the process has ended, the
// benchmark reports it.
func stall(pid int) {
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	<-time.After(20 * time.Millisecond)
	_ = syscall.Kill(pid, syscall.SIGCONT)
}
