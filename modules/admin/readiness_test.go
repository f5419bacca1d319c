package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func pass(context.Context) error { return nil }

func fail(reason string) func(context.Context) error {
	return func(context.Context) error { return errors.New(reason) }
}

// probe calls the handler of /readyz without a network, so that it can run on the
// clock of synctest.
func probe(t *testing.T, s *Server) (status int, failing []failure) {
	t.Helper()
	rec := httptest.NewRecorder()
	s.readiness.serve(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	var body struct {
		Ready   bool      `json:"ready"`
		Failing []failure `json:"failing"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		t.Fatalf("/readyz = %q: %v", rec.Body, err)
	}
	if body.Ready != (rec.Code == http.StatusOK) {
		t.Errorf("/readyz = %d with ready = %v", rec.Code, body.Ready)
	}
	return rec.Code, body.Failing
}

func expect(t *testing.T, s *Server, want ...failure) {
	t.Helper()
	wantStatus := http.StatusOK
	if len(want) > 0 {
		wantStatus = http.StatusServiceUnavailable
	}
	status, failing := probe(t, s)
	if status != wantStatus || !reflect.DeepEqual(failing, want) {
		t.Errorf("/readyz = %d %v, want %d %v", status, failing, wantStatus, want)
	}
}

var starting = failure{"serving", "the process is starting or stopping"}

// checked returns a server without a listener that logs to a writer.
func checked(log io.Writer) *Server {
	s := &Server{metrics: newMetrics()}
	s.readiness.log = slog.New(slog.NewTextHandler(log, nil))
	s.addReadinessGauge()
	return s
}

func TestReadyOnlyAfterSetReady(t *testing.T) {
	s := checked(io.Discard)
	expect(t, s, starting)
	s.SetReady(true)
	expect(t, s)
	s.SetReady(false)
	expect(t, s, starting)
}

func TestReadinessListsFailuresInOrder(t *testing.T) {
	s := checked(io.Discard)
	s.AddCheck("store", "store is away", fail("no such host"))
	s.AddCheck("relay", "relay is away", pass)
	s.AddCheck("kafka", "kafka is away", fail("no broker"))
	expect(t, s, starting, failure{"store", "store is away"}, failure{"kafka", "kafka is away"})
	s.SetReady(true)
	expect(t, s, failure{"store", "store is away"}, failure{"kafka", "kafka is away"})
}

func TestReadinessRecovers(t *testing.T) {
	s := checked(io.Discard)
	s.SetReady(true)
	var broken atomic.Bool
	s.AddCheck("store", "store is away", func(context.Context) error {
		if broken.Load() {
			return errors.New("no connection")
		}
		return nil
	})
	expect(t, s)
	broken.Store(true)
	expect(t, s, failure{"store", "store is away"})
	broken.Store(false)
	expect(t, s)
}

func TestChecksShareOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := checked(io.Discard)
		s.SetReady(true)
		wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		s.AddCheck("slow", "slow is away", wait)
		s.AddCheck("fine", "fine is away", pass)
		s.AddCheck("slower", "slower is away", wait)
		start := time.Now()
		if status, failing := probe(t, s); status != http.StatusServiceUnavailable || len(failing) != 2 {
			t.Errorf("/readyz = %d %v, want 503 with the two slow checks", status, failing)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("/readyz took %v, want 1s", took)
		}
	})
}

func TestCheckThatIgnoresItsContextCostsOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := checked(io.Discard)
		s.SetReady(true)
		var calls atomic.Int32
		release := make(chan struct{})
		s.AddCheck("stuck", "stuck is away", func(context.Context) error {
			calls.Add(1)
			<-release
			return nil
		})
		for range 5 {
			expect(t, s, failure{"stuck", "stuck is away"})
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("the stuck check was called %d times, want 1", n)
		}
		close(release)
		synctest.Wait()
		expect(t, s)
	})
}

func TestConcurrentProbesAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := checked(io.Discard)
		s.SetReady(true)
		s.AddCheck("store", "store is away", func(context.Context) error {
			time.Sleep(time.Millisecond) // the work of the check, on the fake clock
			return nil
		})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { expect(t, s) })
		}
		wg.Wait()
	})
}

// TestLogHasTheErrorOfACheckOnce checks that the log, and not the answer, has the error,
// at each change of the state.
func TestLogHasTheErrorOfACheckOnce(t *testing.T) {
	var log strings.Builder
	s := checked(&log)
	s.SetReady(true)
	failure := errors.New("dial tcp db.internal:5432: refused for user payrelay")
	var err error
	s.AddCheck("database", "the database does not answer", func(context.Context) error { return err })
	for _, step := range []struct {
		err        error
		lines      int
		has, hasNo string
	}{
		{nil, 0, "", "database"},
		{failure, 1, "refused for user payrelay", "passes again"},
		{failure, 1, "", "passes again"},
		{nil, 2, "passes again", ""},
		{nil, 2, "", ""},
		{failure, 3, "", ""},
	} {
		err = step.err
		rec := httptest.NewRecorder()
		s.readiness.serve(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if strings.Contains(rec.Body.String(), "payrelay") || strings.Contains(rec.Body.String(), "db.internal") {
			t.Errorf("/readyz = %s, which has a host or a user", rec.Body)
		}
		if n := strings.Count(log.String(), "\n"); n != step.lines || !strings.Contains(log.String(), step.has) || step.hasNo != "" && strings.Contains(log.String(), step.hasNo) {
			t.Errorf("the log is %q, want %d lines, %q and not %q", log.String(), step.lines, step.has, step.hasNo)
		}
	}
}

func TestLogTellsThatACheckDidNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := checked(&log)
		s.AddCheck("slow", "slow is away", func(ctx context.Context) error { <-ctx.Done(); return nil })
		probe(t, s)
		if !strings.Contains(log.String(), errNoAnswer.Error()) {
			t.Errorf("the log is %q, want %q", log.String(), errNoAnswer)
		}
	})
}

// TestGaugeOfChecks checks that scrapes evaluate the checks at most once a second.
func TestGaugeOfChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := checked(io.Discard)
		var err error
		calls := 0
		s.AddCheck("database", "the database does not answer", func(context.Context) error { calls++; return err })
		want := func(serving, database string, evaluations int) {
			t.Helper()
			rec := httptest.NewRecorder()
			s.metrics.handler(s.readiness.log).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			for check, value := range map[string]string{"serving": serving, "database": database} {
				if line := "payrelay_readiness_check{check=\"" + check + "\"} " + value + "\n"; !strings.Contains(rec.Body.String(), line) {
					t.Errorf("/metrics does not have %q", line)
				}
			}
			if calls != evaluations {
				t.Errorf("the check was called %d times, want %d", calls, evaluations)
			}
		}
		want("0", "1", 1)
		s.SetReady(true)
		err = errors.New("refused")
		want("0", "1", 1) // as a second ago
		time.Sleep(gaugeAge + 1)
		want("1", "0", 2)
		err = nil
		time.Sleep(gaugeAge + 1)
		want("1", "1", 3)
	})
}
