package api

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestDeadLetterItems(t *testing.T) {
	m := lettersOf(2)
	zeros := hex.EncodeToString(make([]byte, 32))
	first := `"id":1,"source":"generic","kind":"order","event_id":"e1","order_id":"order-1","reason":"contradiction","detail":"it contradicts",` +
		`"created_at":"2026-01-04T12:00:00.123456Z","deliveries":2,"last_at":"2026-01-04T12:00:01.123456Z",`
	m.letters[1] = &payments.DeadLetter{
		ID: 2, Key: payments.Key{Source: "topic/1", EventID: "7"}, Reason: conflict, Detail: "x", Payload: []byte("\xff"), CreatedAt: noon, Deliveries: 1, LastAt: noon,
		Resolution: payments.Discarded, ResolvedAt: noon, By: "ops (ann)", Why: "a test",
	}
	second := `{"id":2,"source":"topic/1","event_id":"7","reason":"conflict","detail":"x","created_at":"2026-01-04T12:00:00.123456Z","deliveries":1,` +
		`"last_at":"2026-01-04T12:00:00.123456Z","resolution":"discarded","resolved_at":"2026-01-04T12:00:00.123456Z","resolved_by":"ops (ann)","resolved_why":"a test","digest":"` + zeros + `"}`
	update := `,"update":{"provider":"generic","source":"generic","subject":"order","event_id":"e1","order_id":"order-1","kind":"created","occurred_at":"2025-12-29T09:20:00.000000Z"}}`
	for target, want := range map[string]string{
		"/deadletters/1":            `{` + first + `"digest":"` + zeros + `"` + update,
		"/deadletters/2":            second,
		"/deadletters":              `{"items":[{` + first + `"digest":"` + zeros + `"}],"has_more":false,"total":1}`,
		"/deadletters?settled=true": `{"items":[` + second + `,{` + first + `"digest":"` + zeros + `"}],"has_more":false,"total":2}`,
	} {
		if got := get(t, publicRoutes(m), target); got.status != http.StatusOK || got.text() != want {
			t.Errorf("GET %s = %d %s\nwant %s", target, got.status, got.text(), want)
		}
	}
	for _, target := range []string{"/deadletters/3", "/deadletters/0", "/deadletters/x", "/deadletters/1.0", "/deadletters/99999999999999999999"} {
		get(t, publicRoutes(m), target).wantError(t, http.StatusNotFound, "not_found")
	}
}

func TestPagesOfDeadLetters(t *testing.T) {
	handler, params := publicRoutes(lettersOf(120)), url.Values{"limit": {"50"}}
	items, pages := walk(t, handler, "/deadletters", params)
	if len(items) != 120 || pages != 3 || items[0].EventID != "e120" || items[119].EventID != "e1" {
		t.Errorf("%d items on %d pages, want 120 on 3, e120 first", len(items), pages)
	}
	if reader := lettersOf(2); wantJSON[letterPageBody](t, get(t, publicRoutes(reader), "/deadletters?sources=shop")).Total != 1 || reader.counted.Sources != nil {
		t.Errorf("counted %+v for a page that has all", reader.counted)
	}
	page := wantJSON[letterPageBody](t, get(t, handler, "/deadletters?limit=1"))
	if page.Total != 120 || !page.HasMore || len(page.Items) != 1 {
		t.Errorf("page = %+v, want 1 of 120", page)
	}
}

