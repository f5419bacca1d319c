package admin

import (
	"github.com/prometheus/client_golang/prometheus"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// resolutions are those of dead letters.
var resolutions = []payments.Resolution{payments.Reapplied, payments.Replayed, payments.Accepted, payments.Discarded}

// Ledger returns a function that counts what the ledger has written, for
// [payments.Ledger.OnCommit]. All counters show 0 before the first commit.
func (s *Server) Ledger() func(*payments.Changes) {
	m := s.metrics
	events, revised := judgements(m.events), judgements(m.revised)
	reasons := make(map[payrelayv1.DeadLetterReason]prometheus.Counter)
	for number := range payrelayv1.DeadLetterReason_name {
		reason := payrelayv1.DeadLetterReason(number)
		if name := payments.DeadLetterReasons.Name(reason); name != "" {
			reasons[reason] = m.deadLetters.WithLabelValues(name)
		}
	}
	settled := make(map[payments.Resolution]prometheus.Counter)
	for _, resolution := range resolutions {
		settled[resolution] = m.settled.WithLabelValues(string(resolution))
	}
	return func(changes *payments.Changes) {
		for _, e := range changes.Events {
			add(events, judgement{e.Key.Kind, e.Verdict})
		}
		for _, e := range changes.Revised {
			add(revised, judgement{e.Key.Kind, e.Verdict})
		}
		for _, letter := range changes.DeadLetters {
			add(reasons, letter.Reason)
		}
		for _, s := range changes.Settled {
			add(settled, s.Resolution)
		}
	}
}

type judgement struct {
	kind    payments.Kind
	verdict payrelayv1.Verdict
}

// judgements returns the counters by kind and verdict of an event.
func judgements(of *prometheus.CounterVec) map[judgement]prometheus.Counter {
	counters := make(map[judgement]prometheus.Counter)
	for _, kind := range []payments.Kind{payments.KindOrder, payments.KindDispute, payments.KindNote} {
		for _, verdict := range []payrelayv1.Verdict{
			payrelayv1.Verdict_VERDICT_APPLIED, payrelayv1.Verdict_VERDICT_STALE, payrelayv1.Verdict_VERDICT_DEAD_LETTERED,
		} {
			counters[judgement{kind, verdict}] = of.WithLabelValues(string(kind), payments.Verdicts.Name(verdict))
		}
	}
	return counters
}

// add adds 1 to the counter of a key.
func add[K comparable](counters map[K]prometheus.Counter, key K) {
	if counter := counters[key]; counter != nil {
		counter.Inc()
	}
}
