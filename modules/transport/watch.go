package transport

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"time"
)

const (
	// WatchTimeout limits one check of a [Watch].
	WatchTimeout = 700 * time.Millisecond
	// watchInterval is the time between the starts of two checks. Two that get no answer
	// fit into two seconds.
	watchInterval = 300 * time.Millisecond
	// watchLosses is the number of consecutive checks without an answer after which the
	// far side is down. One answer can get lost by chance.
	watchLosses = 2
)

// WatchConfig configures the watch of a far side.
type WatchConfig struct {
	// Grace is how long the far side may be silent.
	Grace time.Duration
}

// RegisterFlags declares the flag.
func (c *WatchConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.DurationVar(&c.Grace, "api-grace", time.Second, "how long the api role or Kafka may be silent before /readyz reports it: `API_GRACE`")
}

// Validate checks the grace.
func (c WatchConfig) Validate() error {
	if c.Grace < 0 {
		return fmt.Errorf("api-grace (API_GRACE) is %v: it must not be negative", c.Grace)
	}
	return nil
}

// Watch checks periodically whether a far side answers. It is for readiness: a call that
// carries an update would show it too, but a process that is not ready gets none. Its
// methods may be called concurrently.
type Watch struct {
	ask   func(context.Context) error
	grace time.Duration

	mu       sync.Mutex
	began    time.Time // when the check under way began; zero if there is none
	answered time.Time // when the last answered check began
	lost     int       // checks since then
	err      error     // of the last one
}

// NewWatch returns a watch. ask returns an error if the far side does not answer. It is
// called with a context that ends after WatchTimeout, and never concurrently.
func NewWatch(cfg WatchConfig, ask func(context.Context) error) *Watch {
	return &Watch{ask: ask, grace: cfg.Grace, err: errNotAsked}
}

var (
	errNotAsked = errors.New("no answer yet")
	errHanging  = errors.New("the last check is not answered in time")
)

// Ask checks once. Call it before Run, so that the first readiness is known: a far side that
// has never answered has no grace.
func (w *Watch) Ask(ctx context.Context) {
	begin := time.Now()
	bounded, cancel := context.WithTimeout(ctx, WatchTimeout)
	defer cancel()
	w.begin(begin)
	err := w.ask(bounded)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = time.Time{}
	if ctx.Err() != nil {
		return
	}
	if w.err = err; err == nil {
		w.answered, w.lost = begin, 0
	} else {
		w.lost += max(1, overdue(begin))
	}
}

// begin notes when a check begins.
func (w *Watch) begin(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = now
}

// overdue returns how many checks a check that began then counts for. One that ignores its
// context counts again after each WatchTimeout, because there is no other meanwhile.
func overdue(begin time.Time) int { return int(time.Since(begin) / WatchTimeout) }

// Run checks until ctx is done.
func (w *Watch) Run(ctx context.Context) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.Ask(ctx)
		}
	}
}

// Check returns the last error while the far side is down: it did not answer two consecutive
// checks, and has been silent for longer than the grace. A check that takes longer than
// WatchTimeout is not answered, even if ask ignores its context.
func (w *Watch) Check(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err, lost := w.err, w.lost
	if !w.began.IsZero() && overdue(w.began) > 0 {
		err, lost = cmp.Or(err, errHanging), lost+overdue(w.began)
	}
	if err == nil || !w.answered.IsZero() && (lost < watchLosses || time.Since(w.answered) < w.grace) {
		return nil
	}
	return err
}
