package admin

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapesAtOnce bounds the scrapes under way, for each walks over all series.
const scrapesAtOnce = 4

var (
	// From a lone call on loopback (0.1 ms) to the deadlines of the callers (10 s).
	latencyBuckets = []float64{1e-4, 25e-5, 5e-4, 1e-3, 25e-4, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	batchBuckets   = prometheus.ExponentialBuckets(1, 2, 11) // 1 to 1024 updates
	// From a lone webhook to one that waited for a database to come back. They are
	// close, for percentiles are read out of them.
	ageBuckets = []float64{
		5e-4, 75e-5, 1e-3, 15e-4, 2e-3, 25e-4, 3e-3, 4e-3, 5e-3, 6e-3, 75e-4, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.075,
		0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60, 300, 1800,
	}
)

// metrics is the process's own registry: what a library registers globally
// stays out of it.
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
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		updates: counter("payrelay_updates_total",
			"Updates answered, by stage and verdict.", "stage", "verdict"),
		applyErrors: counter("payrelay_apply_errors_total",
			"Batches whose outcome a stage could not tell.", "stage"),
		batchSize: histogram("payrelay_apply_batch_updates",
			"Updates in a batch handed to a stage.", batchBuckets, "stage"),
		applyDuration: histogram("payrelay_apply_duration_seconds",
			"Time a stage took for a batch.", latencyBuckets, "stage"),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "payrelay_update_age_seconds",
			Help:    "Time from the receipt of an update at the ingest role to its commit.",
			Buckets: ageBuckets,
		}),
		httpRequests: counter("payrelay_http_requests_total",
			"HTTP requests answered, by listener and status code.", "listener", "code"),
		httpDuration: histogram("payrelay_http_request_duration_seconds",
			"Time an HTTP request took.", latencyBuckets, "listener"),
		httpInFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "payrelay_http_requests_in_flight",
			Help: "HTTP requests being answered.",
		}, []string{"listener"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.updates, m.applyErrors, m.batchSize, m.applyDuration, m.age,
		m.httpRequests, m.httpDuration, m.httpInFlight,
	)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		MaxRequestsInFlight: scrapesAtOnce,
	})
}
