package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/payments"
)

// everything returns a memory whose items have every field.
func everything() *memory {
	m := filled()
	usd := payments.Money{MinorUnits: 3, Currency: "USD"}
	m.orders[0].Amount, m.orders[0].UserID = usd, "u"
	m.disputes[0] = payments.Dispute{
		DisputeKey: payments.DisputeKey{Source: "shop", ID: "twice"}, OrderID: "o", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST, Stage: payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION,
		Reopened: 1, UserID: "u", Reason: "fraud", Amount: usd, OutcomeAmount: usd, OpenedAt: noon, UpdatedAt: noon, EvidenceDueAt: noon,
	}
	m.disputes[1] = m.disputes[0]
	m.disputes[1].Source, m.disputes[1].Sequence = "generic", 2
	for i := range m.events {
		e := &m.events[i]
		e.Verdict, e.Update = payrelayv1.Verdict_VERDICT_APPLIED, orderUpdate(e.Key.EventID)
		e.Update.ReceivedAt, e.Update.UserId = timestamppb.New(noon), "u"
	}
	m.events[0].Verdict, m.events[0].Reason, m.events[0].Forced, m.events[0].Discarded = payrelayv1.Verdict_VERDICT_DEAD_LETTERED, conflict, true, true
	m.letters[0].Resolution, m.letters[0].ResolvedAt, m.letters[0].By, m.letters[0].Why = payments.Accepted, noon, "ops (ann)", "a reason"
	m.letters[1].Key, m.letters[1].Payload = payments.Key{Source: "topic/1", EventID: "7"}, []byte("\xff")
	m.audit[0].OrderID, m.audit[0].Before, m.audit[0].After = "o", "open: conflict", "accepted: applied"
	return m
}

// Answers and errors of every path are what openapi.json describes, and nothing that it
// describes is impossible.
func TestAnswersAreDescribed(t *testing.T) {
	d := describeAPI(t)
	check := func(handler http.Handler, path, target string, status int, headers ...string) {
		t.Helper()
		r, got := requestTo(t, handler, target, headers...)
		if got.status != status {
			t.Errorf("GET %s = %d %s, want %d", target, got.status, got.body, status)
		}
		d.wantAnswer(t, path, r, got)
	}
	m := everything()
	handler := routesWith(m, quiet())
	verified := int64(1)
	sources := &public{NewQuery(m, quiet()), NewOperator(OperatorConfig{Store: m, Log: quiet(), Sources: func() []*payrelayv1.Source {
		return []*payrelayv1.Source{{Name: "shop", Provider: "stripe", Environment: "live", Verified: &verified, Refused: map[string]int64{"signature_mismatch": 1}, LastSeenAt: timestamppb.New(noon), SecretExpiresAt: timestamppb.New(noon)}}
	}}), quiet()}
	check(sources.routes(), "/sources", "/sources", 200)
	for path, targets := range map[string][]string{
		"/orders":        {"/orders", "/orders?limit=1&order_ids=a,b&user_ids=u&statuses=created,success&sort_asc=true&time_from=2026-01-01T00:00:00Z&time_to=2027-01-01T00:00:00%2B01:00", "/orders?limit=1"},
		"/orders/events": {"/orders/events", "/orders/events?kinds=created&sources=s"}, "/disputes": {"/disputes", "/disputes?due_from=2026-01-01T00:00:00Z&due_to=2027-01-01T00:00:00Z&statuses=won&sources=a&dispute_ids=b"},
		"/disputes/events": {"/disputes/events", "/disputes/events?kinds=open&dispute_ids=d"}, "/orders/{id}": {"/orders/id%200%2F%252C%20%C3%A9"}, "/disputes/{id}": {"/disputes/twice?source=shop"},
		"/deadletters": {"/deadletters", "/deadletters?settled=true&reasons=conflict,contradiction&kinds=order,note&text=e&limit=2"}, "/deadletters/{id}": {"/deadletters/1", "/deadletters/2"},
		"/sources": {"/sources"}, "/audit": {"/audit", "/audit?actions=replay,erase&order_ids=o"}, "/openapi.json": {"/openapi.json"},
	} {
		for _, target := range targets {
			check(handler, path, target, 200)
		}
	}
	for path, operations := range d.doc.Paths {
		if _, ok := operations["get"]; !ok {
			continue
		}
		target := strings.ReplaceAll(path, "{id}", "1")
		for _, mistake := range []string{"x=1", "a=%25&%zz"} {
			check(handler, path, target+"?"+mistake, 400)
		}
		for _, status := range []int{401, 403, 421} {
			headers := map[int][]string{401: {"Authorization", "Bearer x"}, 403: {"Sec-Fetch-Site", "cross-site"}, 421: {"X-Test-Host", "evil.example"}}[status]
			check(guarded(t, handler), path, target, status, headers...)
		}
		panics := &memory{fail: func(context.Context) error { panic("a defect") }}
		fails := &memory{fail: func(context.Context) error { return errors.New("no database") }}
		if path == "/openapi.json" {
			continue // it reads nothing
		}
		check(routesWith(panics, quiet()), path, target, 500)
		check(routesWith(fails, quiet()), path, target, 503)
	}
	check(handler, "/orders/{id}", "/orders/none", 404)
	check(handler, "/disputes/{id}", "/disputes/none", 404)
	check(handler, "/disputes/{id}", "/disputes/twice", 409)
	check(handler, "/disputes/{id}", "/disputes/d?source=", 400)
	check(handler, "/disputes/{id}", "/disputes/d?source=a&source=b", 400)
	check(handler, "/deadletters/{id}", "/deadletters/99", 404)
	check(handler, "/deadletters/{id}", "/deadletters/x", 404)
	for _, mistake := range []string{
		"/orders?limit=0", "/orders?limit=1&limit=2", "/orders?sort_asc=x", "/orders?cursor=x", "/orders?time_from=x", "/orders?order_ids=a,", "/orders?order_ids=%00",
		"/orders?statuses=x", "/orders?user_ids=" + strings.Repeat("u,", 200) + "u",
		"/disputes/events?kinds=x", "/deadletters?reasons=x", "/deadletters?settled=x", "/deadletters?text=%00", "/deadletters?text=", "/audit?actions=x",
	} {
		path, _, _ := strings.Cut(mistake, "?")
		check(handler, path, mistake, 400)
	}
	d.slow(t)
	d.wantAllSeen(t, "get")
}

