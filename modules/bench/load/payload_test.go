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

// Payloads of providers are larger than the generic contract, nested, in many
// languages and full of nulls.
func TestPayloadsResembleThoseOfProviders(t *testing.T) {
	s, sizes := script(t, "provider", 0), make(map[int]bool)
	var all strings.Builder
	for n := range int64(3 * interleaved) {
		w := s.webhook(n, nil)
		if len(w.Body) < 800 || len(w.Body) > 6<<10 || !json.Valid(w.Body) || !utf8.Valid(w.Body) {
			t.Fatalf("webhook %d has %d bytes, want valid JSON of 800 to 6144: %s", n, len(w.Body), w.Body)
		}
		if !sizes[len(w.Body)] {
			sizes[len(w.Body)] = true
			all.Write(w.Body)
		}
	}
	if len(sizes) < len(payloads()) {
		t.Errorf("webhooks have %d sizes, want at least one for each of %d payloads", len(sizes), len(payloads()))
	}
	for _, want := range []string{`null`, `[{`, `[]`, `{}`, `\"`, `\/`, `\n`, `\u00e1`, `\ud83d\ude15`, `東`, `é`, `"live":"false"`, `"links":[`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no payload contains %s", want)
		}
	}
}

func TestPayloadsContainTheValuesOfTheWebhook(t *testing.T) {
	s, seen := script(t, "provider", 0), make(map[string]int)
	for n := range int64(interleaved) {
		w := s.webhook(n, nil)
		var body struct{ Event json.RawMessage }
		if err := json.Unmarshal(w.Body, &body); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{w.EventID, w.OrderID} {
			if !strings.Contains(string(body.Event), name) {
				t.Fatalf("the payload of webhook %d lacks %s: %s", n, name, body.Event)
			}
		}
		if regexp.MustCompile(`\$(event|order|time)`).Match(body.Event) {
			t.Fatalf("the payload of webhook %d has a placeholder left: %s", n, body.Event)
		}
		seen[s.payloadName(t, n)]++
	}
	if len(seen) != len(payloads()) {
		t.Errorf("payloads sent = %v, want all %d", seen, len(payloads()))
	}
}

// payloadName returns the name of the payload in the n-th webhook.
func (s *Script) payloadName(t *testing.T, n int64) string {
	t.Helper()
	position := s.position(n)
	want := payloadOf(position, s.change(position))
	for name, p := range payloads() {
		if slices.Equal(p, want) {
			return name
		}
	}
	t.Fatalf("webhook %d has no payload", n)
	return ""
}

// The files must not contain values that look like a card number or a key.
func TestPayloadsHaveNoSecrets(t *testing.T) {
	secrets := regexp.MustCompile(`\d{12,}|[sr]k_(live|test)_|whsec_|BEGIN [A-Z ]*KEY`)
	for name, p := range payloads() {
		text := p.append(nil, &Webhook{EventID: "e", OrderID: "o", At: now})
		if found := secrets.Find(text); found != nil {
			t.Errorf("payload %s contains %q", name, found)
		}
	}
}

func TestAppendReplacesPlaceholders(t *testing.T) {
	p := payload{{`{"id":"`, "$event"}, {`","of":"`, "$order"}, {`","at":"`, "$time"}, {`"}`, ""}}
	w := Webhook{EventID: "e", OrderID: "o", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if got, want := string(p.append([]byte("> "), &w)), `> {"id":"e","of":"o","at":"2026-03-01T12:00:00Z"}`; got != want {
		t.Errorf("append() = %s, want %s", got, want)
	}
}
