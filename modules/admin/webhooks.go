package admin

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Webhooks measures the webhooks of the ingest role. Its methods may be called
// concurrently.
type Webhooks struct {
	server  *Server
	started time.Time
	sources known[string, *sourceWebhooks]
}

// Webhook describes an answered webhook for the metrics.
type Webhook struct {
	Source string
	// Result is the verdict, or the code of the refusal.
	Result string
	Status int
	// Verified reports whether its signature is valid. It is false if the source is not
	// verified.
	Verified bool
	// Secret is the index of the secret that signed a verified webhook.
	Secret int
	// At is the time of its receipt, and Latency the time until its answer.
	At      time.Time
	Latency time.Duration
}

// Webhooks returns the instrument for webhooks.
func (s *Server) Webhooks() *Webhooks { return &Webhooks{server: s, started: time.Now()} }

// ShowSources shows the sources that are configured now before their first webhook: their
// counters are 0. names returns their names. It must be called once at most.
func (w *Webhooks) ShowSources(names func() []string) {
	w.server.AddGauges("payrelay_source_last_webhook_timestamp_seconds",
		"Time of the last accepted webhook of a source, or of the start of this process before the first.", []string{"source"},
		func(show func(float64, ...string)) {
			for _, source := range names() {
				show(float64(w.source(source).last.Load())/float64(time.Second/time.Millisecond), source)
			}
		})
	for _, source := range names() {
		w.source(source)
	}
}

// Answered counts a webhook after its answer is known.
func (w *Webhooks) Answered(ctx context.Context, webhook Webhook) {
	s := w.source(webhook.Source)
	observe(s.duration, webhook.Latency.Seconds(), w.server.traces.of(ctx, nil))
	s.result(webhook.Result, webhook.Status).Inc()
	s.seen.Store(webhook.At.UnixMilli())
	if webhook.Verified {
		s.verified.Add(1)
	}
	if webhook.Status >= http.StatusMultipleChoices {
		return
	}
	if webhook.Verified {
		s.secret(webhook.Secret).Inc()
	}
	s.last.Store(webhook.At.UnixMilli())
}

// SourceCounts holds the counts of one source since the start of the process.
type SourceCounts struct {
	// Verified is the number of webhooks with a valid signature, including those that were
	// refused for another reason.
	Verified int64
	// Refused has the number of refused webhooks by the code of the refusal.
	Refused map[string]int64
	// LastSeen is the time of the last webhook, accepted or refused; zero before the first.
	LastSeen time.Time
}

// Counts returns the counts of a source. It reads the metrics, so that nothing is
// counted twice.
func (w *Webhooks) Counts(source string) SourceCounts {
	s := w.source(source)
	counts := SourceCounts{Verified: s.verified.Load(), Refused: make(map[string]int64)}
	if seen := s.seen.Load(); seen != 0 {
		counts.LastSeen = time.UnixMilli(seen)
	}
	s.results.each(func(of answer, counter prometheus.Counter) {
		var read dto.Metric
		if of.status >= http.StatusMultipleChoices && counter.Write(&read) == nil { // it cannot fail
			counts.Refused[of.result] += int64(read.GetCounter().GetValue())
		}
	})
	return counts
}

// sourceWebhooks has the metrics of one source, whose labels are looked up once.
type sourceWebhooks struct {
	name     string
	metrics  *metrics
	duration prometheus.Observer
	last     atomic.Int64 // in milliseconds of Unix time
	seen     atomic.Int64 // the same, of accepted and refused webhooks; 0 before the first
	verified atomic.Int64
	results  known[answer, prometheus.Counter]
	secrets  known[int, prometheus.Counter]
}

type answer struct {
	result string
	status int
}

func (w *Webhooks) source(name string) *sourceWebhooks {
	return w.sources.get(name, func() *sourceWebhooks {
		m := w.server.metrics
		s := &sourceWebhooks{name: name, metrics: m, duration: m.webhookDuration.WithLabelValues(name)}
		s.last.Store(w.started.UnixMilli())
		for number := range payrelayv1.Verdict_name {
			verdict, status := payrelayv1.Verdict(number), http.StatusOK
			if verdict == payrelayv1.Verdict_VERDICT_QUEUED {
				status = http.StatusAccepted
			}
			if result := payments.Verdicts.Name(verdict); result != "" {
				s.result(result, status)
			}
		}
		return s
	})
}

func (s *sourceWebhooks) result(result string, status int) prometheus.Counter {
	return s.results.get(answer{result, status}, func() prometheus.Counter {
		return s.metrics.webhooks.WithLabelValues(s.name, result, strconv.Itoa(status))
	})
}

func (s *sourceWebhooks) secret(index int) prometheus.Counter {
	return s.secrets.get(index, func() prometheus.Counter {
		return s.metrics.webhooksChecked.WithLabelValues(s.name, strconv.Itoa(index+1))
	})
}

// known is a map that is read far more often than it grows. Reading takes no lock.
type known[K comparable, V any] struct {
	items atomic.Pointer[map[K]V]
	mu    sync.Mutex
}

// each calls do for each key and value.
func (k *known[K, V]) each(do func(K, V)) {
	if items := k.items.Load(); items != nil {
		for key, value := range *items {
			do(key, value)
		}
	}
}

// get returns the value of a key, which make makes once.
func (k *known[K, V]) get(key K, make func() V) V {
	if items := k.items.Load(); items != nil {
		if value, ok := (*items)[key]; ok {
			return value
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	grown := map[K]V{}
	if items := k.items.Load(); items != nil {
		if value, ok := (*items)[key]; ok {
			return value
		}
		grown = maps.Clone(*items)
	}
	grown[key] = make()
	k.items.Store(&grown)
	return grown[key]
}
