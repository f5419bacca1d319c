package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/payments"
)

// answer returns an Applier that returns these verdicts for every batch.
func answer(verdicts ...payrelayv1.Verdict) payments.ApplierFunc {
	outcomes := make([]*payrelayv1.Outcome, len(verdicts))
	for i, v := range verdicts {
		outcomes[i] = &payrelayv1.Outcome{Verdict: v}
	}
	return func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { return outcomes, nil }
}

func scrape(t *testing.T, s *admin.Server) map[string]string {
	t.Helper()
	status, body := get(t, s, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics = %d %s, want 200", status, body)
	}
	samples := map[string]string{}
	for line := range strings.Lines(body) {
		if series, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && series != "#" {
			samples[series] = value
		}
	}
	return samples
}

func expectSamples(t *testing.T, s *admin.Server, want map[string]string) {
	t.Helper()
	got := scrape(t, s)
	for series, value := range want {
		if got[series] != value {
			t.Errorf("%s = %q, want %q", series, got[series], value)
		}
	}
}

func TestMetricsShowTheProcessAndTheRuntime(t *testing.T) {
	got := scrape(t, serve(t))
	for _, series := range []string{"go_goroutines", "process_open_fds", "process_resident_memory_bytes"} {
		if got[series] == "" {
			t.Errorf("/metrics has no %s", series)
		}
	}
}

func TestInstrumentCountsByVerdict(t *testing.T) {
	s := serve(t)
	stage := s.Instrument("ledger", answer(
		payrelayv1.Verdict_VERDICT_APPLIED, payrelayv1.Verdict_VERDICT_APPLIED, payrelayv1.Verdict_VERDICT_DEAD_LETTERED))
	if _, err := stage.Apply(t.Context(), make([]*payrelayv1.Update, 3)); err != nil {
		t.Fatal(err)
	}
	other := s.Instrument("wire", answer(payrelayv1.Verdict_VERDICT_QUEUED))
	if _, err := other.Apply(t.Context(), make([]*payrelayv1.Update, 1)); err != nil {
		t.Fatal(err)
	}
	expectSamples(t, s, map[string]string{
		`payrelay_updates_total{stage="ledger",verdict="applied"}`:       "2",
		`payrelay_updates_total{stage="ledger",verdict="dead_lettered"}`: "1",
		`payrelay_updates_total{stage="ledger",verdict="queued"}`:        "0",
		`payrelay_updates_total{stage="wire",verdict="queued"}`:          "1",
		`payrelay_apply_errors_total{stage="ledger"}`:                    "0",
		`payrelay_apply_batch_updates_sum{stage="ledger"}`:               "3",
		`payrelay_apply_batch_updates_count{stage="ledger"}`:             "1",
		`payrelay_apply_batch_updates_bucket{stage="ledger",le="2"}`:     "0",
		`payrelay_apply_batch_updates_bucket{stage="ledger",le="4"}`:     "1",
		`payrelay_apply_duration_seconds_count{stage="ledger"}`:          "1",
	})
}

// TestInstrumentKnowsEveryVerdict fails when a verdict of the contract has no label
// of its own.
func TestInstrumentKnowsEveryVerdict(t *testing.T) {
	s := serve(t)
	want := map[string]string{}
	for number, name := range payrelayv1.Verdict_name {
		stage := s.Instrument("ledger", answer(payrelayv1.Verdict(number)))
		if _, err := stage.Apply(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		label := strings.ToLower(strings.TrimPrefix(name, "VERDICT_"))
		want[fmt.Sprintf("payrelay_updates_total{stage=%q,verdict=%q}", "ledger", label)] = "1"
	}
	expectSamples(t, s, want)
}

func TestInstrumentCountsAnUnknownVerdictAsUnspecified(t *testing.T) {
	s := serve(t)
	stage := s.Instrument("wire", payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return []*payrelayv1.Outcome{{Verdict: 99}, {Verdict: -1}, nil}, nil
	}))
	if _, err := stage.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expectSamples(t, s, map[string]string{`payrelay_updates_total{stage="wire",verdict="unspecified"}`: "3"})
}

