package admin

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Instrument counts what passes through next under the name stage: updates by
// verdict, batches without an outcome, batch sizes and latency. It changes
// neither the updates nor the answer.
func (s *Server) Instrument(stage string, next payments.Applier) payments.Applier {
	m := s.metrics
	i := &instrumented{
		next:      next,
		verdicts:  make([]prometheus.Counter, len(payrelayv1.Verdict_name)),
		errors:    m.applyErrors.WithLabelValues(stage),
		batchSize: m.batchSize.WithLabelValues(stage),
		duration:  m.applyDuration.WithLabelValues(stage),
	}
	// Looked up once here, and thus shown as 0 before the first one occurs.
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
}

func (i *instrumented) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	i.batchSize.Observe(float64(len(updates)))
	start := time.Now()
	outcomes, err := i.next.Apply(ctx, updates)
	i.duration.Observe(time.Since(start).Seconds())
	if err != nil {
		i.errors.Inc()
		return outcomes, err
	}
	for _, outcome := range outcomes {
		i.verdict(outcome.GetVerdict()).Inc()
	}
	return outcomes, nil
}

// verdict counts one that this release does not know, from a newer peer, as
// unspecified.
func (i *instrumented) verdict(v payrelayv1.Verdict) prometheus.Counter {
	if v < 0 || int(v) >= len(i.verdicts) {
		v = payrelayv1.Verdict_VERDICT_UNSPECIFIED
	}
	return i.verdicts[v]
}

// Age measures how old updates are, since the ingest role received them, when
// next has committed them: in a mode that answers before, what the answer's
// latency does not tell. It is for the stage that commits.
func (s *Server) Age(next payments.Applier) payments.Applier { return &aged{next, s.metrics.age} }

type aged struct {
	next payments.Applier
	age  prometheus.Observer
}

func (a *aged) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	outcomes, err := a.next.Apply(ctx, updates)
	if err != nil {
		return outcomes, err
	}
	now := time.Now()
	for _, update := range updates {
		if update.GetReceivedAt() != nil { // a caller that is no ingest may not say
			a.age.Observe(now.Sub(update.GetReceivedAt().AsTime()).Seconds())
		}
	}
	return outcomes, nil
}

// HTTP counts what next answers under the name listener: status codes, latency,
// requests in flight. A request that ends in a panic is not counted as answered.
func (s *Server) HTTP(listener string, next http.Handler) http.Handler {
	m, label := s.metrics, prometheus.Labels{"listener": listener}
	next = promhttp.InstrumentHandlerCounter(m.httpRequests.MustCurryWith(label), next)
	next = promhttp.InstrumentHandlerDuration(m.httpDuration.MustCurryWith(label), next)
	return promhttp.InstrumentHandlerInFlight(m.httpInFlight.With(label), next)
}
