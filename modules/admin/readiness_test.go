package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
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

var notServing = failure{"serving", errNotServing.Error()}

func TestReadyOnlyAfterSetReady(t *testing.T) {
	s := &Server{}
	expect(t, s, notServing)
	s.SetReady(true)
	expect(t, s)
	s.SetReady(false)
	expect(t, s, notServing)
}

func TestReadinessListsFailuresInOrder(t *testing.T) {
	s := &Server{}
	s.AddCheck("store", fail("no such host"))
	s.AddCheck("relay", pass)
	s.AddCheck("kafka", fail("no broker"))
	expect(t, s, notServing, failure{"store", "no such host"}, failure{"kafka", "no broker"})
	s.SetReady(true)
	expect(t, s, failure{"store", "no such host"}, failure{"kafka", "no broker"})
}

func TestReadinessRecovers(t *testing.T) {
	s := &Server{}
	s.SetReady(true)
	var broken atomic.Bool
	s.AddCheck("store", func(context.Context) error {
		if broken.Load() {
			return errors.New("no connection")
		}
		return nil
	})
	expect(t, s)
	broken.Store(true)
	expect(t, s, failure{"store", "no connection"})
	broken.Store(false)
	expect(t, s)
}

func TestChecksShareOneSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		s.SetReady(true)
		wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		s.AddCheck("slow", wait)
		s.AddCheck("fine", pass)
		s.AddCheck("slower", wait)
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
		s := &Server{}
		s.SetReady(true)
		var calls atomic.Int32
		release := make(chan struct{})
		s.AddCheck("stuck", func(context.Context) error {
			calls.Add(1)
			<-release
			return nil
		})
		for range 5 {
			expect(t, s, failure{"stuck", errNoAnswer.Error()})
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
		s := &Server{}
		s.SetReady(true)
		s.AddCheck("store", func(context.Context) error {
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
