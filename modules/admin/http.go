package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HTTP returns a handler that calls next and counts under the name listener:
// status codes, latency and requests in flight. A request that ends in a panic is
// not counted as answered.
func (s *Server) HTTP(listener string, next http.Handler) http.Handler {
	return &measuredHandler{
		next: next, listener: listener, requests: s.metrics.httpRequests,
		duration: s.metrics.httpDuration.WithLabelValues(listener), inFlight: s.metrics.httpInFlight.WithLabelValues(listener),
	}
}

// measuredHandler looks up the counter of a status code once. The middleware of the
// Prometheus client does so for each request, which costs seven times as much.
type measuredHandler struct {
	next     http.Handler
	listener string
	requests *prometheus.CounterVec
	codes    known[int, prometheus.Counter]
	duration prometheus.Observer
	inFlight prometheus.Gauge
}

// ServeHTTP calls the next handler.
func (h *measuredHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	h.inFlight.Inc()
	defer h.inFlight.Dec()
	answer := &statusWriter{ResponseWriter: w}
	h.next.ServeHTTP(answer, r)
	h.duration.Observe(time.Since(start).Seconds())
	code := answer.code
	if code == 0 { // nothing was written, which net/http answers with 200
		code = http.StatusOK
	}
	h.codes.get(code, func() prometheus.Counter {
		return h.requests.WithLabelValues(h.listener, strconv.Itoa(code))
	}).Inc()
}

// statusWriter keeps the status code of an answer.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader keeps the code, unless it only announces an answer.
func (w *statusWriter) WriteHeader(code int) {
	if w.code == 0 && (code >= http.StatusOK || code == http.StatusSwitchingProtocols) {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write writes a part of the body, with status 200 if none was written before.
func (w *statusWriter) Write(body []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(body)
}

// Flush sends what was written. The streams of gRPC need it.
func (w *statusWriter) Flush() {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // fails only without support for it
}

// Unwrap returns the writer for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
