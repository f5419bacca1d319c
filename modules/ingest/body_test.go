package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sync/semaphore"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// roomMeter is a body that records the largest buffer that its reader had while at
// most freeBody bytes had arrived.
type roomMeter struct {
	io.Reader
	arrived, room int
}

func (m *roomMeter) Read(p []byte) (int, error) {
	if m.arrived <= freeBody {
		m.room = max(m.room, m.arrived+len(p))
	}
	n, err := m.Reader.Read(p)
	m.arrived += n
	return n, err
}

// orderOf returns a valid webhook of size bytes.
func orderOf(size int) string {
	return order("x", `"`+strings.Repeat("a", size-len(order("x", `""`)))+`"`)
}

// unsized returns a request without a Content-Length, such as a chunked one.
func unsized(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, ordersPath, io.MultiReader(strings.NewReader(body)))
}

func withLength(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, ordersPath, strings.NewReader(body))
}

// TestBodyMemory checks that a body takes at most freeBody bytes before it arrives,
// then no more than it needs, and that this memory is reserved.
func TestBodyMemory(t *testing.T) {
	const limit = 256 << 10
	for _, size := range []int{1, 400, freeBody - 1, freeBody, freeBody + 1, freeBody + 2, 20_000, 100_000, limit} {
		for name, request := range map[string]func(string) *http.Request{"sized": withLength, "unsized": unsized} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				r := request(strings.Repeat("a", size))
				meter := &roomMeter{Reader: iotest.OneByteReader(r.Body)}
				r.Body = io.NopCloser(meter)
				room := reservation{budget: semaphore.NewWeighted(bodyBudget)}
				body, err := readBody(httptest.NewRecorder(), r, limit, &room)
				if err != nil || len(body) != size {
					t.Fatalf("readBody() = %d bytes, %v, want %d", len(body), err, size)
				}
				if meter.room > freeBody+1 {
					t.Errorf("%d bytes were allocated before the body arrived, want at most %d", meter.room, freeBody+1)
				}
				most := size + 1
				if r.ContentLength < 0 {
					most = max(2*size, freeBody) + 1
				}
				if cap(body) > most {
					t.Errorf("%d bytes were allocated, want at most %d", cap(body), most)
				}
				if want := max(0, cap(body)-1-freeBody); room.bytes != int64(want) {
					t.Errorf("%d bytes were reserved, want %d", room.bytes, want)
				}
			})
		}
	}
}

// TestBodyReservationFollowsArrival checks that a client reserves no more than twice what
// it has sent, whatever it announces: otherwise a thousand slow clients take the budget of
// all with a few megabytes.
func TestBodyReservationFollowsArrival(t *testing.T) {
	const limit = 256 << 10
	for _, sent := range []int{freeBody + 1, 20_000, 100_000} {
		r := withLength(strings.Repeat("a", limit))
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("a", sent)), iotest.ErrReader(errors.New("cut off"))))
		room := reservation{budget: semaphore.NewWeighted(bodyBudget)}
		if _, err := readBody(httptest.NewRecorder(), r, limit, &room); err == nil {
			t.Fatal("a body that was cut off was read")
		}
		if room.bytes > int64(2*sent) {
			t.Errorf("%d bytes were reserved after %d had arrived, want at most twice as many", room.bytes, sent)
		}
	}
}

// TestBodyBudget checks that large bodies are refused and small ones accepted while
// the budget is used up.
func TestBodyBudget(t *testing.T) {
	next := &recorder{}
	s := start(t, next)
	if !s.bodies.TryAcquire(bodyBudget) {
		t.Fatal("some of the budget is reserved before the first webhook")
	}
	large, small := orderOf(freeBody+1), orderOf(freeBody)
	for _, request := range []func(string) *http.Request{withLength, unsized} {
		wantRefusal(t, do(t, s.http.Handler, request(large)), http.StatusServiceUnavailable, "overloaded")
	}
	if next.count() != 0 {
		t.Error("a refused webhook was applied")
	}
	for _, request := range []func(string) *http.Request{withLength, unsized} {
		if got := do(t, s.http.Handler, request(small)); got.status != http.StatusOK {
			t.Errorf("answer to a small body = %d %s, want 200", got.status, got.raw)
		}
	}
	s.bodies.Release(bodyBudget)
	if got := do(t, s.http.Handler, withLength(large)); got.status != http.StatusOK {
		t.Errorf("answer to a large body after the release = %d %s, want 200", got.status, got.raw)
	}
}

