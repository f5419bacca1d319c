// Package ingest receives webhooks: it decodes them, checks the members that it
// reads, passes them on as updates, and answers the provider.
//
// Each provider has a file that decodes its JSON into updates, and its paths in
// routes.go. The answer is 2xx if the webhook is stored, 4xx if it can never be
// accepted, and 503 if it may not be stored and must be sent again. A body of a
// verified source that cannot be decoded is passed on whole.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"

	"github.com/payrelay/payrelay/modules/payments"
)

// maxHeaderBytes limits headers to 16 KiB, with the 4 KiB that net/http adds.
const maxHeaderBytes = 12 << 10

// Server is the listener for webhooks and the HTTP server behind it.
type Server struct {
	cfg      Config
	next     payments.Applier
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
	drain    time.Duration
	// slots holds one element for each webhook that is read and not yet answered.
	slots chan struct{}
	// bodies is the part of bodyBudget that is not reserved.
	bodies *semaphore.Weighted
}

// New opens the listener, so that a port in use is an error at the start. next
// applies the webhooks.
func New(cfg Config, next payments.Applier, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return open(cfg, next, log, defaultTimeouts(cfg.Timeout))
}

// timeouts limit how long the server waits for a client.
type timeouts struct {
	readHeader, write, idle, drain time.Duration
}

// defaultTimeouts returns the timeouts for a deadline of one webhook. They leave time
// to write the answer after that deadline, also while the server stops. The timeout
// of reading a body is set by limitBodyTime.
func defaultTimeouts(webhook time.Duration) timeouts {
	const readHeader = 5 * time.Second
	return timeouts{
		readHeader: readHeader,
		write:      webhook + 5*time.Second,
		idle:       60 * time.Second,
		drain:      max(webhook, readHeader) + 3*time.Second,
	}
}

func open(cfg Config, next payments.Applier, log *slog.Logger, t timeouts) (*Server, error) {
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("open the listener for webhooks (INGEST_ADDR): %w", err)
	}
	s := &Server{
		cfg: cfg, next: next, log: log, drain: t.drain,
		listener: netutil.LimitListener(listener, cfg.MaxConnections),
		slots:    make(chan struct{}, cfg.MaxInFlight),
		bodies:   semaphore.NewWeighted(bodyBudget),
	}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: t.readHeader,
		WriteTimeout:      t.write,
		IdleTimeout:       t.idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Protocols:         new(http.Protocols),
		// The router answers "OPTIONS *" like every unknown path.
		DisableGeneralOptionsHandler: true,
	}
	s.http.Protocols.SetHTTP1(true)
	if cfg.Wrap != nil {
		s.http.Handler = cfg.Wrap(s.http.Handler)
	}
	s.http.Handler = limitBodyTime(s.http.Handler, cfg.Timeout)
	return s, nil
}

// limitBodyTime limits the time for reading the body of each request, whether the
// handler reads it or net/http discards it after the answer. A ReadTimeout of the
// server would also count the time before the headers, in which a connection may be
// idle. net/http resets the deadline for the next request.
func limitBodyTime(next http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// It fails only if the connection is already closed.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout))
		next.ServeHTTP(w, r)
	})
}

// Addr returns the address of the listener with its actual port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx is done and the webhooks in flight are answered. The error
// reports that the listener failed or that webhooks were cut off. Run must be called
// exactly once. After a failed start, call it with a cancelled context to close the
// listener.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	var failed error
	select {
	case err := <-served:
		failed = fmt.Errorf("serve webhooks: %w", err)
	case <-ctx.Done():
	}
	stopped := s.stop()
	if failed == nil {
		<-served
	}
	return errors.Join(failed, stopped)
}

// stop closes the listener and waits for the webhooks in flight. After the drain
// time it closes their connections, which cancels their contexts, and waits until
// their handlers return. Connections without a complete webhook are closed without
// an error.
func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	cut := cap(s.slots)
	for s.takeSlot() { // no further webhook gets one
		cut--
	}
	closed := s.http.Close()
	for range cut {
		s.slots <- struct{}{}
	}
	if cut == 0 {
		return closed
	}
	return errors.Join(fmt.Errorf("stop: %d webhooks in flight were cut off after %s: %w", cut, s.drain, err), closed)
}
