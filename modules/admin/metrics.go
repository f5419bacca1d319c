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
	}
}

func (m *metrics) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		MaxRequestsInFlight: scrapesAtOnce,
	})
}

// AddGauge adds a gauge whose value is read at each scrape. It panics if there is
// a metric of that name.
func (s *Server) AddGauge(name, help string, value func() float64) {
	s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// AddGauges adds a gauge with labels. At each scrape, read calls show for each
// current value, with distinct values of the labels. It panics if there is a
// metric of that name.
func (s *Server) AddGauges(name, help string, labels []string, read func(show func(value float64, labels ...string))) {
	s.metrics.registry.MustRegister(series{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, read})
}

// AddCounter adds a counter with labels and returns the function that adds 1 to it. The
// values of the labels must come from a bounded set. It panics if there is a metric of
// that name.
func (s *Server) AddCounter(name, help string, labels ...string) (add func(values ...string)) {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	s.metrics.registry.MustRegister(counter)
	return func(values ...string) { counter.WithLabelValues(values...).Inc() }
}

// AddCounters adds a counter with labels, as AddGauges adds a gauge.
func (s *Server) AddCounters(name, help string, labels []string, read func(show func(value float64, labels ...string))) {
	s.metrics.registry.MustRegister(series{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue, read})
}

// series is a metric whose values are read at each scrape.
type series struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(show func(value float64, labels ...string))
}

func (s series) Describe(descs chan<- *prometheus.Desc) { descs <- s.desc }

func (s series) Collect(metrics chan<- prometheus.Metric) {
	s.read(func(value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(s.desc, s.kind, value, labels...)
	})
}
