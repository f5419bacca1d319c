package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// server is a listener and what it serves.
type server struct {
	// name is the listener's for people, with the variable that places it.
	name string
	// drain is how long requests under way have once the server stops.
	drain time.Duration
	// maxConnections bounds the open connections; more wait in the kernel.
	maxConnections int
	listener       net.Listener
	http           *http.Server
	log            *slog.Logger
}

// newServer opens the listener, so that a port that is taken fails the start.
func newServer(name, addr string, drain time.Duration, handler http.Handler, log *slog.Logger) (*server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("open the %s: %w", name, err)
	}
	return &server{
		name: name, drain: drain, log: log,
		maxConnections: 1024,
		listener:       listener,
		http:           newHTTPServer(handler, log),
	}, nil
}

// newHTTPServer bounds what one client can hold on to.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	server := &http.Server{
		Handler:           handler,
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 128,
			MaxReadFrameSize:     64 << 10,
			SendPingTimeout:      15 * time.Second,
			PingTimeout:          5 * time.Second,
			WriteByteTimeout:     10 * time.Second,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// "OPTIONS *" is for our router too: it refuses strangers and unknown paths.
		DisableGeneralOptionsHandler: true,
	}
	server.Protocols.SetHTTP1(true)
	return server
}

// addr is the address listened on, with its real port.
func (s *server) addr() string { return s.listener.Addr().String() }

// run serves until ctx is cancelled or the listener fails, and stops then. Only
// a failed listener is an error.
func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- s.http.Serve(netutil.LimitListener(s.listener, s.maxConnections))
	}()
	<-ctx.Done()
	s.stop()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the %s: %w", s.name, err)
	}
	return nil
}

// stop lets nobody in any more and waits for the answers under way. Whoever is
// cut off can send the same again, so that is no failure: it would be one that
// a slow reader could cause.
func (s *server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), s.drain)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "listener", s.name, "after", s.drain, "error", err)
		_ = s.http.Close() // it could only fail to close what is given up
	}
}
