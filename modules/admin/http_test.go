package admin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/payrelay/payrelay/modules/admin"
)

func TestHTTPCountsCodesAndLatency(t *testing.T) {
	s := serve(t)
	handler := s.HTTP("ingest", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	for _, path := range []string{"/", "/", "/bad"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
	}
	expectSamples(t, s, map[string]string{
		`payrelay_http_requests_total{code="200",listener="ingest"}`:               "2",
		`payrelay_http_requests_total{code="400",listener="ingest"}`:               "1",
		`payrelay_http_request_duration_seconds_count{listener="ingest"}`:          "3",
		`payrelay_http_requests_in_flight{listener="ingest"}`:                      "0",
		`payrelay_http_request_duration_seconds_bucket{listener="ingest",le="10"}`: "3",
	})
}

func TestHTTPShowsRequestsInFlight(t *testing.T) {
	s := serve(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := s.HTTP("api", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		})
		<-entered
	}
	expectSamples(t, s, map[string]string{`payrelay_http_requests_in_flight{listener="api"}`: "2"})
	close(leave)
	wg.Wait()
	expectSamples(t, s, map[string]string{`payrelay_http_requests_in_flight{listener="api"}`: "0"})
}

// TestHTTPKeepsFlushAndDeadlines checks that the handler passes on what gRPC
// streams and http.ResponseController need beyond http.ResponseWriter.
func TestHTTPKeepsFlushAndDeadlines(t *testing.T) {
	s := serve(t)
	server := httptest.NewServer(s.HTTP("internal", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			t.Error("the response is no http.Flusher")
		}
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Errorf("EnableFullDuplex = %v, want nil", err)
		}
	})))
	defer server.Close()
	res, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// TestHTTPCountsTheCodeOfTheAnswer checks each way in which a handler can answer.
func TestHTTPCountsTheCodeOfTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		code   string
	}{
		"nothing":           {func(http.ResponseWriter) {}, "200"},
		"a body":            {func(w http.ResponseWriter) { _, _ = w.Write([]byte("ok")) }, "200"},
		"a body, then code": {func(w http.ResponseWriter) { _, _ = w.Write([]byte("ok")); w.WriteHeader(500) }, "200"},
		"a flush":           {func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, "200"},
		"hints before":      {func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(404) }, "404"},
		"two codes":         {func(w http.ResponseWriter) { w.WriteHeader(503); w.WriteHeader(200) }, "503"},
	} {
		s := serve(t)
		server := httptest.NewServer(s.HTTP("ingest", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) })))
		answer, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		server.Close() // waits for the handler
		for series, value := range scrape(t, s) {
			if want := `payrelay_http_requests_total{code="` + c.code + `",listener="ingest"}`; len(series) == len(want) && series[:30] == want[:30] && (series != want || value != "1") {
				t.Errorf("%s: %s = %s, want only %s", name, series, value, want)
			}
		}
		expectSamples(t, s, map[string]string{`payrelay_http_requests_total{code="` + c.code + `",listener="ingest"}`: "1"})
	}
}

// TestHTTPDoesNotCountAPanicAsAnswered checks that a request which ends in a panic is
// neither counted nor in flight afterwards.
func TestHTTPDoesNotCountAPanicAsAnswered(t *testing.T) {
	s := serve(t)
	handler := s.HTTP("ingest", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	func() {
		defer func() { _ = recover() }()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	expectSamples(t, s, map[string]string{
		`payrelay_http_requests_total{code="200",listener="ingest"}`:      "",
		`payrelay_http_requests_in_flight{listener="ingest"}`:             "0",
		`payrelay_http_request_duration_seconds_count{listener="ingest"}`: "0",
	})
}

// BenchmarkHTTP measures what the metrics of a listener cost for each request.
func BenchmarkHTTP(b *testing.B) {
	s := open(b, admin.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer s.Run(ctx)
	plain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	request := httptest.NewRequest(http.MethodPost, "/", nil)
	for name, handler := range map[string]http.Handler{"measured": s.HTTP("ingest", plain), "plain": plain} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := httptest.NewRecorder()
			for b.Loop() {
				handler.ServeHTTP(w, request)
			}
		})
	}
}
