package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// received is a webhook that a server got.
type received struct {
	path   string
	header http.Header
	body   []byte
	id     string // of Stripe's event
}

// server records webhooks. answer writes the answer to the nth one, counted from 1.
type server struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func startServer(t *testing.T, answer func(w http.ResponseWriter, n int)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			if r.Context().Err() == nil { // the sender did not give up
				t.Error(err)
			}
			return
		}
		var e struct{ ID string }
		_ = json.Unmarshal(body, &e) // only of Stripe
		s.mu.Lock()
		s.got = append(s.got, received{r.URL.Path, r.Header, body, e.ID})
		n := len(s.got)
		s.mu.Unlock()
		answer(w, n)
	}))
	t.Cleanup(s.Close)
	return s
}

func accept(http.ResponseWriter, int) {}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error": {"code": %q, "message": "a sentence", "request_id": "1"}}`, code)
}

// configOf returns a small run against a server.
func configOf(s *server, provider string) Config {
	return Config{
		Provider: provider, URL: s.URL, Environment: "test", Scenarios: []string{"paid"}, Seed: 5, Concurrency: 4, Batch: 1, Attempts: 4,
		Timeout: 5 * time.Second, CheckTimeout: time.Second, Output: "text", MetadataKey: "order_id", PublicKey: "wh_pk_1", CertificateAddr: "127.0.0.1:0",
		Secrets:   []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		Signature: Signature{Scheme: "standard-webhooks", Header: "X-Signature", Algorithm: "sha256", Encoding: "hex"},
	}
}

func TestEveryProviderDelivers(t *testing.T) {
	for _, name := range Providers {
		s := startServer(t, accept)
		c := configOf(s, name)
		c.Scenarios, c.WebhookID, c.CertificateDir = nil, "8PT5", t.TempDir()
		if name == "adyen" {
			c.Secrets = []string{"DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00"}
		}
		r, err := Run(t.Context(), c)
		if err != nil || r.Accepted != len(s.got) || r.Accepted != r.Events || r.Events < 40 || r.Resent+r.GivenUp > 0 {
			t.Errorf("%s: Run() = %+v, %v for %d webhooks, want all accepted", name, r, err, len(s.got))
		}
		for _, w := range s.got {
			if want := "/webhooks/" + defaultSource(name); !strings.HasPrefix(w.path, want) || w.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s: a webhook came to %s, want %s", name, w.path, want)
			}
		}
	}
}

// What is not answered 2xx is signed anew and sent again, as long as attempts are left.
func TestSendsAgain(t *testing.T) {
	s := startServer(t, func(w http.ResponseWriter, n int) {
		switch n {
		case 1:
			refuse(w, http.StatusServiceUnavailable, "unavailable")
		case 2:
			w.WriteHeader(http.StatusTooManyRequests) // without a body
		}
	})
	c := configOf(s, "standard-webhooks")
	c.Orders, c.Concurrency, c.Secrets = 1, 1, append(c.Secrets, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
	r, err := Run(t.Context(), c)
	if err != nil || r.Resent != 2 || r.Accepted != r.Webhooks {
		t.Fatalf("Run() = %+v, %v, want two webhooks sent again and no error", r, err)
	}
	first, again := s.got[0], s.got[1]
	if first.header.Get("Webhook-Id") != again.header.Get("Webhook-Id") || string(first.body) != string(again.body) {
		t.Error("a webhook that is sent again has another id or body")
	}
	if first.header.Get("Webhook-Signature") == again.header.Get("Webhook-Signature") {
		t.Error("the secrets do not take turns")
	}
}

// An answer 4xx is a failure, also if the webhook is accepted later.
func TestRefusalsAreFailures(t *testing.T) {
	s := startServer(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			refuse(w, http.StatusUnauthorized, "signature_invalid")
		}
	})
	c := configOf(s, "stripe")
	r, err := Run(t.Context(), c)
	if err == nil || r.GivenUp != 0 || len(r.Answers) != 1 {
		t.Fatalf("Run() = %+v, %v, want an error about one refusal", r, err)
	}
	if a := r.Answers[0]; a.Status != 401 || a.Code != "signature_invalid" || a.Message != "a sentence" || a.Count != 1 {
		t.Errorf("the report has %+v, want the code and message of the server", a)
	}
	var text strings.Builder
	if err := r.Write(&text, "text"); err != nil || !strings.Contains(text.String(), "1 times 401 signature_invalid: a sentence\n") {
		t.Errorf("the report is %q, %v, want the answer", text.String(), err)
	}
}

func TestGivesUp(t *testing.T) {
	s := startServer(t, func(w http.ResponseWriter, _ int) { refuse(w, http.StatusServiceUnavailable, "unavailable") })
	c := configOf(s, "stripe")
	c.Orders, c.Attempts = 1, 3
	r, err := Run(t.Context(), c)
	if err == nil || r.GivenUp != r.Webhooks || len(s.got) != 3*r.Webhooks {
		t.Errorf("Run() = %+v, %v after %d requests, want 3 for each webhook", r, err, len(s.got))
	}
}

