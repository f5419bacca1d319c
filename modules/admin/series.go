package admin

import "github.com/prometheus/client_golang/prometheus"

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
