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
	// WatchTimeout limits one question of a [Watch].
	WatchTimeout = 700 * time.Millisecond
	// watchInterval is the time between the starts of two questions. Two lost ones fit
	// into two seconds.
	watchInterval = 300 * time.Millisecond
	// watchLosses is the number of questions in a row that a far side which is away does
	// not answer. One can be lost by chance.
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

// Watch asks from time to time whether a far side is there. It is for readiness: a call
// that carries an update would tell too, but a process that is not ready gets none. Its
// methods may be called concurrently.
type Watch struct {
	ask   func(context.Context) error
	grace time.Duration

	mu       sync.Mutex
	asked    time.Time // of the start of the question under way; zero if there is none
	answered time.Time // of the start of the last question that was answered
	lost     int       // questions since then
	err      error     // of the last one
}

// NewWatch returns a watch. ask returns an error if the far side does not answer. It is
// called with a context that ends after WatchTimeout, and never concurrently.
func NewWatch(cfg WatchConfig, ask func(context.Context) error) *Watch {
	return &Watch{ask: ask, grace: cfg.Grace, err: errNotAsked}
}

var (
	errNotAsked = errors.New("no answer yet")
	errHanging  = errors.New("the last question is not answered in time")
)

// Ask asks once. A start calls it before Run, so that the first readiness is a fact: a far
// side that has never answered has no grace.
func (w *Watch) Ask(ctx context.Context) {
	begin := time.Now()
	bounded, cancel := context.WithTimeout(ctx, WatchTimeout)
	defer cancel()
	w.begin(begin)
	err := w.ask(bounded)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = time.Time{}
	if ctx.Err() != nil {
		return
	}
	if w.err = err; err == nil {
		w.answered, w.lost = begin, 0
	} else {
		w.lost += max(1, overdue(begin))
	}
}

// begin notes when a question begins.
func (w *Watch) begin(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = now
}

// overdue returns how many questions a question that began then counts for. One that
// ignores its context counts again after each WatchTimeout, because no other is asked
// meanwhile.
func overdue(begin time.Time) int { return int(time.Since(begin) / WatchTimeout) }

// Run asks until ctx is done.
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

// Check returns the last error while the far side is away: it left two questions in a row
// unanswered, and has been silent for longer than the grace. A question that is older than
// WatchTimeout is unanswered, even if ask ignores its context.
func (w *Watch) Check(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err, lost := w.err, w.lost
	if !w.asked.IsZero() && overdue(w.asked) > 0 {
		err, lost = cmp.Or(err, errHanging), lost+overdue(w.asked)
	}
	if err == nil || !w.answered.IsZero() && (lost < watchLosses || time.Since(w.answered) < w.grace) {
		return nil
	}
	return err
}
