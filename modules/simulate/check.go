package simulate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// Difference is a fact of the public API that is not as the scenario demands.
type Difference struct {
	OrderID  string `json:"order_id"`
	Scenario string `json:"scenario"`
	// Subject is order, dispute, or events for what is recorded of both.
	Subject string `json:"subject"`
	Field   string `json:"field"`
	Got     string `json:"got"`
	Want    string `json:"want"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s (%s): %s of the %s is %s, want %s", d.OrderID, d.Scenario, d.Field, d.Subject, d.Got, d.Want)
}

// checker compares what the public API shows with the scenarios.
type checker struct {
	*Config
	client *http.Client
}

const (
	// checkers is how many lives are checked at a time.
	checkers = 8
	// minWait and maxWait are the times between two looks at a life, since an accepted
	// webhook may be applied later.
	minWait = 20 * time.Millisecond
	maxWait = 500 * time.Millisecond
)

// check waits until all lives are as they must be, or the time is over. It returns the
// remaining differences.
func (c *checker) check(ctx context.Context, lives []*life) []Difference {
	deadline := time.Now().Add(c.CheckTimeout)
	results := make([][]Difference, len(lives))
	next := make(chan int)
	var workers sync.WaitGroup
	for range checkers {
		workers.Go(func() {
			for i := range next {
				results[i] = c.await(ctx, lives[i], deadline)
			}
		})
	}
	for i := range lives {
		next <- i
	}
	close(next)
	workers.Wait()
	return slices.Concat(results...)
}

// await looks at a life, at least once, until it has no differences or the time is over.
func (c *checker) await(ctx context.Context, l *life, deadline time.Time) []Difference {
	for wait := minWait; ; wait = min(2*wait, maxWait) {
		found := c.compare(ctx, l)
		if len(found) == 0 || time.Until(deadline) <= 0 {
			return found
		}
		select {
		case <-time.After(min(wait, time.Until(deadline))):
		case <-ctx.Done():
			return found
		}
	}
}

// compare returns the differences of a life. The events are compared first: the state
// is only final when all of them are recorded.
func (c *checker) compare(ctx context.Context, l *life) []Difference {
	orderID := c.OrderIDPrefix + l.orderID
	differ := func(subject, field, got, want string) Difference {
		return Difference{OrderID: orderID, Scenario: l.scenario.name, Subject: subject, Field: field, Got: got, Want: want}
	}
	recorded, letters, err := c.events(ctx, l, orderID)
	if err != nil {
		return []Difference{differ("events", "answer", err.Error(), "200")}
	}
	want := 0
	for _, s := range l.scenario.steps {
		if !s.note() {
			want++
		}
	}
	var found []Difference
	if recorded < want {
		found = append(found, differ("events", "number", fmt.Sprint(recorded), fmt.Sprint(want)))
	}
	if !slices.Equal(letters, l.scenario.deadLetters) {
		found = append(found, differ("events", "dead_letters", fmt.Sprint(letters), fmt.Sprint(l.scenario.deadLetters)))
	}
	for _, subject := range []struct {
		name, path string
		want       map[string]string
	}{
		{"order", "/orders/" + url.PathEscape(orderID), l.scenario.order},
		{"dispute", "/disputes/" + url.PathEscape(c.disputeID(l)) + "?source=" + url.QueryEscape(c.Source), l.scenario.dispute},
	} {
		if subject.want == nil {
			continue
		}
		item, err := c.get(ctx, subject.path)
		if err != nil {
			found = append(found, differ(subject.name, "answer", err.Error(), "200"))
			continue
		}
		for _, f := range compareItem(l, item, subject.want) {
			found = append(found, differ(subject.name, f[0], f[1], f[2]))
		}
	}
	return found
}

func (c *checker) disputeID(l *life) string { return providers[c.Provider].disputeID(l) }

// events returns the number of recorded events of a life, without notes, and the reasons
// of its dead letters, sorted.
func (c *checker) events(ctx context.Context, l *life, orderID string) (recorded int, letters []string, err error) {
	paths := []string{"/orders/events?limit=200&order_ids=" + url.QueryEscape(orderID)}
	if l.scenario.dispute != nil {
		paths = append(paths, "/disputes/events?limit=200&dispute_ids="+url.QueryEscape(c.disputeID(l))+"&sources="+url.QueryEscape(c.Source))
	}
	for _, path := range paths {
		page, err := c.get(ctx, path)
		if err != nil {
			return 0, nil, err
		}
		items, _ := page["items"].([]any)
		for _, item := range items {
			event, _ := item.(object)
			if event["kind"] == "note" {
				continue
			}
			recorded++
			if reason, _ := event["reason"].(string); reason != "" {
				letters = append(letters, reason)
			}
		}
	}
	slices.Sort(letters)
	return recorded, letters, nil
}

// get returns the object at a path of the API.
func (c *checker) get(ctx context.Context, path string) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.CheckURL, "/")+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the API: %w", err)
	}
	if c.APIToken != "" {
		r.Header.Set("Authorization", "Bearer "+c.APIToken)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask the API: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // what is needed was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read an answer of the API: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var shown struct {
			Error struct{ Code, Message string }
		}
		_ = json.Unmarshal(body, &shown) // a proxy's answer has another form
		return nil, fmt.Errorf("%d %s", resp.StatusCode, cmp.Or(shown.Error.Code, "without a code"))
	}
	var item object
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&item); err != nil {
		return nil, fmt.Errorf("read an answer of the API: %w", err)
	}
	return item, nil
}

// compareItem returns field, got and want of each field that differs.
func compareItem(l *life, item object, want map[string]string) (found [][3]string) {
	for field, text := range want {
		shown, expected := item[apiField(field)], text
		got := ""
		switch {
		case field == "due" && text != "-":
			after, _ := parseOffset(text) // the tests parse all scenarios
			expected, got = l.began.Add(after).UTC().Format("2006-01-02T15:04:05.000000Z"), textOf(shown)
		case isMoney(field):
			expected, got = moneyText(l, text), shownMoney(shown)
			if expected == "0" && strings.HasPrefix(got, "0 ") {
				got = "0" // nothing, in whatever currency
			}
			if expected == "0" && got == "-" {
				got = "0"
			}
		case field == "reopened" && shown == nil:
			got = "0"
		default:
			got = textOf(shown)
		}
		if got != expected {
			found = append(found, [3]string{field, got, expected})
		}
	}
	slices.SortFunc(found, func(a, b [3]string) int { return strings.Compare(a[0], b[0]) })
	return found
}

func apiField(field string) string {
	if field == "due" {
		return "evidence_due_at"
	}
	return field
}

func isMoney(field string) bool {
	return slices.Contains([]string{"amount", "authorized", "captured", "refunded", "outcome_amount"}, field)
}

// textOf returns a value as a scenario has it: "-" if it is absent.
func textOf(value any) string {
	if value == nil {
		return "-"
	}
	return fmt.Sprint(value)
}

// moneyText returns an amount of a scenario, such as 12.50USD, multiplied by the factor of
// the life: "25 USD". "-" and "0" stay as they are.
func moneyText(l *life, text string) string {
	if text == "-" || text == "0" {
		return text
	}
	number := strings.TrimRight(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return text
	}
	return plain(value.Mul(value, big.NewRat(l.factor, 1))) + " " + text[len(number):]
}

// shownMoney returns an amount of the API in the same form, whatever its minor unit.
func shownMoney(shown any) string {
	amount, ok := shown.(object)
	if !ok {
		return "-"
	}
	currency, _ := amount["currency"].(string)
	decimals, known := payments.Money{Currency: currency}.Digits()
	if exponent, ok := amount["exponent"].(json.Number); ok {
		n, err := exponent.Int64()
		decimals, known = int(n), err == nil
	}
	value, ok := new(big.Rat).SetString(fmt.Sprint(amount["minor_units"]))
	if !ok || !known {
		return fmt.Sprint(shown)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	return plain(value.Quo(value, new(big.Rat).SetInt(unit))) + " " + currency
}

// plain returns a number in decimals without zeros at the end.
func plain(value *big.Rat) string {
	text := value.FloatString(18)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
