package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// supervisor runs the parts of a process. It stops them in the reverse order of
// their start, so that each part outlives those that use it.
type supervisor struct {
	parts []*part
	// failed receives the name of the first part that ends before it is stopped.
	failed chan string
}

func newSupervisor() supervisor { return supervisor{failed: make(chan string, 1)} }

// part is a running part. Its run function blocks until its context ends and its
// work has drained; returning earlier means that the part failed.
type part struct {
	name   string
	cancel context.CancelFunc
	done   chan error
}

// start runs a part until stop. The part gets the values of ctx, but does not end
// with it.
func (s *supervisor) start(ctx context.Context, name string, run func(ctx context.Context) error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{name: name, cancel: cancel, done: make(chan error, 1)}
	s.parts = append(s.parts, p)
	go func() {
		err := run(own)
		if own.Err() == nil {
			if err == nil {
				err = errors.New("ended without an error, but was not stopped")
			}
			select {
			case s.failed <- name:
			default: // another part failed first
			}
		}
		p.done <- err
	}()
}

// wait blocks until ctx ends or a part fails. It returns the name of the part that
// failed, if any.
func (s *supervisor) wait(ctx context.Context) (failed string) {
	select {
	case <-ctx.Done():
		return ""
	case name := <-s.failed:
		return name
	}
}

// stop stops the parts in reverse order and waits for each before it stops the
// next. It returns the errors of all parts that failed, earlier or during the stop.
func (s *supervisor) stop() error {
	var failures []error
	for _, p := range slices.Backward(s.parts) {
		p.cancel()
		if err := <-p.done; err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(failures...)
}
