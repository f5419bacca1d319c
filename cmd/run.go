package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// part is one thing that a process runs. Its run blocks until ctx ends and its
// work has drained; coming back earlier means that it failed.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// closing is a part that has nothing to do but to be closed.
func closing(name string, closeIt func() error) part {
	return part{name, func(ctx context.Context) error {
		<-ctx.Done()
		return closeIt()
	}}
}

// running is a part under way.
type running struct {
	part
	cancel context.CancelFunc
	done   chan error
}

// run starts the parts in their order, calls ready, and waits until ctx ends or
// a part fails. Then it calls stopping and stops the parts in reverse, each
// awaited before the next, so that what a part needs outlives it. It returns
// what failed; nil is a clean stop.
func run(ctx context.Context, log *slog.Logger, parts []part, ready, stopping func()) error {
	failed := make(chan string, len(parts))
	started := make([]*running, len(parts))
	for i, p := range parts {
		started[i] = start(ctx, p, failed)
	}
	ready()
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case name := <-failed:
		log.Info("stopping because a part failed", "part", name)
	}
	stopping()
	var failures []error
	for _, r := range slices.Backward(started) {
		if err := r.stop(); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// start runs a part apart from ctx's end: only stop tells it to stop.
func start(ctx context.Context, p part, failed chan<- string) *running {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{part: p, cancel: cancel, done: make(chan error, 1)}
	go func() {
		err := p.run(own)
		if own.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			failed <- p.name
		}
		r.done <- err
	}()
	return r
}

func (r *running) stop() error {
	r.cancel()
	if err := <-r.done; err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}
