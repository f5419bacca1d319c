package load

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// now is the time at which the tests' scripts begin.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func script(t *testing.T, kind string, size int) *Script {
	t.Helper()
	w := Workload{Kind: kind, BodyBytes: size}
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	return NewScript(w, "t1", now)
}

func TestBodiesHaveTheirSize(t *testing.T) {
	for _, kind := range []string{"orders", "disputes", "mix", "hot"} {
		for _, size := range []int{MinBodyBytes, MinBodyBytes + 1, 2 << 10, 16 << 10, maxBodyBytes} {
			t.Run(fmt.Sprintf("%s/%d", kind, size), func(t *testing.T) {
				s, step := script(t, kind, size), int64(2003)
				if size == maxBodyBytes {
					step *= 10
				}
				for n := int64(0); n < 60000; n += step {
					w := s.webhook(n, nil)
					if len(w.Body) != size || !json.Valid(w.Body) {
						t.Fatalf("webhook %d has %d bytes, valid = %v, want %d bytes of JSON: %s", n, len(w.Body), json.Valid(w.Body), size, w.Body)
					}
				}
			})
		}
	}
}

func TestBodyFollowsTheContract(t *testing.T) {
	t.Run("mix", func(t *testing.T) { testContract(t, script(t, "mix", 2<<10)) })
	t.Run("provider", func(t *testing.T) { testContract(t, script(t, "provider", 0)) })
}

func testContract(t *testing.T, s *Script) {
	for n := range int64(100) {
		var body struct {
			EventID string `json:"provider_event_id"`
			OrderID string `json:"order_id"`
			Status  string
			At      string `json:"updated_at"`
			Since   string `json:"occurred_at"`
		}
		w := s.webhook(n, []byte("prefix"))
		if err := json.Unmarshal(w.Body[len("prefix"):], &body); err != nil {
			t.Fatal(err)
		}
		if body.EventID != w.EventID || body.OrderID != w.OrderID || body.Status == "" {
			t.Errorf("webhook %d is %+v, want event %s of order %s", n, body, w.EventID, w.OrderID)
		}
		if at, err := time.Parse(time.RFC3339, body.At+body.Since); err != nil || !at.Equal(w.At) || at.After(now) {
			t.Errorf("webhook %d has updated_at %q, occurred_at %q, want %s", n, body.At, body.Since, w.At)
		}
	}
}

// Every order goes through its whole history, with each change once but for the
// duplicates.
func TestScriptCompletesHistories(t *testing.T) {
	for _, kind := range []string{"orders", "disputes", "mix"} {
		t.Run(kind, func(t *testing.T) {
			s := script(t, kind, MinBodyBytes)
			length := int64(len(s.lifecycle.sequence))
			sent := make(map[int64][]int)
			for n := range 2 * length * interleaved {
				p := s.position(n)
				sent[p.order] = append(sent[p.order], int(p.index))
			}
			whole := 0
			for order, indexes := range sent {
				sequence := s.lifecycle.sequence
				if order%5 == 4 {
					sequence = s.lifecycle.shuffled
				}
				switch {
				case slices.Equal(indexes, sequence):
					whole++
				case !slices.Equal(indexes, sequence[:len(indexes)]) && !slices.Equal(indexes, sequence[len(sequence)-len(indexes):]):
					t.Fatalf("the changes of order %d are sent as %v, want a part of %v", order, indexes, sequence)
				} // the first orders began before the run, the last are not complete
			}
			if want := interleaved; whole < want {
				t.Errorf("%d orders are complete, want at least %d", whole, want)
			}
		})
	}
}

func TestEveryTenthWebhookIsOfTheHotOrder(t *testing.T) {
	s, hot, others := script(t, "hot", MinBodyBytes), int64(0), make(map[position]bool)
	for n := range int64(50000) {
		switch p := s.position(n); {
		case p.order == hotOrder && p.index != hot:
			t.Fatalf("webhook %d is number %d of the hot order, want %d", n, p.index, hot)
		case p.order == hotOrder:
			hot++
		case others[p]:
			t.Fatalf("%v is sent twice", p)
		default:
			others[p] = true
		}
	}
	if hot != 5000 {
		t.Errorf("%d of 50000 webhooks are of the hot order, want 5000", hot)
	}
}

func TestRunsShareNoIDs(t *testing.T) {
	w := Workload{Kind: "orders", BodyBytes: MinBodyBytes}
	seen := make(map[string]bool)
	for _, run := range []string{"a", "b", "ab", "ba"} {
		s := NewScript(w, run, now)
		for n := range int64(1000) {
			id := s.webhook(n, nil).EventID
			if seen[id] {
				t.Fatalf("two webhooks have the event ID %s", id)
			}
			seen[id] = true
		}
	}
}

func TestWorkloadValidate(t *testing.T) {
	for _, w := range []Workload{{"weddings", 400}, {"orders", 399}, {"orders", maxBodyBytes + 1}, {"provider", 400}} {
		if err := w.Validate(); err == nil {
			t.Errorf("%+v.Validate() = nil, want an error", w)
		}
	}
}
