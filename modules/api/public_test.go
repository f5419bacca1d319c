package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// startPublic runs a public listener on a free port until the test ends. It returns its
// address, and a function that stops it and returns the result of Run.
func startPublic(t *testing.T, reader testReader) (addr string, stop func() error) {
	t.Helper()
	p := newTestPublic(t, Config{}, reader, quiet())
	return p.Addr(), run(t, p)
}

func TestPublicListens(t *testing.T) {
	addr, stop := startPublic(t, &memory{orders: []payments.Order{{ID: "a/b"}}})
	for _, escaped := range []string{"a%2Fb", "a/b"} {
		if got := wantJSON[orderItem](t, send(t, "GET", "http://"+addr+"/orders/"+escaped, nil)); got.OrderID != "a/b" {
			t.Errorf("GET /orders/%s = %+v, want order a/b", escaped, got)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("the listener is open after Run has returned")
	}
}

func TestPublicReleasesThePortOfAFailedStart(t *testing.T) {
	p := newTestPublic(t, Config{}, new(memory), quiet())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

func TestPublicAnswersRequestsInFlight(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	addr, stop := startPublic(t, &memory{fail: func(context.Context) error {
		close(entered)
		<-release
		return nil
	}})
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + addr + "/orders")
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	waitRefused(t, addr)
	select {
	case err := <-stopped:
		t.Fatalf("Run() = %v while a request was in flight", err)
	default:
	}
	close(release)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("answer to the request in flight = %d, want 200", status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}

// The largest filter must fit the limit of headers.
func TestPublicReadsLongFilters(t *testing.T) {
	reader := new(memory)
	addr, _ := startPublic(t, reader)
	longest := strings.Repeat("x", payments.MaxIDBytes)
	url := "http://" + addr + "/orders?order_ids=" + strings.TrimSuffix(strings.Repeat(longest+",", 200), ",")
	if r := send(t, "GET", url, nil); r.status != http.StatusOK {
		t.Errorf("GET with 200 ids of %d bytes = %d %s, want 200", payments.MaxIDBytes, r.status, r.body)
	}
	many := strings.TrimSuffix(strings.Repeat("abc,", 10_000), ",")
	send(t, "GET", "http://"+addr+"/orders?order_ids="+many, nil).wantError(t, 400, "too_many_values")
}

// The listener closes the connection after larger headers, so the answer may be lost.
func TestPublicLimitsHeaders(t *testing.T) {
	reader := new(memory)
	addr, stop := startPublic(t, reader)
	resp, err := http.Get("http://" + addr + "/orders?order_ids=" + strings.Repeat("x", 80<<10))
	if err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("GET with a query of 80 KiB = %d, want 431", resp.StatusCode)
		}
	}
	if _ = stop(); reader.asked != nil {
		t.Errorf("GET with a query of 80 KiB reads %+v, want nothing", reader.asked)
	}
}

func TestPublicHasNoOtherPathsAndMethods(t *testing.T) {
	handler := publicRoutes(new(memory))
	for _, path := range []string{"/", "/order", "/internal/updates/orders", "/internal/", "//orders", "/orders/../internal/updates/orders",
		"/payrelay.v1.RelayService/ApplyUpdate", "/grpc.health.v2.Health/Check", "/metrics", "/debug/pprof/", "/%2e%2e/orders", "/ORDERS"} {
		get(t, handler, path).wantError(t, 404, "not_found")
	}
	request(t, handler, "OPTIONS", "/order").wantError(t, 404, "not_found")
	for _, path := range []string{"/orders", "/orders/1", "/orders/events", "/disputes", "/disputes/1", "/disputes/events"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"} {
			r := request(t, handler, method, path)
			r.wantError(t, 405, "method_not_allowed")
			if allow := r.header.Values("Allow"); !slices.Equal(allow, []string{"GET, HEAD"}) {
				t.Errorf("%s %s: Allow = %q, want GET, HEAD", method, path, allow)
			}
		}
	}
}

// TestHeadAnswersLikeGet compares the answers of a server, which drops the body.
func TestHeadAnswersLikeGet(t *testing.T) {
	server := httptest.NewServer(publicRoutes(new(memory)))
	t.Cleanup(server.Close)
	for path, status := range map[string]int{
		"/orders": 200, "/orders/events": 200, "/disputes": 200, "/disputes/events": 200,
		"/orders/1": 404, "/disputes/1": 404, "/orders?limit=x": 400, "/order": 404,
	} {
		get, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(get.Body)
		_ = get.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		head, err := http.Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(head.Body)
		_ = head.Body.Close()
		if err != nil || len(body) != 0 || head.StatusCode != status || get.StatusCode != status ||
			head.ContentLength != int64(len(want)) || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s = %d %v with a body of %d bytes, want %d %v without a body", path, head.StatusCode, head.Header, len(body), status, get.Header)
		}
	}
}

func TestErrorOfTheStoreIsUnavailable(t *testing.T) {
	for _, target := range []string{"/orders", "/orders/a", "/orders/events", "/disputes", "/disputes/a", "/disputes/events"} {
		var log strings.Builder
		reader := &memory{fail: func(context.Context) error { return errors.New("dial postgres://user:secret@db") }}
		r := get(t, routesWith(reader, slog.New(slog.NewTextHandler(&log, nil))), target)
		r.wantError(t, 503, "unavailable")
		if r.header.Get("Retry-After") == "" || strings.Contains(r.body, "secret") {
			t.Errorf("GET %s = %v %s, want Retry-After and no text of the store", target, r.header, r.body)
		}
		if !strings.Contains(log.String(), r.header.Get("X-Request-Id")) || !strings.Contains(log.String(), "dial") {
			t.Errorf("GET %s: log = %s, want the request ID and the error", target, log.String())
		}
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	handler := publicRoutes(&memory{fail: func(context.Context) error { panic("secret") }})
	r := get(t, handler, "/orders")
	r.wantError(t, 500, "internal")
	if strings.Contains(r.body, "secret") {
		t.Errorf("answer = %s, want it without the panic", r.body)
	}
}

func TestQueryHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := publicRoutes(&memory{fail: func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("interrupted (9)") // some drivers do not wrap the error of the context
		}})
		asked := time.Now()
		r := get(t, handler, "/orders")
		r.wantError(t, 503, "deadline_exceeded")
		if took := time.Since(asked); took != queryTimeout {
			t.Errorf("the query took %v, want %v", took, queryTimeout)
		}
	})
}

func TestRequestIDOfTheClientIsIgnored(t *testing.T) {
	addr, _ := startPublic(t, new(memory))
	seen := make(map[string]bool)
	for range 20 {
		r := send(t, "GET", "http://"+addr+"/orders", nil, "X-Request-Id", "sent-by-the-client")
		id := r.header.Get("X-Request-Id")
		if id == "" || id == "sent-by-the-client" || seen[id] {
			t.Errorf("request ID = %q, want a new one", id)
		}
		seen[id] = true
	}
}

// A client with an idle connection does not delay a stop.
func TestIdleClientsDoNotDelayAStop(t *testing.T) {
	addr, stop := startPublic(t, new(memory))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /orders HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
}
