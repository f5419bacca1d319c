package admin

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapesAtOnce limits the scrapes in flight, since each walks over all series.
const scrapesAtOnce = 4

var (
	// From a lone call on loopback (0.1 ms) to the deadlines of the callers (10 s).
	latencyBuckets = []float64{1e-4, 25e-5, 5e-4, 1e-3, 25e-4, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	batchBuckets   = prometheus.ExponentialBuckets(1, 2, 11) // 1 to 1024 updates
	// From a lone webhook to one that waited for a database to come back. They are
	// close to each other, because percentiles are estimated from them.
	ageBuckets = []float64{
		5e-4, 75e-5, 1e-3, 15e-4, 2e-3, 25e-4, 3e-3, 4e-3, 5e-3, 6e-3, 75e-4, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.075,
		0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60, 300, 1800,
	}
)

// metrics holds the registry of the process and what it counts itself. Metrics
// that a library registers globally are not part of it.
type metrics struct {
	registry *prometheus.Registry

	updates       *prometheus.CounterVec
	applyErrors   *prometheus.CounterVec
	batchSize     *prometheus.HistogramVec
	applyDuration *prometheus.HistogramVec
	age           prometheus.Histogram

	httpRequests *prometheus.CounterVec
	httpDuration *prometheus.HistogramVec
	httpInFlight *prometheus.GaugeVec

	webhooks        *prometheus.CounterVec
	webhooksChecked *prometheus.CounterVec
	webhookDuration *prometheus.HistogramVec

	events, revised      *prometheus.CounterVec
	deadLetters, settled *prometheus.CounterVec

	storeDuration *prometheus.HistogramVec
	storeErrors   *prometheus.CounterVec
}

func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	auto := promauto.With(registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return auto.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &metrics{
		registry:      registry,
		updates:       counter("payrelay_updates_total", "Updates with an outcome, by stage and verdict.", "stage", "verdict"),
		applyErrors:   counter("payrelay_apply_errors_total", "Batches that a stage answered with an error, so that their outcome is unknown.", "stage"),
		batchSize:     histogram("payrelay_apply_batch_updates", "Updates in one batch of a stage.", batchBuckets, "stage"),
		applyDuration: histogram("payrelay_apply_duration_seconds", "Time a stage took for one batch.", latencyBuckets, "stage"),
		age: auto.NewHistogram(prometheus.HistogramOpts{
			Name:    "payrelay_update_age_seconds",
			Help:    "Time from the receipt of an update at the ingest role to its commit.",
			Buckets: ageBuckets,
		}),
		httpRequests: counter("payrelay_http_requests_total", "HTTP requests answered, by listener and status code.", "listener", "code"),
		httpDuration: histogram("payrelay_http_request_duration_seconds", "Time an HTTP request took.", latencyBuckets, "listener"),
		httpInFlight: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "payrelay_http_requests_in_flight",
			Help: "HTTP requests in flight.",
		}, []string{"listener"}),

		webhooks:        counter("payrelay_webhooks_total", "Webhooks of a source that were answered, by verdict or code of the refusal, and by HTTP status.", "source", "result", "status"),
		webhooksChecked: counter("payrelay_webhooks_verified_total", "Webhooks of verified sources that were accepted, by the position of the secret that signed them.", "source", "secret"),
		webhookDuration: histogram("payrelay_webhook_duration_seconds", "Time from the receipt of a webhook to its answer.", latencyBuckets, "source"),

		events:      counter("payrelay_events_total", "Events that this process recorded, by kind and first verdict.", "kind", "verdict"),
		revised:     counter("payrelay_events_revised_total", "Events that a later update or an operator gave another verdict, by kind and new verdict.", "kind", "verdict"),
		deadLetters: counter("payrelay_dead_letters_total", "Dead letters that this process opened, for the first time or again.", "reason"),
		settled:     counter("payrelay_dead_letters_settled_total", "Dead letters that this process settled.", "resolution"),

		storeDuration: histogram("payrelay_store_duration_seconds", "Time that an operation of the ledger took in the database.", latencyBuckets, "operation"),
		storeErrors:   counter("payrelay_store_errors_total", "Operations of the ledger that the database answered with an error, by its kind.", "operation", "kind"),
	}
}

// handler serves the metrics, as OpenMetrics with exemplars to a client that accepts it.
func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		MaxRequestsInFlight: scrapesAtOnce,
		EnableOpenMetrics:   true,
	})
}
