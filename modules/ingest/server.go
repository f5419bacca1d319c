// Package ingest receives webhooks: it limits, reads and answers them, and passes them on
// as updates. What is a provider's own is in package provider, and the configuration of
// the sources in package source.
//
// The answer is 2xx if the webhook is stored, 4xx if it can never be accepted, and 429 or
// 503 if it may not be stored and must be sent again. A body of a signed source that
// cannot be decoded is passed on whole.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/payrelay/payrelay/modules/ingest/source"
	"github.com/payrelay/payrelay/modules/payments"
)

// maxHeaderBytes limits headers to 16 KiB, with the 4 KiB that net/http adds.
const maxHeaderBytes = 12 << 10

// Server is the HTTP server for webhooks.
type Server struct {
	cfg      Config
	next     payments.Applier
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
	drain    time.Duration
	// slots holds one element for each webhook that is verified and not yet answered.
	slots chan struct{}
	// bodies is the part of bodyBudget that is not reserved.
	bodies    *semaphore.Weighted
	sources   *source.Live
	forgeries *forgeries
	bursts    *bursts
	rate      *rate.Limiter // nil if there is no limit
	tail      *Tail
}

// New returns a server that serves listener. next applies the webhooks.
func New(cfg Config, listener net.Listener, next payments.Applier, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if address, ok := listener.Addr().(*net.TCPAddr); cfg.SourcesFile == "" && !cfg.InsecureNoSignature && ok && !address.IP.IsLoopback() {
		return nil, fmt.Errorf("the address for webhooks (INGEST_ADDR) is %s, which other machines can reach, and the built-in source has no signature: name a file of sources with --sources, listen on 127.0.0.1, or accept forged webhooks with --insecure-no-signature", address)
	}
	return newServer(cfg, listener, next, log, defaultTimeouts(cfg.Timeout))
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

func newServer(cfg Config, listener net.Listener, next payments.Applier, log *slog.Logger, t timeouts) (*Server, error) {
	sources, err := source.Open(cfg.SourcesFile, cfg.InsecureNoSignature, log)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, next: next, log: log, drain: t.drain,
		listener: listener,
		slots:    make(chan struct{}, cfg.MaxInFlight),
		bodies:   semaphore.NewWeighted(bodyBudget),
		sources:  sources, forgeries: newForgeries(), bursts: newBursts(), tail: newTail(),
	}
	if cfg.RateLimit > 0 {
		s.rate = rate.NewLimiter(rate.Limit(cfg.RateLimit), cfg.RateLimit)
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

// Reload reads the file of sources again. If it is wrong, the sources stay as they are.
func (s *Server) Reload() { s.sources.Reload() }

// Unsigned returns the names of the sources whose webhooks are not verified.
func (s *Server) Unsigned() []string { return s.sources.Set().Unsigned() }

// Sources returns the names of the sources, sorted.
func (s *Server) Sources() []string { return s.sources.Set().Names() }

// Configured returns the sources, sorted by name.
func (s *Server) Configured() []*source.Source { return s.sources.Set().All() }

// SecretEnds calls show for each secret that has an end of its use, with its source and
// its index there.
func (s *Server) SecretEnds(show func(source string, secret int, end time.Time)) {
	s.sources.Set().SecretEnds(show)
}

// Tail returns the handler that streams webhooks as they are answered.
func (s *Server) Tail() http.Handler { return s.tail }

// Addr returns the address of the listener with its actual port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx is done and the webhooks in flight are answered. The error
// reports that the listener failed or that webhooks were cut off. Run must be called
// exactly once. After a failed start, call it with a cancelled context to close the
// listener.
func (s *Server) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watched, stopWatching := context.WithCancel(ctx)
	watching.Go(func() { s.sources.Run(watched) })
	defer watching.Wait()
	defer stopWatching()
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
	for takeSlot(s.slots) { // no further webhook gets one
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
