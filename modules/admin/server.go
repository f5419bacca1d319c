// Package admin serves what operators ask a running process: liveness, readiness,
// metrics and profiles. Everything about the admin listener belongs here; what the
// metrics and checks measure belongs to the modules that they are about.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// stopTimeout limits how long a stop waits for requests in flight. A scrape is not
// worth a slow stop.
const stopTimeout = 2 * time.Second

// Server is the server of the admin listener with the metrics and checks that it reports. Its
// methods may be called concurrently.
type Server struct {
	log       *slog.Logger
	listener  net.Listener
	readiness readiness
	metrics   *metrics
	http      *http.Server
	mux       *http.ServeMux
	traces    traces
}

// New returns a server that serves listener. The process is not ready until
// SetReady(true).
func New(cfg Config, listener net.Listener, log *slog.Logger) *Server {
	s := &Server{log: log, listener: listener, metrics: newMetrics(), mux: http.NewServeMux(), traces: traces{cfg.TraceID, cfg.UpdateTraceID}}
	s.readiness.log = log
	s.addReadinessGauge()
	s.http = &http.Server{
		Handler:           s.routes(cfg.Pprof || isLoopback(listener.Addr())),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second, // pprof adds the duration of a profile
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	if cfg.Wrap != nil {
		s.http.Handler = cfg.Wrap(s.http.Handler)
	}
	return s
}

// Handle serves requests that match a pattern of [http.ServeMux], also while the server
// runs. It panics if another handler has the pattern.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// Addr returns the address of the listener, with its actual port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx is cancelled and the requests in flight are answered. It
// must be called exactly once: after a start that failed, with a cancelled context,
// to close the listener.
func (s *Server) Run(ctx context.Context) error {
	// A long answer, such as a 30 s profile, ends early when ctx does.
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the admin listener: %w", err)
	case <-ctx.Done():
	}
	s.stop()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin listener: %w", err)
	}
	return nil
}

func (s *Server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.log.Warn("admin requests were cut off", "after", stopTimeout)
		_ = s.http.Close() // the requests are lost in any case
	}
}

func (s *Server) routes(profiles bool) http.Handler {
	mux := s.mux
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	mux.HandleFunc("GET /readyz", s.readiness.serve)
	mux.Handle("GET /metrics", s.metrics.handler(s.log))
	if !profiles {
		mux.HandleFunc("/debug/pprof/", refuseProfiles)
		return mux
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", serveCommandLine)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// refuseProfiles answers requests for profiles on an address that other machines
// can reach: profiles show memory and the command line, and slow the process.
func refuseProfiles(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusForbidden, map[string]any{"error": map[string]string{
		"code":    "profiles_off",
		"message": "profiles are served on a loopback address only: set --admin-pprof to serve them here too",
	}})
}

// isLoopback reports whether addr, the address of the open listener, is loopback.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
