package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// crew is the parts of a process that are under way, in the order in which they
// were started. Each is stopped before those that it was started after, so that
// what a part needs outlives it.
type crew struct {
	parts []*part
	// failed holds the name of the first part that ended by itself.
	failed chan string
}

func newCrew() *crew { return &crew{failed: make(chan string, 1)} }

// part is one thing that a process runs. Its run blocks until ctx ends and its
// work has drained; coming back earlier means that it failed.
type part struct {
	name   string
	cancel context.CancelFunc
	done   chan error
}

// start runs a part until stop tells it to end; ctx gives values only.
func (c *crew) start(ctx context.Context, name string, run func(ctx context.Context) error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{name: name, cancel: cancel, done: make(chan error, 1)}
	c.parts = append(c.parts, p)
	go func() {
		err := run(own)
		if own.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			select {
			case c.failed <- name:
			default: // another one was first
			}
		}
		p.done <- err
	}()
}

// wait blocks until ctx ends, or a part does: then it is that part's name.
func (c *crew) wait(ctx context.Context) (failed string) {
	select {
	case <-ctx.Done():
		return ""
	case name := <-c.failed:
		return name
	}
}

// stop stops the parts in reverse, each awaited before the next. The error is
// of every part that failed, before or while it was stopped.
func (c *crew) stop() error {
	var failures []error
	for _, p := range slices.Backward(c.parts) {
		p.cancel()
		if err := <-p.done; err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(failures...)
}
