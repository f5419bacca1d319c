package transport

import (
	"context"
	"errors"
	"flag"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// farSide is asked by a watch. It answers, refuses or hangs.
type farSide struct {
	mu  sync.Mutex
	how func(context.Context) error
}

func (f *farSide) ask(ctx context.Context) error {
	f.mu.Lock()
	how := f.how
	f.mu.Unlock()
	return how(ctx)
}

// now sets how the far side answers from now on.
func (f *farSide) now(how func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.how = how
}

func answering(context.Context) error { return nil }

func hanging(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// watchOf runs a watch of a far side on the clock of the test.
func watchOf(t *testing.T, grace time.Duration, peer *farSide) *Watch {
	t.Helper()
	w := NewWatch(WatchConfig{Grace: grace}, peer.ask)
	w.Ask(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v, want nil after its context has ended", err)
		}
	})
	return w
}

// off returns how long it takes until Check fails.
func off(t *testing.T, w *Watch) time.Duration {
	t.Helper()
	begin := time.Now()
	for w.Check(t.Context()) == nil {
		if time.Since(begin) > time.Minute {
			t.Fatal("Check() = nil for a minute")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begin)
}

var errRefused = errors.New("connection refused")

// TestWatchReportsAFarSideThatIsAwayWithinTwoSeconds checks the time until Check fails
// after a far side was stopped or ended, and until it passes again.
func TestWatchReportsAFarSideThatIsAwayWithinTwoSeconds(t *testing.T) {
	for name, ask := range map[string]func(context.Context) error{
		"stopped": hanging,
		"ended":   func(context.Context) error { return errRefused },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := &farSide{how: answering}
				w := watchOf(t, time.Second, peer)
				time.Sleep(time.Minute + time.Millisecond)
				peer.now(ask)
				if took := off(t, w); took < 500*time.Millisecond || took > 1900*time.Millisecond {
					t.Errorf("Check() failed after %v, want 0.5s to 1.9s", took)
				}
				time.Sleep(time.Minute)
				if w.Check(t.Context()) == nil {
					t.Error("Check() = nil while the far side is away")
				}
				peer.now(answering)
				time.Sleep(watchInterval + WatchTimeout + time.Millisecond)
				if err := w.Check(t.Context()); err != nil {
					t.Errorf("Check() = %v after the far side came back, want nil", err)
				}
			})
		})
	}
}

// A question can wait for a token, which no context ends.
func TestWatchOfAQuestionThatIgnoresItsContext(t *testing.T) {
	for _, test := range []struct {
		name string
		took time.Duration
		err  error
	}{{"lost", 10 * time.Second, errRefused}, {"answered late", 10 * time.Second, nil}, {"slow", 1300 * time.Millisecond, nil}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := &farSide{how: answering}
				w := watchOf(t, 0, peer)
				time.Sleep(time.Minute + time.Millisecond)
				peer.now(func(context.Context) error {
					peer.now(func(context.Context) error { return errRefused })
					if test.err == nil {
						peer.now(answering)
					}
					time.Sleep(test.took)
					return test.err
				})
				if test.took < 2*WatchTimeout {
					for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
						if err := w.Check(t.Context()); err != nil {
							t.Fatalf("Check() = %v while a question takes %v, want nil", err, test.took)
						}
					}
					return
				}
				if took := off(t, w); took > 1900*time.Millisecond {
					t.Errorf("Check() failed after %v, want at most 1.9s", took)
				}
				if err := w.Check(t.Context()); !errors.Is(err, errHanging) {
					t.Errorf("Check() = %v during the question, want %v", err, errHanging)
				}
				for begin := time.Now(); time.Since(begin) < test.took+2*time.Second; time.Sleep(10 * time.Millisecond) {
					if test.err != nil && w.Check(t.Context()) == nil {
						t.Fatalf("Check() = nil %v after the first failure, want an error", time.Since(begin))
					}
				}
				if err := w.Check(t.Context()); (err == nil) != (test.err == nil) {
					t.Errorf("Check() = %v in the end, want the answer %v", err, test.err)
				}
			})
		})
	}
}

func TestWatchForgivesOneLostQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		peer := &farSide{how: func(ctx context.Context) error {
			if lost++; lost%2 == 0 {
				return hanging(ctx)
			}
			return nil
		}}
		w := watchOf(t, 0, peer)
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			if err := w.Check(t.Context()); err != nil {
				t.Fatalf("Check() = %v while every second question is lost, want nil", err)
			}
		}
	})
}

func TestWatchGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &farSide{how: answering}
		w := watchOf(t, 20*time.Second, peer)
		peer.now(func(context.Context) error { return errRefused })
		if took := off(t, w); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("Check() failed after %v, want 20s to 21s", took)
		}
		if err := w.Check(t.Context()); !errors.Is(err, errRefused) {
			t.Errorf("Check() = %v, want the last error", err)
		}
	})
}

// A far side that has never answered has no grace.
func TestWatchBeforeTheFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := &farSide{how: func(context.Context) error { return errRefused }}
		w := NewWatch(WatchConfig{Grace: time.Hour}, peer.ask)
		if w.Check(t.Context()) == nil {
			t.Error("Check() = nil before any question")
		}
		w = watchOf(t, time.Hour, peer)
		if err := w.Check(t.Context()); !errors.Is(err, errRefused) {
			t.Errorf("Check() = %v after the first question, want %v", err, errRefused)
		}
		peer.now(answering)
		time.Sleep(watchInterval + 1)
		if err := w.Check(t.Context()); err != nil {
			t.Errorf("Check() = %v, want nil", err)
		}
	})
}

func TestWatchConfig(t *testing.T) {
	var cfg WatchConfig
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	cfg.RegisterFlags(fs)
	if err := cfg.Validate(); err != nil || cfg.Grace != time.Second {
		t.Errorf("the default is %v, %v, want 1s", cfg.Grace, err)
	}
	if err := fs.Parse([]string{"--api-grace", "-1s"}); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "API_GRACE") {
		t.Errorf("Validate() of -1s = %v, want an error that names API_GRACE", err)
	}
}
