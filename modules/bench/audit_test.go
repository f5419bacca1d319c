package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/bench/load"
)

// sent returns an order with a dispute. All events but number 3 were accepted.
func sent() []load.Order {
	webhook := func(id, kind string, dispute bool, second int, accepted bool) load.Sent {
		return load.Sent{Webhook: load.Webhook{EventID: id, OrderID: "o", Kind: kind, Dispute: dispute, At: time.Unix(int64(second), 0), Body: []byte(id)}, Accepted: accepted}
	}
	return []load.Order{{ID: "o", Webhooks: []load.Sent{
		webhook("1", "created", false, 1, true),
		webhook("2", "open", true, 2, true),
		webhook("3", "success", false, 3, false),
	}}}
}

// kept returns what is stored if the events with the given IDs are.
func kept(status string, ids ...string) stored {
	s := stored{
		orders:   []stateItem{{OrderID: "o", Status: status}},
		disputes: []stateItem{{OrderID: "o", DisputeID: "o", Status: "open"}},
	}
	for _, id := range ids {
		for _, w := range sent()[0].Webhooks {
			if w.EventID == id {
				s.events = append(s.events, eventItem{EventID: id, OrderID: "o", Kind: w.Kind, Verdict: "applied", BodySHA256: w.Digest()})
			}
		}
	}
	return s
}

// Each kind of damage must be found.
func TestAudit(t *testing.T) {
	changed := func(change func(*stored)) stored {
		s := kept("created", "1", "2")
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		stored stored
		want   string
	}{
		"complete":                      {kept("created", "1", "2"), ""},
		"in another order":              {kept("created", "2", "1"), ""},
		"with what was not accepted":    {kept("success", "1", "3", "2"), ""},
		"late, without effect":          {changed(func(s *stored) { s.events[0].Verdict = "stale" }), ""},
		"lost":                          {changed(func(s *stored) { s.events = s.events[:1]; s.disputes = nil }), "event 2 was accepted and is lost"},
		"twice":                         {kept("created", "1", "2", "2"), "event 2 is stored twice"},
		"never sent":                    {changed(func(s *stored) { s.events = append(s.events, eventItem{EventID: "4"}) }), "event 4 of order  was never sent"},
		"with another body":             {changed(func(s *stored) { s.events[0].BodySHA256 = "00" }), "event 1 is not what was sent"},
		"as another kind":               {changed(func(s *stored) { s.events[0].Kind = "failed" }), "event 1 is not what was sent"},
		"of another order":              {changed(func(s *stored) { s.events[0].OrderID = "p" }), "event 1 is not what was sent"},
		"as a dead letter":              {changed(func(s *stored) { s.events[0].Verdict = "dead_lettered" }), "event 1 is dead_lettered"},
		"without effect on the order":   {kept("created", "1", "3", "2"), `order o is "created", want "success"`},
		"with an effect of nothing":     {kept("success", "1", "2"), `order o is "success", want "created"`},
		"without effect on the dispute": {changed(func(s *stored) { s.disputes[0].Status = "won" }), `dispute o is "won", want "open"`},
		"without the order":             {changed(func(s *stored) { s.orders = nil }), `order o is "", want "created"`},
	} {
		wrong := audit(sent(), c.stored)
		if c.want == "" && len(wrong) > 0 || c.want != "" && (len(wrong) != 1 || !strings.HasPrefix(wrong[0], c.want)) {
			t.Errorf("%s: audit() = %q, want %q", name, wrong, c.want)
		}
	}
}

func TestSummaryIsBounded(t *testing.T) {
	text := summary(make([]string, 1000))
	if !strings.HasPrefix(text, "1000 problems") || strings.Count(text, "\n") != shownProblems+1 {
		t.Errorf("summary() of 1000 problems = %q, want the count and %d of them", text, shownProblems)
	}
}
