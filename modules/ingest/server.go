// Package ingest takes webhooks in: it decodes them strictly, has them applied
// and tells the provider what became of them.
//
// Every provider has a file of its own that turns its JSON into updates. What is
// accepted is answered 2xx, what can never be accepted 4xx, and 503 means "not
// known to be stored, send it again".
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

// maxHeaderBytes makes 16 KiB with the 4 KiB that net/http adds to it.
const maxHeaderBytes = 12 << 10

// Server is the listener for webhooks.
type Server struct {
	cfg      Config
	next     payments.Applier
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
	drain    time.Duration
	// slots holds one element per webhook that has come and is not yet answered.
	slots chan struct{}
	// bodies is what there is of bodyBudget.
	bodies *semaphore.Weighted
}

// New opens the listener, so that a port that is taken fails the start.
func New(cfg Config, next payments.Applier, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return open(cfg, next, log, defaultTimeouts(cfg.Timeout))
}

// timeouts bound what a client can make the server wait for.
type timeouts struct {
	readHeader, write, idle, drain time.Duration
}

// defaultTimeouts leave time to write an answer after the last moment at which a
// webhook gets one, also when the process is stopping. Reading a body has no
// timeout of its own, see boundBody.
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
		// "OPTIONS *" is answered like every other unknown path.
		DisableGeneralOptionsHandler: true,
	}
	s.http.Protocols.SetHTTP1(true)
	if cfg.Wrap != nil {
		s.http.Handler = cfg.Wrap(s.http.Handler)
	}
	s.http.Handler = boundBody(s.http.Handler, cfg.Timeout)
	return s, nil
}

// boundBody ends the reading of every request's body after the timeout, be it
// by a handler or, to throw it away, by net/http after the answer. A ReadTimeout
// would not do: it begins when a connection does, which may rest for a while
// before its headers come. net/http sets the deadline anew for what comes next.
func boundBody(next http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// It fails only where there is no connection left to read from.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout))
		next.ServeHTTP(w, r)
	})
}

// Addr is the address listened on, with its real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx is cancelled and the webhooks in flight are answered. An
// error says that the listener failed or that webhooks were cut off. It must be
// called once, also to release the listener of a start that failed: then with a
// cancelled context.
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

// stop lets no more webhooks in and waits for those in flight. What is not done
// in time is cut off, which cancels its context, and is still waited for. Cutting
// off senders who have not sent theirs yet is no error.
func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err == nil {
		return nil
	}
	cut := cap(s.slots)
	for s.takeSlot() { // so that no more work begins
		cut--
	}
	closed := s.http.Close()
	for range cut {
		s.slots <- struct{}{}
	}
	if cut == 0 {
		return closed
	}
	return errors.Join(fmt.Errorf("stop taking webhooks in: %d cut off after %s: %w", cut, s.drain, err), closed)
}
