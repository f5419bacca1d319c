package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// figures are what k6 and app bench both tell.
type figures struct {
	Accepted float64 `json:"accepted_per_second"`
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
}

// agreement is how far apart the two may be.
const agreement = 0.15

// TestK6Agrees sends webhooks by k6 and by app bench to one deployment, at the
// same rate and the same time, so that whatever else the machine does befalls
// both: then they have to measure the same. It needs a built k6, and is run by
// its Task target.
func TestK6Agrees(t *testing.T) {
	k6 := os.Getenv("PAYRELAY_TEST_K6")
	if k6 == "" {
		t.Skip("PAYRELAY_TEST_K6 does not name k6: task k6-agrees does")
	}
	c := startCluster(t, setup{mode: "protobuf", layout: split}, options{})
	const tries = 3
	for try := 1; ; try++ {
		apart := compareSenders(t, c, k6)
		if len(apart) == 0 {
			return
		}
		if try == tries {
			t.Fatalf("the figures are apart, %d times in a row: %q", tries, apart)
		}
		t.Logf("the machine is busy: %q", apart)
	}
}

// compareSenders says which figures are too far apart, by the medians of some
// rounds.
func compareSenders(t *testing.T, c *cluster, k6 string) (apart []string) {
	var byK6, byBench []figures
	for range 5 {
		var both sync.WaitGroup
		var one, other figures
		both.Go(func() { one = runK6(t, k6, c.url("ingest")) })
		both.Go(func() { other = runBench(t, c.url("ingest")) })
		both.Wait()
		byK6, byBench = append(byK6, one), append(byBench, other)
	}
	for name, of := range map[string]func(figures) float64{
		"accepted": func(f figures) float64 { return f.Accepted },
		"p50":      func(f figures) float64 { return f.P50 },
		"p95":      func(f figures) float64 { return f.P95 },
	} {
		a, b := median(byK6, of), median(byBench, of)
		t.Logf("%s: %.2f by k6, %.2f by app bench", name, a, b)
		if math.Abs(a-b) > agreement*max(a, b) {
			apart = append(apart, fmt.Sprintf("%s: %.2f by k6, %.2f by app bench", name, a, b))
		}
	}
	return apart
}

func median(all []figures, of func(figures) float64) float64 {
	var values []float64
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

const (
	senderRate        = "200"
	senderConnections = "32"
	senderDuration    = "4s"
)

func runK6(t *testing.T, k6, ingest string) (f figures) {
	summary := filepath.Join(t.TempDir(), "k6.json")
	script, err := filepath.Abs("k6/webhooks.js")
	if err != nil {
		t.Error(err)
		return f
	}
	command := exec.CommandContext(t.Context(), k6, "run", "--quiet", "--no-usage-report", script)
	command.Env = append(os.Environ(), "INGEST="+ingest, "RATE="+senderRate, "CONNECTIONS="+senderConnections,
		"DURATION="+senderDuration, "SUMMARY="+summary, "P99_MS=5000")
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("k6: %v\n%s", err, out)
		return f
	}
	text, err := os.ReadFile(summary)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Error(err)
	}
	return f
}

func runBench(t *testing.T, ingest string) (f figures) {
	path := filepath.Join(t.TempDir(), "bench.json")
	command := newCommand(t, nil, "bench", "--target", ingest, "--rate", senderRate, "--connections", senderConnections,
		"--duration", senderDuration, "--warm-up", "0s", "--rounds", "1", "--json", path)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("app bench: %v\n%s", err, out)
		return f
	}
	run := readReport(t, path).Runs[0]
	return figures{run.Accepted, run.Ack.P50, run.Ack.P95}
}
