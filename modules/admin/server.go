// Package admin is the operator's window into a running process: is it alive,
// is it ready, what does it count, where does it spend its time.
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

// stopTimeout bounds the wait for requests that are still being answered when
// the process stops: nobody's scrape is worth a hanging shutdown.
const stopTimeout = 2 * time.Second

// Server is the admin listener and what it reports. Its methods may be called
// concurrently.
type Server struct {
	log       *slog.Logger
	listener  net.Listener
	readiness readiness
	metrics   *metrics
	http      *http.Server
}

// New opens the listener, so that a port that is taken fails the start. The
// process counts as not ready until SetReady(true).
func New(cfg Config, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("open the admin listener (ADMIN_ADDR): %w", err)
	}
	return newServer(cfg, listener, log), nil
}

func newServer(cfg Config, listener net.Listener, log *slog.Logger) *Server {
	s := &Server{log: log, listener: listener, metrics: newMetrics()}
	s.http = &http.Server{
		Handler:           s.routes(cfg.Pprof || isLoopback(listener.Addr())),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second, // pprof extends it by the seconds that a profile takes
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s
}

// Addr is the address listened on, with its real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx is cancelled and the requests under way are answered.
// It must be called once, also to release the listener of a start that failed:
// then with a cancelled context.
func (s *Server) Run(ctx context.Context) error {
	// Long answers, a 30 s profile for one, end early when ctx does.
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
		_ = s.http.Close() // the process is leaving; what could fail here is already lost
	}
}

func (s *Server) routes(profiles bool) http.Handler {
	mux := http.NewServeMux()
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

// refuseProfiles answers for an address that others can reach: profiles show
// the command line and memory, and taking one slows the process.
func refuseProfiles(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusForbidden, map[string]any{"error": map[string]string{
		"code":    "profiles_off",
		"message": "profiles are served on a loopback address only; start with --admin-pprof to serve them here",
	}})
}

// isLoopback judges the address that was opened, not the name it was asked by.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
