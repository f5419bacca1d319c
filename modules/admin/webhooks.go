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

// Webhook is what the metrics need to know of an answered webhook.
type Webhook struct {
	Source string
	// Result is the verdict, or the code of the refusal.
	Result string
	Status int
	// Secret is the index of the secret that signed an accepted webhook.
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

// Seen is what was counted of a source since the start of the process.
type Seen struct {
	// Verified is the number of accepted webhooks, and Refused has those of the others by
	// the code of the refusal.
	Verified int64
	Refused  map[string]int64
	// Last is the time of the last webhook, accepted or refused; zero before the first.
	Last time.Time
}

// Seen returns what was counted of a source.
func (w *Webhooks) Seen(source string) Seen {
	s, seen := w.source(source), Seen{Refused: make(map[string]int64)}
	for of, counter := range s.results.all() {
		if count := valueOf(counter); of.status < http.StatusMultipleChoices {
			seen.Verified += count
		} else {
			seen.Refused[of.result] += count
		}
	}
	if last := s.lastSeen.Load(); last != 0 {
		seen.Last = time.UnixMilli(last)
	}
	return seen
}

func valueOf(counter prometheus.Counter) int64 {
	var metric dto.Metric
	if counter.Write(&metric) != nil {
		return 0 // a counter of the client can be read
	}
	return int64(metric.GetCounter().GetValue())
}

// Answered counts a webhook after its answer is known.
func (w *Webhooks) Answered(ctx context.Context, webhook Webhook) {
	s := w.source(webhook.Source)
	s.lastSeen.Store(webhook.At.UnixMilli())
	observe(s.duration, webhook.Latency.Seconds(), w.server.traces.of(ctx, nil))
	s.result(webhook.Result, webhook.Status).Inc()
	if webhook.Status >= http.StatusMultipleChoices {
		return
	}
	s.secret(webhook.Secret).Inc()
	s.last.Store(webhook.At.UnixMilli())
}

// sourceWebhooks has the metrics of one source, whose labels are looked up once.
type sourceWebhooks struct {
	name     string
	metrics  *metrics
	duration prometheus.Observer
	last     atomic.Int64 // the last accepted one, in milliseconds of Unix time
	lastSeen atomic.Int64 // the last one, or 0
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

// all returns the values by their keys, which must not be changed.
func (k *known[K, V]) all() map[K]V {
	if items := k.items.Load(); items != nil {
		return *items
	}
	return nil
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
