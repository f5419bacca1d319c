package deployment

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
)

// callAPI makes a call to an api process that answers so.
func callAPI(t *testing.T, c Call, answer http.HandlerFunc) (results []Result, sent bool, err error) {
	t.Helper()
	api := httptest.NewServer(answer)
	t.Cleanup(api.Close)
	d := &Deployment{Members: []*Member{{Name: "api-1", Serve: program.Serve{Role: "api", API: strings.TrimPrefix(api.URL, "http://")}}}}
	return d.Call(t.Context(), c)
}

// TestCall: a call is one request for its ids, and one for each part of a filter.
func TestCall(t *testing.T) {
	requests := 0
	results, sent, err := callAPI(t, Call{Resolution: history.Discarded, Orders: []string{"o-1"}, Reason: "conflict", By: "ann", Why: "why"}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests++
		for _, want := range []string{`"o-1"`, "DEAD_LETTER_REASON_CONFLICT", `"ann"`, `"why"`} {
			if !strings.Contains(string(body), want) || r.URL.Path != "/payrelay.v1.OperatorService/DiscardDeadLetters" {
				t.Errorf("%s has the body %s, want %s in it", r.URL.Path, body, want)
			}
		}
		if requests == 2 {
			fmt.Fprint(w, `{"report":{"results":[{"id":"9","skipped":"it is settled already"}]}}`)
			return
		}
		fmt.Fprint(w, `{"report":{"results":[{"id":"7","outcome":{"verdict":"VERDICT_DEAD_LETTERED"}}],"nextAfterId":"7","upToId":"9"}}`)
	})
	want := []Result{{ID: 7, Open: true}, {ID: 9, Skipped: "it is settled already"}}
	if err != nil || !sent || requests != 2 || !reflect.DeepEqual(results, want) {
		t.Errorf("Call() = %+v, %t, %v after %d requests, want %+v after 2", results, sent, err, requests, want)
	}
}

// TestCallFails: a call without an answer may have been carried out, unless the connection
// was refused.
func TestCallFails(t *testing.T) {
	c := Call{Resolution: history.Accepted, IDs: []int64{1}}
	for name, answer := range map[string]http.HandlerFunc{
		"cut":         func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"unavailable": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
	} {
		if _, sent, err := callAPI(t, c, answer); err == nil || !sent {
			t.Errorf("%s: Call() = %t, %v, want true and an error", name, sent, err)
		}
	}
	d := &Deployment{Members: []*Member{{Name: "api-1", Serve: program.Serve{Role: "api", API: "127.0.0.1:1"}}}}
	if _, sent, err := d.Call(t.Context(), c); err == nil || sent {
		t.Errorf("refused: Call() = %t, %v, want false and an error", sent, err)
	}
}

// TestPrintedResults reads what app deadletters prints: applied, open still, discarded, and
// skipped.
func TestPrintedResults(t *testing.T) {
	got, err := printedResults(`{"items": [{"id": 1, "verdict": "applied"}, {"id": 2, "verdict": "dead_lettered", "reason": "contradiction"}, {"id": 3},
		{"id": 4, "skipped": "it is settled already"}], "total": 4}`)
	want := []Result{{ID: 1}, {ID: 2, Open: true}, {ID: 3}, {ID: 4, Skipped: "it is settled already"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("printedResults() = %+v, %v, want %+v", got, err, want)
	}
	if got, err := printedResults("<html>"); err == nil {
		t.Errorf("printedResults() of another text = %+v, want an error", got)
	}
}
