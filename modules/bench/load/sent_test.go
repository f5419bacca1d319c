package load

import (
	"fmt"
	"testing"
)

func TestOrdersAreWhatWasSent(t *testing.T) {
	s := script(t, "mix", MinBodyBytes)
	p := NewProvider(s, Target{}, 0)
	sent := make(map[string]bool)
	for n := range int64(3 * interleaved) {
		p.note([]attempt{{n, n%7 != 0}})
		if w := s.webhook(n, nil); n%7 != 0 {
			sent[w.EventID] = true
		} else if _, known := sent[w.EventID]; !known {
			sent[w.EventID] = false
		}
	}
	seen := make(map[string]bool)
	for o := range p.Orders() {
		if seen[o.ID] {
			t.Fatalf("order %s comes twice", o.ID)
		}
		seen[o.ID] = true
		for i, w := range o.Webhooks {
			accepted, known := sent[w.EventID]
			if !known || accepted != w.Accepted || w.OrderID != o.ID {
				t.Fatalf("webhook %s of order %s is accepted = %v, want %v; sent = %v", w.EventID, w.OrderID, w.Accepted, accepted, known)
			}
			if i > 0 && !o.Webhooks[i-1].At.Before(w.At) {
				t.Errorf("order %s is not in the sequence of its times", o.ID)
			}
			delete(sent, w.EventID)
		}
	}
	if len(sent) > 0 {
		t.Errorf("%d webhooks are missing: %.200s", len(sent), fmt.Sprint(sent))
	}
	if got, want := p.Accepted(), int64(3*interleaved)-(3*interleaved+6)/7; got != want {
		t.Errorf("%d are accepted, want %d", got, want)
	}
}
