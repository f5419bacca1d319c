package load

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// now is when the runs of tests begin.
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
						t.Fatalf("webhook %d has %d bytes, valid = %v: %s", n, len(w.Body), json.Valid(w.Body), w.Body)
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
		var said struct {
			EventID string `json:"provider_event_id"`
			OrderID string `json:"order_id"`
			Status  string
			At      string `json:"updated_at"`
			Since   string `json:"occurred_at"`
		}
		w := s.webhook(n, []byte("not its own"))
		if err := json.Unmarshal(w.Body[len("not its own"):], &said); err != nil {
			t.Fatal(err)
		}
		if said.EventID != w.EventID || said.OrderID != w.OrderID || said.Status == "" {
			t.Errorf("webhook %d says %+v, want event %s of order %s", n, said, w.EventID, w.OrderID)
		}
		if at, err := time.Parse(time.RFC3339, said.At+said.Since); err != nil || !at.Equal(w.At) || at.After(now) {
			t.Errorf("webhook %d happened at %q, %q, want %s", n, said.At, said.Since, w.At)
		}
	}
}

// Every order is told to its end, each fact once, but for the duplicates.
func TestScriptTellsWholeLives(t *testing.T) {
	for _, kind := range []string{"orders", "disputes", "mix"} {
		t.Run(kind, func(t *testing.T) {
			s := script(t, kind, MinBodyBytes)
			length := int64(len(s.life.telling))
			told := make(map[int64][]int)
			for n := range 2 * length * interleaved {
				p := s.place(n)
				told[p.order] = append(told[p.order], int(p.at))
			}
			whole := 0
			for order, places := range told {
				telling := s.life.telling
				if order%5 == 4 {
					telling = s.life.shuffled
				}
				switch {
				case slices.Equal(places, telling):
					whole++
				case !slices.Equal(places, telling[:len(places)]) && !slices.Equal(places, telling[len(telling)-len(places):]):
					t.Fatalf("order %d is told as %v", order, places)
				} // the first were begun before the run, the last were not ended in it
			}
			if want := interleaved; whole < want {
				t.Errorf("%d orders are told from beginning to end, want at least %d", whole, want)
			}
		})
	}
}

func TestHotOrderComesEveryTenthTime(t *testing.T) {
	s, hot, others := script(t, "hot", MinBodyBytes), int64(0), make(map[place]bool)
	for n := range int64(50000) {
		switch p := s.place(n); {
		case p.order == hotOrder && p.at != hot:
			t.Fatalf("webhook %d is number %d of the hot order, want %d", n, p.at, hot)
		case p.order == hotOrder:
			hot++
		case others[p]:
			t.Fatalf("%v is told twice", p)
		default:
			others[p] = true
		}
	}
	if hot != 5000 {
		t.Errorf("the hot order came %d times of 50000", hot)
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
				t.Fatalf("event id %s comes twice", id)
			}
			seen[id] = true
		}
	}
}

func TestWorkloadValidate(t *testing.T) {
	for _, w := range []Workload{{"weddings", 400}, {"orders", 399}, {"orders", maxBodyBytes + 1}, {"provider", 400}} {
		if err := w.Validate(); err == nil {
			t.Errorf("%+v is accepted", w)
		}
	}
}