// slow checks the answer after a deadline.
func (d *description) slow(t *testing.T) {
	t.Helper()
	m := &memory{fail: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/orders", nil)
	w := httptest.NewRecorder()
	routesWith(m, quiet()).ServeHTTP(w, r)
	d.wantAnswer(t, "/orders", r, reply{w.Code, w.Header(), w.Body.String()})
}

// wantAllSeen checks that every status that is described of a method was seen, and every
// code of an error.
func (d *description) wantAllSeen(t *testing.T, method string) {
	t.Helper()
	for path, operations := range d.doc.Paths {
		for status, answer := range operations[method].Responses {
			if !d.statuses[path][status] {
				t.Errorf("no answer of %s is %s, which is described", path, status)
			}
			for _, all := range d.doc.Components.Responses[answer.name()].Content["application/json"].Schema.AllOf {
				for _, code := range all.Properties["error"].Properties["code"].Enum {
					if !d.codes[answer.name()][code] {
						t.Errorf("no answer has the code %s of %s, which is described", code, answer.name())
					}
				}
			}
		}
	}
}

// guarded returns the handler behind the policy of an api listener with tokens. A request
// has the Host that the header X-Test-Host names, and a valid token unless it has another.
func guarded(t *testing.T, handler http.Handler) http.Handler {
	t.Helper()
	secret, line, err := door.NewToken("a", door.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cfg := door.Config{Kind: door.API, Addr: "127.0.0.1:0", MaxConnections: 10, TokensFile: testcert.Write(t, t.TempDir(), "tokens", []byte(line))}
	d, err := door.Open(cfg, door.Options{Refuse: RefuseCall, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Listener().Close()
	wrapped := d.Wrap(handler)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		if host := r.Header.Get("X-Test-Host"); host != "" {
			r.Host = host
		}
		if r.Header.Get("Authorization") == "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		wrapped.ServeHTTP(w, r)
	})
}
