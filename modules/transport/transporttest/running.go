package transporttest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"
)

// Running is a Run method that is under way.
type Running struct {
	// Cancel ends the context of Run.
	Cancel context.CancelFunc
	// Done gets what Run returns.
	Done chan error
}

// Start calls run in another goroutine.
func Start(run func(context.Context) error) *Running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{cancel, make(chan error, 1)}
	go func() { r.Done <- run(ctx) }()
	return r
}

// Stop ends the context of Run and returns what Run returned; the second call
// returns nil.
func (r *Running) Stop() error {
	r.Cancel()
	select {
	case err := <-r.Done:
		r.Done <- nil // stopping again is no error
		return err
	case <-time.After(30 * time.Second):
		return errors.New("Run does not return")
	}
}

// Quiet is a log that shows nothing, unless PAYRELAY_TEST_LOG is set and the test is
// verbose.
func Quiet() *slog.Logger {
	if testing.Verbose() && os.Getenv("PAYRELAY_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