func TestInstrumentChangesNothing(t *testing.T) {
	type key struct{}
	var (
		updates  = []*payrelayv1.Update{{EventId: "evt-1"}}
		outcomes = []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_STALE}}
		unknown  = errors.New("not known")
	)
	for _, wantErr := range []error{nil, unknown} {
		s := serve(t)
		stage := s.Instrument("wire", payments.ApplierFunc(func(ctx context.Context, got []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			if ctx.Value(key{}) != "kept" || &got[0] != &updates[0] {
				t.Error("the next stage got another context or other updates than Apply")
			}
			return outcomes, wantErr
		}))
		got, err := stage.Apply(context.WithValue(t.Context(), key{}, "kept"), updates)
		if err != wantErr || !reflect.DeepEqual(got, outcomes) {
			t.Errorf("Apply = %v, %v, want %v, %v", got, err, outcomes, wantErr)
		}
		errorCount, stale := "0", "1"
		if wantErr != nil { // outcomes beside an error do not count
			errorCount, stale = "1", "0"
		}
		expectSamples(t, s, map[string]string{
			`payrelay_apply_errors_total{stage="wire"}`:            errorCount,
			`payrelay_updates_total{stage="wire",verdict="stale"}`: stale,
			`payrelay_apply_duration_seconds_count{stage="wire"}`:  "1",
		})
	}
}

func TestAgeIsMeasuredAfterTheCommit(t *testing.T) {
	s := serve(t)
	received := func(ago time.Duration) *payrelayv1.Update {
		return &payrelayv1.Update{ReceivedAt: timestamppb.New(time.Now().Add(-ago))}
	}
	updates := []*payrelayv1.Update{received(0), received(40 * time.Second), {}}
	var failed error
	stage := s.Age(payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) { return nil, failed }))
	for _, failed = range []error{errors.New("not known"), nil} {
		if _, err := stage.Apply(t.Context(), updates); err != failed {
			t.Fatal(err)
		}
	}
	expectSamples(t, s, map[string]string{
		`payrelay_update_age_seconds_count`:            "2",
		`payrelay_update_age_seconds_bucket{le="30"}`:  "1",
		`payrelay_update_age_seconds_bucket{le="60"}`:  "2",
		`payrelay_update_age_seconds_bucket{le="300"}`: "2",
	})
}

func TestInstrumentConcurrently(t *testing.T) {
	s := serve(t)
	stage := s.Instrument("batcher", answer(payrelayv1.Verdict_VERDICT_APPLIED))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				_, _ = stage.Apply(context.Background(), make([]*payrelayv1.Update, 1))
			}
		})
	}
	wg.Wait()
	expectSamples(t, s, map[string]string{`payrelay_updates_total{stage="batcher",verdict="applied"}`: "1600"})
}

func TestInstrumentAllocatesNothing(t *testing.T) {
	stage := serve(t).Instrument("batcher", answer(payrelayv1.Verdict_VERDICT_APPLIED))
	updates := make([]*payrelayv1.Update, 1)
	if n := testing.AllocsPerRun(100, func() { _, _ = stage.Apply(t.Context(), updates) }); n != 0 {
		t.Errorf("Apply made %v allocations, want 0", n)
	}
}

func BenchmarkInstrument(b *testing.B) {
	s := open(b, admin.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer s.Run(ctx)
	for _, size := range []int{1, 256} {
		verdicts := make([]payrelayv1.Verdict, size)
		for i := range verdicts {
			verdicts[i] = payrelayv1.Verdict_VERDICT_APPLIED
		}
		stage, updates := s.Instrument("bench", answer(verdicts...)), make([]*payrelayv1.Update, size)
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = stage.Apply(ctx, updates)
			}
		})
	}
}

// receivedNow returns an update that the ingest role has just received.
func receivedNow() []*payrelayv1.Update {
	return []*payrelayv1.Update{{ReceivedAt: timestamppb.Now()}}
}
