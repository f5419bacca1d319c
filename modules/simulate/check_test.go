package simulate

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fakeAPI serves the state that the scenarios of a configuration expect. change may change
// an answer, by its path and query.
func fakeAPI(t *testing.T, c Config, change func(r *http.Request, answer object)) *httptest.Server {
	t.Helper()
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	all, err := readScenarios(providers[c.Provider].scenarios)
	if err != nil {
		t.Fatal(err)
	}
	scenarios, err := selectScenarios(all, c.Scenarios)
	if err != nil {
		t.Fatal(err)
	}
	lives := newLives(&c, scenarios, time.Now())
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, l := range lives {
			if answer := expected(&c, l, r); answer != nil {
				change(r, answer)
				if answer["missing"] != nil {
					break
				}
				if err := json.NewEncoder(w).Encode(answer); err != nil {
					t.Error(err)
				}
				return
			}
		}
		refuse(w, http.StatusNotFound, "not_found")
	}))
	t.Cleanup(api.Close)
	return api
}

// expected returns the answer to a request about a life, or nil if it is about another.
func expected(c *Config, l *life, r *http.Request) object {
	dispute := providers[c.Provider].disputeID(l)
	switch query := r.URL.Query(); {
	case r.URL.Path == "/orders/events" && query.Get("order_ids") == l.orderID:
		return object{"items": eventsOf(l, false)}
	case r.URL.Path == "/disputes/events" && query.Get("dispute_ids") == dispute && query.Get("sources") == c.Source:
		return object{"items": eventsOf(l, true)}
	case r.URL.Path == "/orders/"+l.orderID:
		return itemOf(l, l.scenario.order)
	case r.URL.Path == "/disputes/"+dispute && query.Get("source") == c.Source:
		return itemOf(l, l.scenario.dispute)
	}
	return nil
}

// eventsOf returns the recorded events of the order, or of the dispute. All dead letters
// are of the last one that has any.
func eventsOf(l *life, dispute bool) []object {
	items := []object{}
	for _, s := range l.scenario.steps {
		if strings.Contains(s.event, "dispute") == dispute {
			items = append(items, object{"kind": "x", "verdict": "applied"})
		}
	}
	if dispute == (l.scenario.dispute != nil) {
		for i, reason := range l.scenario.deadLetters {
			items[len(items)-1-i]["reason"] = reason
		}
	}
	return items
}

// itemOf returns an item of the API that has the expected fields.
func itemOf(l *life, want map[string]string) object {
	item := object{}
	for field, text := range want {
		switch {
		case text == "-" || text == "0":
		case field == "due":
			after, _ := parseOffset(text)
			item["evidence_due_at"] = l.began.Add(after).UTC().Format("2006-01-02T15:04:05.000000Z")
		case field == "reopened":
			item[field] = json.Number(text)
		case isMoney(field):
			amount, currency, _ := strings.Cut(moneyText(l, text), " ")
			units, _ := new(big.Rat).SetString(amount)
			item[field] = object{"minor_units": units.Mul(units, big.NewRat(1000, 1)).Num().Int64(), "currency": currency, "exponent": 3}
		default:
			item[field] = text
		}
	}
	return item
}

func unchanged(*http.Request, object) {}

func checkedConfig(s *server) Config {
	c := configOf(s, "generic")
	c.Scenarios = []string{"all"}
	return c
}

func TestCheckAcceptsTheRightState(t *testing.T) {
	s := startServer(t, accept)
	c := checkedConfig(s)
	c.CheckURL = fakeAPI(t, c, unchanged).URL
	r, err := Run(t.Context(), c)
	if err != nil || !r.Checked || len(r.Differences) != 0 {
		t.Errorf("Run() = %v, %v, want no differences", r.Differences, err)
	}
}

