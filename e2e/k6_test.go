package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// figures are the figures that k6 and app bench both report. The latency is from
// the sending of a webhook to its answer, as k6 measures it.
type figures struct {
	Accepted float64 `json:"accepted_per_second"`
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
}

// ratios returns each figure of app bench divided by that of k6.
func (f figures) ratios(k6 figures) map[string]float64 {
	return map[string]float64{"accepted": f.Accepted / k6.Accepted, "p50": f.P50 / k6.P50, "p95": f.P95 / k6.P95}
}

// agreement is the largest difference that is allowed between a figure of k6 and
// that of app bench, as a fraction.
const agreement = 0.15

// TestK6Agrees: k6 and app bench measure the same. Both send webhooks to one
// deployment, at the same rate and the same time, so that other load on the machine
// affects both. The medians of several rounds are compared, because a stall of the
// machine may delay more webhooks of one than of the other. The test needs a built
// k6: run it by its Task target.
func TestK6Agrees(t *testing.T) {
	k6 := os.Getenv("PAYRELAY_TEST_K6")
	if k6 == "" {
		t.Skip("PAYRELAY_TEST_K6 is not set: run this test by task k6-agrees")
	}
	c := startCluster(t, setup{mode: payments.Protobuf, layout: split}, options{})
	all := make(map[string][]float64)
	for range senderRounds {
		byK6, byBench := sendAtOnce(t, c, k6)
		t.Logf("by k6 %.2f, by app bench %.2f", byK6, byBench)
		for name, ratio := range byBench.ratios(byK6) {
			all[name] = append(all[name], ratio)
		}
	}
	for name, ratios := range all {
		slices.Sort(ratios)
		median := ratios[len(ratios)/2]
		t.Logf("%s by app bench over that by k6: %.3f, the median of %.3f", name, median, ratios)
		if math.Abs(median-1) > agreement {
			t.Errorf("%s: app bench has %.2f times the value of k6, want a difference below %.0f%%", name, median, 100*agreement)
		}
	}
}

// sendAtOnce starts app bench when the first webhooks of k6 arrive. The start of k6
// uses all processors for a second, which would only affect app bench.
func sendAtOnce(t *testing.T, c *cluster, k6 string) (byK6, byBench figures) {
	t.Helper()
	before := webhooksAt(t, c)
	running := startK6(t, k6, c.url("ingest"))
	wait.Until(t, startWithin, "k6 sends webhooks", func() bool { return webhooksAt(t, c) != before })
	byBench = runBench(t, c.url("ingest"))
	return running.figures(t), byBench
}

var ingestRequests = regexp.MustCompile(`payrelay_http_requests_total\{code="200",listener="ingest"\} (\S+)`)

// webhooksAt returns the number of webhooks answered so far, by the metrics.
func webhooksAt(t *testing.T, c *cluster) string {
	t.Helper()
	metrics, err := get(c.running["ingest"].URL("admin") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if found := ingestRequests.FindSubmatch(metrics.body); found != nil {
		return string(found[1])
	}
	return ""
}

const (
	senderRounds      = 7
	senderConnections = "100"

	// The rates differ a little. With equal rates, one sender could always send just
	// after the other, and wait for its commit.
	k6Rate, benchRate = "200", "199"
	// k6 begins before app bench and must end after it.
	k6Duration, benchDuration = "6s", "5500ms"
)

// runningK6 is a k6 that is sending.
type runningK6 struct {
	command *exec.Cmd
	out     bytes.Buffer
	summary string
}

func startK6(t *testing.T, k6, ingest string) *runningK6 {
	t.Helper()
	script, err := filepath.Abs("k6/webhooks.js")
	check(t, err)
	r := &runningK6{summary: filepath.Join(t.TempDir(), "k6.json")}
	r.command = exec.CommandContext(t.Context(), k6, "run", "--quiet", "--no-usage-report", "--address", "", script)
	r.command.Env = append(os.Environ(), "INGEST="+ingest, "RATE="+k6Rate, "CONNECTIONS="+senderConnections,
		"DURATION="+k6Duration, "SUMMARY="+r.summary, "P99_MS=5000")
	r.command.Stdout, r.command.Stderr = &r.out, &r.out
	check(t, r.command.Start())
	return r
}

// thresholdsBroken is the exit code of k6 when one of its own limits is exceeded.
// Its figures are valid then too.
const thresholdsBroken = 99

func (r *runningK6) figures(t *testing.T) (f figures) {
	t.Helper()
	err := r.command.Wait()
	if ended, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || ended.ExitCode() != thresholdsBroken) {
		t.Fatalf("k6: %v\n%s", err, r.out.String())
	}
	text, err := os.ReadFile(r.summary)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("read the figures of k6: %w", err))
	}
	return f
}

func runBench(t *testing.T, ingest string) figures {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench.json")
	r := runToEnd(t, nil, "bench", "--target", ingest, "--rate", benchRate, "--connections", senderConnections,
		"--duration", benchDuration, "--warm-up", "0s", "--rounds", "1", "--json", path)
	if r.Code != 0 {
		t.Fatalf("app bench: %s%s", r.Stdout, r.Stderr)
	}
	run := readReport(t, path).Runs[0]
	return figures{run.Accepted, run.Answer.P50, run.Answer.P95}
}
