package bench

import (
	"math"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/bench/deployment"
	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/bench/report"
)

func TestQuantile(t *testing.T) {
	bounds, cumulative := []float64{1, 2, 4, 8}, []float64{0, 50, 90, 100}
	for q, want := range map[float64]float64{0: 1, 0.25: 1.5, 0.5: 2, 0.7: 3, 0.9: 4, 0.95: 6, 1: 8} {
		if got := quantile(bounds, cumulative, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile(%v) = %v, want %v", q, got, want)
		}
	}
}

func TestAgeIsOfTheTimeBetweenReadings(t *testing.T) {
	bounds := []float64{0.001, 0.01, 0.1}
	before := deployment.Ages{Bounds: bounds, Counts: []float64{500, 500, 600}}
	after := deployment.Ages{Bounds: bounds, Counts: []float64{500, 600, 700}}
	got := age(before, after)
	if got == nil || math.Abs(got.P50-5.5) > 1e-6 || math.Abs(got.Max-10) > 1e-6 {
		t.Errorf("age() = %+v, want all between 1 and 10 ms", got)
	}
	if got := age(after, after); got != nil {
		t.Errorf("age() without updates = %+v, want nil", got)
	}
	if got := age(deployment.Ages{}, deployment.Ages{}); got != nil {
		t.Errorf("age() without a histogram = %+v, want nil", got)
	}
}

func TestFiguresArePerAcceptedWebhook(t *testing.T) {
	sent := &load.Result{Elapsed: 2 * time.Second, Sent: 5000, Accepted: 4000, Errors: map[string]int64{"503": 1000},
		Latency: load.NewHistogram(), Late: load.NewHistogram(), Answer: load.NewHistogram()}
	_ = sent.Latency.RecordValues(3000, 4000)
	counts := func(n float64) *deployment.Counts {
		return &deployment.Counts{
			Allocations: map[string]float64{"api": 100 * n}, AllocatedBytes: map[string]float64{"api": 7000 * n},
			Batches: map[string]deployment.Batches{"ledger": {Count: n / 16, Updates: n}, "ingest": {Count: n, Updates: n}},
		}
	}
	before := reading{cpu: map[string]time.Duration{"api": time.Second}, senderCPU: time.Second, counts: counts(1600),
		connections: deployment.Connections{"internal": {{1}: {To: 1000, From: 500}}}}
	after := reading{cpu: map[string]time.Duration{"api": 1400 * time.Millisecond}, senderCPU: 1200 * time.Millisecond, counts: counts(5600),
		connections: deployment.Connections{"internal": {{1}: {To: 401000, From: 40500}, {2}: {To: 400000, From: 40000}}, "broker": {}}}
	run := newRun(sent, report.Drain{Backlog: 100, Seconds: 2, PerSecond: 50}, before, after)

	want := map[string][2]float64{
		"accepted/s": {run.AcceptedPerSecond, 2000},
		"applied/s":  {run.AppliedPerSecond, 1000},
		"ack p50":    {run.Ack.P50, 3},
		"CPU of api": {run.CPU["api"], 0.1},
		"sender":     {run.SenderCPU, 0.05},
		"objects":    {run.Allocations["api"].Objects, 100},
		"bytes":      {run.Allocations["api"].Bytes, 7000},
		"wire to":    {run.Wire["internal"].To, 200},
		"wire from":  {run.Wire["internal"].From, 20},
		"batch":      {run.Batches["ledger"], 16},
	}
	for name, pair := range want {
		if math.Abs(pair[0]-pair[1]) > 0.001*pair[1] {
			t.Errorf("%s = %v, want %v", name, pair[0], pair[1])
		}
	}
	if len(run.Wire) != 1 || len(run.Batches) != 1 || run.Failed() != 1000 {
		t.Errorf("wire = %v, batches = %v, failed = %d, want one, one and 1000", run.Wire, run.Batches, run.Failed())
	}
}