// A wrong secret ends a long run early.
func TestStopsIfEverythingIsRefused(t *testing.T) {
	s := startServer(t, func(w http.ResponseWriter, _ int) { refuse(w, http.StatusUnauthorized, "signature_invalid") })
	c := configOf(s, "stripe")
	c.Orders, c.Concurrency, c.Attempts = 10_000, 64, 1
	r, err := Run(t.Context(), c)
	s.Close() // it waits for the requests that were cut off
	if err != errHopeless || len(s.got) > 10*hopeless || r.refusals() < hopeless {
		t.Errorf("Run() = %v after %d requests, want %v", err, len(s.got), errHopeless)
	}
}

func TestTimeoutAndLostConnection(t *testing.T) {
	release := make(chan struct{})
	s := startServer(t, func(_ http.ResponseWriter, n int) {
		switch n {
		case 1:
			<-release
		case 2:
			panic(http.ErrAbortHandler)
		}
	})
	defer close(release)
	c := configOf(s, "stripe")
	c.Orders, c.Concurrency, c.Timeout = 1, 1, 100*time.Millisecond
	r, err := Run(t.Context(), c)
	if err != nil || r.Resent != 2 {
		t.Fatalf("Run() = %+v, %v, want two webhooks sent again", r, err)
	}
	var codes []string
	for _, a := range r.Answers {
		codes = append(codes, a.Code)
	}
	if slices.Sort(codes); !slices.Equal(codes, []string{"connection_lost", "timeout"}) {
		t.Errorf("the report has %v, want connection_lost and timeout", codes)
	}
}

func TestFollowsNoRedirect(t *testing.T) {
	s := startServer(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	})
	c := configOf(s, "stripe")
	c.Orders, c.Concurrency, c.Attempts = 1, 1, 1
	if r, err := Run(t.Context(), c); err == nil || r.GivenUp != 1 || len(s.got) != r.Webhooks {
		t.Errorf("Run() = %+v, %v after %d requests, want the first webhook given up", r, err, len(s.got))
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := startServer(t, func(http.ResponseWriter, int) { cancel() })
	c := configOf(s, "stripe")
	c.Orders = 100_000
	if r, err := Run(ctx, c); err == nil || err.Error() != "interrupted" || r == nil {
		t.Errorf("Run() = %v, %v, want a report and an error", r, err)
	}
}

// Without shuffling, the events of an order arrive one after another; repeated ones follow
// the first. With shuffling, they do not.
func TestOrderOfArrival(t *testing.T) {
	for _, shuffle := range []bool{false, true} {
		s := startServer(t, accept)
		c := configOf(s, "generic")
		c.Scenarios, c.Orders, c.Duplicates, c.Shuffle, c.Concurrency = []string{"second-card"}, 60, 0.5, shuffle, 1
		r, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if repeated := r.Events - 3*60; repeated < 60 || repeated > 120 {
			t.Errorf("%d of 180 events are repeated, want about half of them", repeated)
		}
		last := make(map[string]string)
		late := 0
		for _, w := range s.got {
			var body struct {
				OrderID   string `json:"order_id"`
				UpdatedAt string `json:"updated_at"`
			}
			if err := json.Unmarshal(w.body, &body); err != nil {
				t.Fatal(err)
			}
			if body.UpdatedAt < last[body.OrderID] {
				late++
			}
			last[body.OrderID] = body.UpdatedAt
		}
		if shuffle != (late > 0) {
			t.Errorf("shuffle = %t: %d events arrive after later ones", shuffle, late)
		}
	}
}

func TestBatches(t *testing.T) {
	s := startServer(t, accept)
	c := configOf(s, "adyen")
	c.Secrets = []string{"DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00"}
	c.Scenarios, c.Orders, c.Batch, c.Shuffle = []string{"second-card"}, 9, 5, true
	r, err := Run(t.Context(), c)
	if err != nil || r.Events != 27 || r.Webhooks != 6 {
		t.Fatalf("Run() = %+v, %v, want 27 events in 6 webhooks", r, err)
	}
	sizes := make(map[int]int)
	for _, w := range s.got {
		var body struct{ NotificationItems []any }
		if err := json.Unmarshal(w.body, &body); err != nil {
			t.Fatal(err)
		}
		sizes[len(body.NotificationItems)]++
	}
	if sizes[5] != 5 || sizes[2] != 1 {
		t.Errorf("webhooks have the sizes %v, want 5 of 5 items and 1 of 2", sizes)
	}
}

func TestRate(t *testing.T) {
	s := startServer(t, accept)
	c := configOf(s, "stripe")
	c.Orders, c.Rate = 10, 100
	r, err := Run(t.Context(), c)
	if err != nil || r.Seconds < 0.25 {
		t.Errorf("Run() sent %d webhooks in %g s, %v, want at least 0.29 s at 100 a second", r.Webhooks, r.Seconds, err)
	}
}

func TestPauseGrowsAndIsBounded(t *testing.T) {
	for attempt, want := range map[int]time.Duration{1: firstPause, 3: 4 * firstPause, 50: maxPause} {
		if got := (answer{}).pause(attempt); got < want/2 || got > want {
			t.Errorf("pause(%d) = %s, want from %s to %s", attempt, got, want/2, want)
		}
	}
	if got := (answer{retryAfter: 2 * time.Second}).pause(1); got != 2*time.Second {
		t.Errorf("pause with Retry-After: 2 is %s", got)
	}
	if got := (answer{retryAfter: time.Hour}).pause(1); got != maxPause {
		t.Errorf("pause with Retry-After: 3600 is %s, want %s", got, maxPause)
	}
}