// TestBodyBudgetIsReleased checks that the reservation of a body ends when its
// webhook is answered, and not before.
func TestBodyBudgetIsReleased(t *testing.T) {
	var s *running
	next := &recorder{}
	next.apply = func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		if s.bodies.TryAcquire(bodyBudget) {
			s.bodies.Release(bodyBudget)
			t.Error("nothing is reserved for a body in use")
		}
		if next.count() == 1 {
			panic("a bug")
		}
		return verdict(payrelayv1.Verdict_VERDICT_APPLIED), nil
	}
	s = start(t, next)
	gone, leave := context.WithCancel(t.Context())
	leave()
	cut := unsized("").WithContext(gone)
	cut.Body = io.NopCloser(io.MultiReader(strings.NewReader(orderOf(50_000)), iotest.ErrReader(errors.New("cut off"))))
	for _, c := range []struct {
		request *http.Request
		status  int
	}{
		{withLength(orderOf(50_000)), http.StatusInternalServerError}, // the panic
		{withLength(orderOf(50_000)), http.StatusOK},
		{unsized(orderOf(50_000)), http.StatusOK},
		{unsized(orderOf(300_000)), http.StatusRequestEntityTooLarge},
		{withLength(orderOf(50_000) + "x"), http.StatusBadRequest},
		{cut, http.StatusServiceUnavailable},
	} {
		if got := do(t, s.http.Handler, c.request); got.status != c.status {
			t.Errorf("answer = %d %s, want %d", got.status, got.raw, c.status)
		}
		if !s.bodies.TryAcquire(bodyBudget) {
			t.Fatalf("some of the budget is still reserved after the answer %d", c.status)
		}
		s.bodies.Release(bodyBudget)
	}
}

// TestMalformedChunks checks that malformed chunks are refused with a final answer.
func TestMalformedChunks(t *testing.T) {
	good := fmt.Sprintf("%x\r\n%s\r\n", len(order()), order())
	for name, body := range map[string]string{
		"not hexadecimal":       "zz\r\n",
		"negative":              "-1\r\n",
		"no size":               "\r\n",
		"64 bits and more":      "10000000000000000\r\n",
		"bare line feed":        "5\nhello\r\n",
		"longer than its size":  "2\r\nhello\r\n",
		"second one":            good + "zz\r\n",
		"endless size":          strings.Repeat("1", 5000),
		"endless extension":     "1;" + strings.Repeat("a", 5000),
		"trailer without colon": good + "0\r\ncard 4111111111111111\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var log buffer
			next := &recorder{}
			cfg := testConfig()
			s := serve(t, cfg, next, defaultTimeouts(cfg.Timeout), &log)
			resp := send(t, dial(t, s), raw(ordersPath, "Transfer-Encoding: chunked\r\n", body))
			wantRefusal(t, read(t, resp), http.StatusBadRequest, "invalid_body")
			if !resp.Close || next.count() != 0 {
				t.Errorf("Connection: close = %t, want true; Apply was called %d times, want 0", resp.Close, next.count())
			}
			if strings.Contains(log.String(), "WARN") || strings.Contains(log.String(), "4111") {
				t.Errorf("the log has a warning or a part of the body:\n%s", log.String())
			}
		})
	}
}

// TestIncompleteChunks checks that a body that ends early may be sent again, wherever
// it ends.
func TestIncompleteChunks(t *testing.T) {
	good := fmt.Sprintf("%x\r\n%s\r\n", len(order()), order())
	for _, body := range []string{"", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r", good, good + "0", good + "0\r\n", good + "0\r\n\r", good + "0\r\nX-A: b", good + "0\r\nX-A: b\r\n"} {
		for _, how := range []string{"cut off", "too slow"} {
			t.Run(fmt.Sprintf("%s after %.20q of %d", how, body, len(body)), func(t *testing.T) {
				next := &recorder{}
				cfg := testConfig()
				cfg.Timeout = 100 * time.Millisecond
				if how == "cut off" {
					cfg.Timeout = 10 * time.Second
				}
				conn := dial(t, serve(t, cfg, next, defaultTimeouts(cfg.Timeout), io.Discard))
				_, _ = io.WriteString(conn, raw(ordersPath, "Transfer-Encoding: chunked\r\n", body))
				if how == "cut off" {
					_ = conn.(*net.TCPConn).CloseWrite()
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				wantRefusal(t, read(t, resp), http.StatusServiceUnavailable, "body_incomplete")
				if next.count() != 0 {
					t.Error("an incomplete webhook was applied")
				}
			})
		}
	}
}