func TestParametersOfOperators(t *testing.T) {
	ten := time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	letters := letterListing.encode(9, true)
	audit := auditListing.encode(9, false)
	for target, want := range map[string]any{
		"/deadletters": payments.DeadLetterQuery{Descending: true, Limit: 51},
		"/deadletters?reasons=conflict,contradiction&sources=a,b&kinds=note&order_ids=o&text=E%25&settled=true&time_from=2026-01-04T10:00:00Z&sort_asc=true&limit=2&cursor=" + letters: payments.DeadLetterQuery{
			Reasons: []payrelayv1.DeadLetterReason{conflict, contradiction}, Sources: []string{"a", "b"}, Kinds: []payments.Kind{payments.KindNote},
			OrderIDs: []string{"o"}, Text: "E%", Settled: true, From: ten, AfterID: 9, Limit: 3,
		},
		"/audit?actions=accept,erase&order_ids=o&time_to=2026-01-04T10:00:00Z&cursor=" + audit: payments.AuditQuery{
			To: ten, Actions: []string{"accept", "erase"}, OrderIDs: []string{"o"}, Page: payments.PageRequest{After: &payments.Cursor{Sequence: 9}, Limit: 50},
		},
		"/disputes?due_from=2026-01-04T10:00:00Z&due_to=2026-01-04T11:00:00Z": payments.DisputeQuery{DueFrom: ten, DueTo: ten.Add(time.Hour), Page: firstPage},
	} {
		m := new(memory)
		if got := get(t, publicRoutes(m), target); got.status != http.StatusOK || !reflect.DeepEqual(m.asked, want) {
			t.Errorf("GET %s = %d, reads\n%+v, want\n%+v", target, got.status, m.asked, want)
		}
	}
	for _, test := range []struct{ path, query, code string }{
		{"/deadletters", "reasons=paid", "unknown_reason"}, {"/deadletters", "reasons=unspecified", "unknown_reason"}, {"/deadletters", "kinds=Order", "unknown_kind"},
		{"/deadletters", "settled=yes", "invalid_settled"}, {"/deadletters", "text=", "empty_value"}, {"/deadletters", "text=a%00", "invalid_text"}, {"/deadletters", "text=+%C2%A0", "invalid_text"}, {"/deadletters", "text=a&text=b", "repeated_parameter"},
		{"/deadletters", "cursor=" + audit, "invalid_cursor"}, {"/deadletters", "cursor=" + letters, "invalid_cursor"}, {"/deadletters", "statuses=open", "unknown_parameter"},
		{"/deadletters/1", "limit=1", "unknown_parameter"}, {"/sources", "limit=1", "unknown_parameter"},
		{"/audit", "actions=drop", "unknown_action"}, {"/audit", "limit=201", "invalid_limit"}, {"/audit", "time_from=x", "invalid_time"},
		{"/disputes", "due_from=x", "invalid_time"}, {"/disputes", "due_from=2026-01-04T10:00:00Z&due_to=2026-01-04T10:00:00Z", "invalid_time"},
		{"/orders", "due_from=2026-01-04T10:00:00Z", "unknown_parameter"},
	} {
		refused(t, test.path, test.query, test.code)
	}
}

func TestSourceAndAuditItems(t *testing.T) {
	m := filled()
	m.activity = append(m.activity, payments.SourceActivity{Source: "other"})
	verified := int64(0)
	o := NewOperator(OperatorConfig{Store: m, Log: quiet(), Sources: func() []*payrelayv1.Source {
		return []*payrelayv1.Source{{Name: "generic", Provider: "generic", Environment: "live", Verified: &verified, Refused: map[string]int64{"b": 2, "a": 1}, LastSeenAt: timestamppb.New(noon)}}
	}})
	handler := (&public{NewQuery(m, quiet()), o, quiet()}).routes()
	for target, want := range map[string]string{
		"/sources": `{"items":[{"name":"generic","provider":"generic","environment":"live","last_event_at":"2026-01-04T12:00:00.123456Z","open_dead_letters":2,` +
			`"verified":0,"refused":{"a":1,"b":2},"last_seen_at":"2026-01-04T12:00:00.123456Z"},{"name":"other","open_dead_letters":0}],"has_more":false}`,
		"/audit": `{"items":[{"id":1,"at":"2026-01-04T12:00:00.123456Z","who":"ops","action":"replay","target":"dead letter 1","why":"y"}],"has_more":false}`,
	} {
		if got := get(t, handler, target); got.text() != want {
			t.Errorf("GET %s = %s\nwant %s", target, got.body, want)
		}
	}
}

// The new paths answer HEAD, and no other method.
func TestOperatorsPathsAreReadOnly(t *testing.T) {
	handler := publicRoutes(filled())
	for _, path := range []string{"/deadletters", "/deadletters/1", "/sources", "/audit", "/openapi.json"} {
		if got := request(t, handler, http.MethodHead, path); got.status != http.StatusOK {
			t.Errorf("HEAD %s = %d, want 200", path, got.status)
		}
		for _, method := range []string{"POST", "DELETE", "OPTIONS"} {
			r := request(t, handler, method, path)
			r.wantError(t, http.StatusMethodNotAllowed, "method_not_allowed")
			if allow := strings.Join(r.header.Values("Allow"), "|"); allow != "GET, HEAD" {
				t.Errorf("%s %s: Allow = %q, want GET, HEAD", method, path, allow)
			}
		}
	}
}
