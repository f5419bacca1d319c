package admin_test

import (
	"fmt"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// event returns an event of a kind with a verdict.
func event(kind payments.Kind, verdict payrelayv1.Verdict) *payments.Event {
	return &payments.Event{Key: payments.Key{Kind: kind}, Verdict: verdict}
}

func TestLedgerCountsWhatWasWritten(t *testing.T) {
	s := serve(t)
	count := s.Ledger()
	applied, refused := payrelayv1.Verdict_VERDICT_APPLIED, payrelayv1.Verdict_VERDICT_DEAD_LETTERED
	for range 2 {
		count(&payments.Changes{
			Events:      []*payments.Event{event(payments.KindOrder, applied), event(payments.KindDispute, refused), event(payments.KindOrder, applied)},
			Revised:     []*payments.Event{event(payments.KindOrder, refused)},
			DeadLetters: []*payments.DeadLetter{{Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT}},
			Settled:     []payments.Settlement{{Resolution: payments.Replayed}},
		})
	}
	expectSamples(t, s, map[string]string{
		`payrelay_events_total{kind="order",verdict="applied"}`:               "4",
		`payrelay_events_total{kind="dispute",verdict="dead_lettered"}`:       "2",
		`payrelay_events_total{kind="note",verdict="applied"}`:                "0",
		`payrelay_events_revised_total{kind="order",verdict="dead_lettered"}`: "2",
		`payrelay_events_revised_total{kind="order",verdict="applied"}`:       "0",
		`payrelay_dead_letters_total{reason="conflict"}`:                      "2",
		`payrelay_dead_letters_settled_total{resolution="replayed"}`:          "2",
	})
}

// TestEveryReasonAndResolutionShowsFromTheStart checks that an alert about a rate knows the
// first dead letter, and that values of a newer release are not counted under another name.
func TestEveryReasonAndResolutionShowsFromTheStart(t *testing.T) {
	s := serve(t)
	count := s.Ledger()
	count(&payments.Changes{
		Events:      []*payments.Event{event("parcel", 99)},
		DeadLetters: []*payments.DeadLetter{{Reason: 9999}},
		Settled:     []payments.Settlement{{Resolution: "sold"}},
	})
	want := map[string]string{}
	for _, reason := range payments.DeadLetterReasons.All() {
		want[fmt.Sprintf("payrelay_dead_letters_total{reason=%q}", reason)] = "0"
	}
	for _, resolution := range []payments.Resolution{payments.Reapplied, payments.Replayed, payments.Accepted, payments.Discarded} {
		want[fmt.Sprintf("payrelay_dead_letters_settled_total{resolution=%q}", resolution)] = "0"
	}
	for _, kind := range []payments.Kind{payments.KindOrder, payments.KindDispute, payments.KindNote} {
		for _, verdict := range []string{"applied", "stale", "dead_lettered"} {
			want[fmt.Sprintf("payrelay_events_total{kind=%q,verdict=%q}", kind, verdict)] = "0"
			want[fmt.Sprintf("payrelay_events_revised_total{kind=%q,verdict=%q}", kind, verdict)] = "0"
		}
	}
	expectSamples(t, s, want)
	for series := range scrape(t, s) {
		if _, ok := want[series]; !ok && (strings.HasPrefix(series, "payrelay_events") || strings.HasPrefix(series, "payrelay_dead")) {
			t.Errorf("%s shows, which no release has", series)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	count := serve(t).Ledger()
	changes := &payments.Changes{Events: []*payments.Event{event(payments.KindOrder, payrelayv1.Verdict_VERDICT_APPLIED)}}
	if n := testing.AllocsPerRun(100, func() { count(changes) }); n != 0 {
		t.Errorf("counting made %v allocations, want 0", n)
	}
}
