package admin

import "github.com/prometheus/client_golang/prometheus"

// AddGauge shows a value that is read at each scrape. A name can be added once.
func (s *Server) AddGauge(name, help string, value func() float64) {
	s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// AddGauges shows values that come and go, each with its own values of the
// labels. read is called at each scrape and shows each value, once for the same
// values of the labels.
func (s *Server) AddGauges(name, help string, labels []string, read func(show func(value float64, labels ...string))) {
	s.metrics.registry.MustRegister(gauges{prometheus.NewDesc(name, help, labels, nil), read})
}

type gauges struct {
	desc *prometheus.Desc
	read func(show func(value float64, labels ...string))
}

func (g gauges) Describe(descs chan<- *prometheus.Desc) { descs <- g.desc }

func (g gauges) Collect(metrics chan<- prometheus.Metric) {
	g.read(func(value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value, labels...)
	})
}
