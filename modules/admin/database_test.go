package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// gauged is a database whose values a test sets.
type gauged struct {
	mu sync.Mutex
	values
	queries int
}

type values struct {
	counts []payments.DeadLetterCount
	oldest time.Time
	due    payments.DisputesDue
	stats  StoreStats
	err    error
	hangs  bool
}

// set changes the values.
func (g *gauged) set(change func(*values)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.values)
}

func (g *gauged) answer(ctx context.Context) (values, error) {
	g.mu.Lock()
	g.queries++
	now := g.values
	g.mu.Unlock()
	if now.hangs {
		<-ctx.Done()
		return now, ctx.Err()
	}
	return now, now.err
}

func (g *gauged) CountDeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]payments.DeadLetterCount, error) {
	if q.Settled || len(q.Reasons) > 0 {
		return nil, errors.New("the query is not about all open dead letters")
	}
	now, err := g.answer(ctx)
	return now.counts, err
}

func (g *gauged) OldestOpenDeadLetter(ctx context.Context) (time.Time, error) {
	now, err := g.answer(ctx)
	return now.oldest, err
}

func (g *gauged) DisputesDue(ctx context.Context, at time.Time) (payments.DisputesDue, error) {
	if !at.Equal(time.Now()) {
		return payments.DisputesDue{}, errors.New("the disputes are not counted as of now")
	}
	now, err := g.answer(ctx)
	return now.due, err
}

func (g *gauged) Stats(ctx context.Context) (StoreStats, error) {
	now, err := g.answer(ctx)
	return now.stats, err
}

// watching runs the gauges of a database until the end of the test. It returns a function
// that compares the metrics, where "" is none.
func watching(t *testing.T, db *gauged, log *strings.Builder) (want func(map[string]string)) {
	t.Helper()
	s := checked(log)
	s.log = slog.New(slog.NewTextHandler(log, nil))
	run := s.WatchDatabase(db, db.Stats)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run() = %v, want nil", err)
		}
	})
	return func(samples map[string]string) {
		t.Helper()
		rec := httptest.NewRecorder()
		s.metrics.handler(s.log).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		got := map[string]string{}
		for line := range strings.Lines(rec.Body.String()) {
			series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			got[series] = value
		}
		for series, value := range samples {
			if got["payrelay_"+series] != value {
				t.Errorf("payrelay_%s = %q, want %q", series, got["payrelay_"+series], value)
			}
		}
	}
}

func TestGaugesOfTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conflict := payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
		db := &gauged{values: values{
			counts: []payments.DeadLetterCount{{Reason: conflict, Source: "a", Count: 2}, {Reason: conflict, Source: "b", Count: 3}},
			oldest: time.Unix(1_700_000_000, 0),
			due:    payments.DisputesDue{PastDue: 1, InDay: 2, InThreeDays: 5},
			stats:  StoreStats{InUse: 3, Idle: 4, Max: 16, Bytes: 4096, WALBytes: 512},
		}}
		var log strings.Builder
		want := watching(t, db, &log)
		synctest.Wait()
		shown := map[string]string{
			`dead_letters_open{reason="conflict"}`:      "5",
			`dead_letters_open{reason="contradiction"}`: "0",
			`dead_letters_oldest_timestamp_seconds`:     "1.7e+09",
			`disputes_due{within="past"}`:               "1",
			`disputes_due{within="24h"}`:                "2",
			`disputes_due{within="72h"}`:                "5",
			`store_connections{state="in_use"}`:         "3",
			`store_connections{state="idle"}`:           "4",
			`store_connections{state="max"}`:            "16",
			`store_size_bytes`:                          "4096",
			`store_wal_bytes`:                           "512",
		}
		want(shown)
		db.set(func(v *values) {
			if db.queries != 4 {
				t.Errorf("%d queries at the start, want 4", db.queries)
			}
			v.counts, v.oldest, v.stats.WALBytes = nil, time.Time{}, -1
		})
		time.Sleep(pollInterval - 1)
		want(shown) // not read again
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		want(map[string]string{`dead_letters_open{reason="conflict"}`: "0", `dead_letters_oldest_timestamp_seconds`: "", `store_wal_bytes`: "", `store_size_bytes`: "4096"})
	})
}

// TestGaugesOfADatabaseThatIsAway checks that values which are not known are NaN and not
// the last ones, that the log has the error once, and that all is well afterwards.
func TestGaugesOfADatabaseThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &gauged{values: values{oldest: time.Unix(1_700_000_000, 0)}}
		var log strings.Builder
		want := watching(t, db, &log)
		synctest.Wait()
		known := map[string]string{`dead_letters_open{reason="conflict"}`: "0", `dead_letters_oldest_timestamp_seconds`: "1.7e+09",
			`disputes_due{within="24h"}`: "0", `store_connections{state="max"}`: "0", `store_size_bytes`: "0", `store_wal_bytes`: "0"}
		unknown := map[string]string{}
		for series := range known {
			unknown[series] = "NaN"
		}
		want(known)
		refused := errors.New("connection refused")
		db.set(func(v *values) { v.err = refused })
		for range 3 {
			time.Sleep(pollInterval)
			synctest.Wait()
			want(unknown)
		}
		if n := strings.Count(log.String(), "connection refused"); n != 4 {
			t.Errorf("the log has the error %d times, want once for each of the 4 queries: %s", n, log.String())
		}
		db.set(func(v *values) { v.err = nil })
		time.Sleep(pollInterval)
		synctest.Wait()
		want(known)
		db.set(func(v *values) { v.hangs = true })
		time.Sleep(pollInterval + 4*pollTimeout)
		synctest.Wait()
		want(unknown)
	})
}

func TestGaugesBeforeTheFirstReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		want := watching(t, &gauged{values: values{hangs: true}}, &log)
		synctest.Wait()
		want(map[string]string{`dead_letters_open{reason="conflict"}`: "NaN", `dead_letters_oldest_timestamp_seconds`: "NaN"})
	})
}