// Each wrong fact is a difference, and fails the run.
func TestCheckFindsEveryWrongFact(t *testing.T) {
	for _, test := range []struct {
		scenario, want string
		change         func(r *http.Request, answer object)
	}{
		{"paid", "status of the order is failed, want success", set("/orders/", "status", "failed")},
		{"paid", "view of the order is refunded, want success", set("/orders/", "view", "refunded")},
		{"paid", "captured of the order is -, want", set("/orders/", "captured", nil)},
		{"paid", "captured of the order is 1 USD, want", set("/orders/", "captured", object{"minor_units": 100, "currency": "USD"})},
		{"paid", "refunded of the order is 1 USD, want 0", set("/orders/", "refunded", object{"minor_units": 100, "currency": "USD"})},
		{"multicapture", "authorized of the order is 1 XTS, want", set("/orders/", "authorized", object{"minor_units": 10, "currency": "XTS", "exponent": 1})},
		{"paid", "answer of the order is 404 not_found, want 200", set("/orders/", "missing", true)},
		{"chargeback-open", "status of the dispute is lost, want open", set("/disputes/", "status", "lost")},
		{"chargeback-open", "stage of the dispute is inquiry, want -", set("/disputes/", "stage", "inquiry")},
		{"chargeback-open", "amount of the dispute is -, want", set("/disputes/", "amount", nil)},
		{"chargeback-open", "due of the dispute is -, want 20", set("/disputes/", "evidence_due_at", nil)},
		{"chargeback-won", "due of the dispute is 2026-01-01T00:00:00.000000Z, want -", set("/disputes/", "evidence_due_at", "2026-01-01T00:00:00.000000Z")},
		{"second-chargeback", "reopened of the dispute is 2, want 1", set("/disputes/", "reopened", 2)},
		{"partial-loss", "outcome_amount of the dispute is -, want", set("/disputes/", "outcome_amount", nil)},
		{"paid", "number of the events is 0, want 2", set("/orders/events", "items", nil)},
		{"paid", "dead_letters of the events is [conflict], want []", set("/orders/events", "items", []object{{"reason": "conflict"}, {}})},
		{"late-failure", "dead_letters of the events is [], want [contradiction]", set("/orders/events", "items", []object{{}, {}, {}})},
		{"paid", "number of the events is 1, want 2", set("/orders/events", "items", []object{{"kind": "note"}, {}})},
	} {
		s := startServer(t, accept)
		c := checkedConfig(s)
		c.Scenarios, c.CheckTimeout = []string{test.scenario}, 20*time.Millisecond
		c.CheckURL = fakeAPI(t, c, test.change).URL
		r, err := Run(t.Context(), c)
		if err == nil || len(r.Differences) != 1 || !strings.Contains(r.Differences[0].String(), test.want) {
			t.Errorf("%s: Run() = %v, %v, want the difference %q", test.scenario, r.Differences, err, test.want)
		}
		var text strings.Builder
		if err := r.Write(&text, "text"); err != nil || !strings.Contains(text.String(), test.want) {
			t.Errorf("the report is %q, %v, want %q", text.String(), err, test.want)
		}
	}
}

// set returns what changes a member of the answers at a path.
func set(path, member string, value any) func(*http.Request, object) {
	return func(r *http.Request, answer object) {
		events := strings.HasSuffix(r.URL.Path, "/events")
		if strings.HasPrefix(r.URL.Path, path) && events == strings.HasSuffix(path, "/events") {
			answer[member] = value
		}
	}
}

// An accepted webhook may be applied later.
func TestCheckWaits(t *testing.T) {
	var requests atomic.Int64
	s := startServer(t, accept)
	c := checkedConfig(s)
	c.Scenarios, c.CheckTimeout = []string{"paid"}, 10*time.Second
	c.CheckURL = fakeAPI(t, c, func(_ *http.Request, answer object) {
		if requests.Add(1) <= 6 {
			answer["missing"] = true
		}
	}).URL
	if r, err := Run(t.Context(), c); err != nil {
		t.Errorf("Run() = %v, %v, want the state after some requests", r.Differences, err)
	}
}

// What was never accepted makes a check pointless.
func TestNoCheckAfterGivingUp(t *testing.T) {
	s := startServer(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusBadGateway) })
	c := checkedConfig(s)
	c.Scenarios, c.Attempts, c.CheckURL = []string{"paid"}, 1, "http://127.0.0.1:1"
	if r, err := Run(t.Context(), c); err == nil || r.Checked {
		t.Errorf("Run() = %+v, %v, want no check", r, err)
	}
}

func TestCheckShowsTheToken(t *testing.T) {
	s := startServer(t, accept)
	c := checkedConfig(s)
	c.Scenarios = []string{"paid"}
	api := fakeAPI(t, c, func(r *http.Request, _ object) {
		if got := r.Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("Authorization = %q, want the token", got)
		}
	})
	c.CheckURL, c.APIToken = api.URL, "secret"
	if _, err := Run(t.Context(), c); err != nil {
		t.Error(err)
	}
}

// Amounts of the API are compared by value, whatever their minor unit.
func TestShownMoney(t *testing.T) {
	for text, want := range map[string]string{
		`{"minor_units": 10050, "currency": "USD"}`:                 "100.5 USD",
		`{"minor_units": 100000, "currency": "CLP", "exponent": 2}`: "1000 CLP",
		`{"minor_units": 1000, "currency": "CLP"}`:                  "1000 CLP",
		`{"minor_units": 1000, "currency": "CVE", "exponent": 0}`:   "1000 CVE",
		`{"minor_units": 0, "currency": "EUR"}`:                     "0 EUR",
		`{"minor_units": 9007199254740993, "currency": "JPY"}`:      "9007199254740993 JPY",
		`null`: "-",
	} {
		var shown any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&shown); err != nil {
			t.Fatal(err)
		}
		if got := shownMoney(shown); got != want {
			t.Errorf("shownMoney(%s) = %s, want %s", text, got, want)
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	s := startServer(t, accept)
	c := configOf(s, "stripe")
	c.Scenarios = []string{"chargeback-lost"}
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := r.Write(&text, "json"); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal([]byte(text.String()), &back); err != nil || fmt.Sprint(back.Orders) != fmt.Sprint(r.Orders) {
		t.Errorf("the report is %s, %v, want the orders %v", text.String(), err, r.Orders)
	}
	if o := r.Orders[0]; len(r.Orders) != 1 || o.Scenario != "chargeback-lost" || o.DisputeID == "" {
		t.Errorf("the orders are %v, want one with a dispute", r.Orders)
	}
}
