package admin

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Instrument returns an Applier that calls next and counts under the name stage:
// updates by verdict, errors, batch sizes and latency. It changes neither the
// updates nor the result.
func (s *Server) Instrument(stage string, next payments.Applier) payments.Applier {
	m := s.metrics
	i := &instrumented{
		next:      next,
		traces:    s.traces,
		verdicts:  make([]prometheus.Counter, len(payrelayv1.Verdict_name)),
		errors:    m.applyErrors.WithLabelValues(stage),
		batchSize: m.batchSize.WithLabelValues(stage),
		duration:  m.applyDuration.WithLabelValues(stage),
	}
	// Looking up each counter now shows it as 0 before its verdict first occurs.
	for v := range i.verdicts {
		i.verdicts[v] = m.updates.WithLabelValues(stage, cmp.Or(payments.Verdicts.Name(payrelayv1.Verdict(v)), "unspecified"))
	}
	return i
}

type instrumented struct {
	next      payments.Applier
	verdicts  []prometheus.Counter // by number
	errors    prometheus.Counter
	batchSize prometheus.Observer
	duration  prometheus.Observer
	traces    traces
}

func (i *instrumented) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	i.batchSize.Observe(float64(len(updates)))
	start := time.Now()
	outcomes, err := i.next.Apply(ctx, updates)
	observe(i.duration, time.Since(start).Seconds(), i.traces.of(ctx, updates))
	if err != nil {
		i.errors.Inc()
		return outcomes, err
	}
	for _, outcome := range outcomes {
		i.verdict(outcome.GetVerdict()).Inc()
	}
	return outcomes, nil
}

// verdict returns the counter of a verdict. A verdict that only a newer release
// knows is counted as unspecified.
func (i *instrumented) verdict(v payrelayv1.Verdict) prometheus.Counter {
	if v < 0 || int(v) >= len(i.verdicts) {
		v = payrelayv1.Verdict_VERDICT_UNSPECIFIED
	}
	return i.verdicts[v]
}

// Age returns an Applier that calls next and measures the time from the receipt of
// each update at the ingest role to its commit. Only the stage that commits needs
// it: in a mode that answers earlier, the latency of the answers does not include
// that time.
func (s *Server) Age(next payments.Applier) payments.Applier {
	return &aged{next, s.metrics.age, s.traces}
}

type aged struct {
	next   payments.Applier
	age    prometheus.Observer
	traces traces
}

func (a *aged) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	outcomes, err := a.next.Apply(ctx, updates)
	if err != nil {
		return outcomes, err
	}
	now := time.Now()
	for i, update := range updates {
		if update.GetReceivedAt() != nil { // set by the ingest role only
			observe(a.age, now.Sub(update.GetReceivedAt().AsTime()).Seconds(), a.traces.of(ctx, updates[i:i+1]))
		}
	}
	return outcomes, nil
}
