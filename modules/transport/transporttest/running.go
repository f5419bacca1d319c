package transporttest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"
)

// Running is a call of a Run method in another goroutine.
type Running struct {
	// Cancel ends the context of Run.
	Cancel context.CancelFunc
	// Done receives what Run returns.
	Done chan error
}

// Start calls run in another goroutine.
func Start(run func(context.Context) error) *Running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{cancel, make(chan error, 1)}
	go func() { r.Done <- run(ctx) }()
	return r
}

// Stop ends the context of Run and returns what Run returned. A second call returns
// nil.
func (r *Running) Stop() error {
	r.Cancel()
	select {
	case err := <-r.Done:
		r.Done <- nil // for a second call
		return err
	case <-time.After(30 * time.Second):
		return errors.New("Run does not return")
	}
}

// Quiet returns a logger that discards everything, unless PAYRELAY_TEST_LOG is set and
// the test is verbose.
func Quiet() *slog.Logger {
	if testing.Verbose() && os.Getenv("PAYRELAY_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
