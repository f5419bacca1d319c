package load

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// What providers send is larger than what the contract asks for, nested, in many
// languages and full of nulls.
func TestEventsAreLikeThoseOfProviders(t *testing.T) {
	s, sizes := script(t, "provider", 0), make(map[int]bool)
	var all strings.Builder
	for n := range int64(3 * interleaved) {
		w := s.webhook(n, nil)
		if len(w.Body) < 800 || len(w.Body) > 6<<10 || !json.Valid(w.Body) || !utf8.Valid(w.Body) {
			t.Fatalf("webhook %d has %d bytes: %s", n, len(w.Body), w.Body)
		}
		if !sizes[len(w.Body)] {
			sizes[len(w.Body)] = true
			all.Write(w.Body)
		}
	}
	if len(sizes) < len(events()) {
		t.Errorf("only %d sizes come, with %d events", len(sizes), len(events()))
	}
	for _, want := range []string{`null`, `[{`, `[]`, `{}`, `\"`, `\/`, `\n`, `\u00e1`, `\ud83d\ude15`, `東`, `é`, `"live":"false"`, `"links":[`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no event has %s", want)
		}
	}
}

func TestEventsNameTheirWebhook(t *testing.T) {
	s, seen := script(t, "provider", 0), make(map[string]int)
	for n := range int64(interleaved) {
		w := s.webhook(n, nil)
		var said struct{ Event json.RawMessage }
		if err := json.Unmarshal(w.Body, &said); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{w.EventID, w.OrderID} {
			if !strings.Contains(string(said.Event), name) {
				t.Fatalf("the event of webhook %d does not name %s: %s", n, name, said.Event)
			}
		}
		if regexp.MustCompile(`\$(event|order|time)`).Match(said.Event) {
			t.Fatalf("the event of webhook %d has gaps: %s", n, said.Event)
		}
		seen[s.eventName(t, n)]++
	}
	if len(seen) != len(events()) {
		t.Errorf("of %d events only these come: %v", len(events()), seen)
	}
}

// eventName is that of the event in the n-th webhook.
func (s *Script) eventName(t *testing.T, n int64) string {
	t.Helper()
	p := s.place(n)
	told := eventOf(p, s.fact(p))
	for name, e := range events() {
		if slices.Equal(e, told) {
			return name
		}
	}
	t.Fatalf("webhook %d has no event", n)
	return ""
}

// A value that somebody takes for a card number or a key must not come to be in
// the files.
func TestEventsHaveNoSecrets(t *testing.T) {
	secrets := regexp.MustCompile(`\d{12,}|[sr]k_(live|test)_|whsec_|BEGIN [A-Z ]*KEY`)
	for name, e := range events() {
		text := e.append(nil, &Webhook{EventID: "e", OrderID: "o", At: now})
		if found := secrets.Find(text); found != nil {
			t.Errorf("event %s has %q", name, found)
		}
	}
}

func TestValuesOfAnEvent(t *testing.T) {
	e := event{{`{"id":"`, "$event"}, {`","of":"`, "$order"}, {`","at":"`, "$time"}, {`"}`, ""}}
	w := Webhook{EventID: "e", OrderID: "o", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if got, want := string(e.append([]byte("> "), &w)), `> {"id":"e","of":"o","at":"2026-03-01T12:00:00Z"}`; got != want {
		t.Errorf("it is written as %s, want %s", got, want)
	}
}
