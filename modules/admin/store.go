package admin

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/payrelay/payrelay/modules/payments"
)

// MeasureStore returns a store that calls next and measures the latency and the errors of
// each operation. It must be called once at most.
func (s *Server) MeasureStore(next payments.Store) payments.Store {
	operation := func(name string) *operation {
		o := &operation{traces: s.traces, duration: s.metrics.storeDuration.WithLabelValues(name)}
		for kind, label := range storeErrorKinds {
			o.errors[kind] = s.metrics.storeErrors.WithLabelValues(name, label)
		}
		return o
	}
	return &measuredStore{
		next: next, load: operation("load"), history: operation("history"), historyPage: operation("history_page"),
		checkpoint: operation("checkpoint"), deadLetter: operation("dead_letter"), deadLettersWith: operation("dead_letters_with"),
		commit: operation("commit"),
	}
}

// The kinds of errors of a store, which are the values of a label.
const (
	kindRaced = iota
	kindUnstorable
	kindMisconfigured
	kindOther
)

var storeErrorKinds = [...]string{kindRaced: "raced", kindUnstorable: "unstorable", kindMisconfigured: "misconfigured", kindOther: "other"}

// operation has the metrics of one method of a store.
type operation struct {
	traces   traces
	duration prometheus.Observer
	errors   [len(storeErrorKinds)]prometheus.Counter
}

// done counts a call. A dead letter that does not exist is a result, not an error.
func (o *operation) done(ctx context.Context, start time.Time, err error) {
	observe(o.duration, time.Since(start).Seconds(), o.traces.of(ctx, nil))
	switch {
	case err == nil, errors.Is(err, payments.ErrNotFound):
	case errors.Is(err, payments.ErrRaced):
		o.errors[kindRaced].Inc()
	case errors.Is(err, payments.ErrUnstorable):
		o.errors[kindUnstorable].Inc()
	case errors.Is(err, payments.ErrMisconfigured):
		o.errors[kindMisconfigured].Inc()
	default:
		o.errors[kindOther].Inc()
	}
}

// measuredStore is a [payments.Store] that measures another one.
type measuredStore struct {
	next payments.Store

	load, history, historyPage, checkpoint, deadLetter, deadLettersWith, commit *operation
}

func (m *measuredStore) Load(ctx context.Context, lookup payments.Lookup) (*payments.Snapshot, error) {
	start := time.Now()
	snapshot, err := m.next.Load(ctx, lookup)
	m.load.done(ctx, start, err)
	return snapshot, err
}

func (m *measuredStore) History(ctx context.Context, of payments.Subjects, limit int) (*payments.Histories, error) {
	start := time.Now()
	histories, err := m.next.History(ctx, of, limit)
	m.history.done(ctx, start, err)
	return histories, err
}

func (m *measuredStore) HistoryPage(ctx context.Context, of payments.Subject, from time.Time, limit int) (*payments.HistoryPage, error) {
	start := time.Now()
	page, err := m.next.HistoryPage(ctx, of, from, limit)
	m.historyPage.done(ctx, start, err)
	return page, err
}

func (m *measuredStore) Checkpoint(ctx context.Context, of payments.Subject, notAfter time.Time) (*payments.Checkpoint, error) {
	start := time.Now()
	checkpoint, err := m.next.Checkpoint(ctx, of, notAfter)
	m.checkpoint.done(ctx, start, err)
	return checkpoint, err
}

func (m *measuredStore) DeadLetter(ctx context.Context, id int64) (*payments.DeadLetter, error) {
	start := time.Now()
	letter, err := m.next.DeadLetter(ctx, id)
	m.deadLetter.done(ctx, start, err)
	return letter, err
}

func (m *measuredStore) DeadLettersWith(ctx context.Context, ids []int64) ([]*payments.DeadLetter, error) {
	start := time.Now()
	letters, err := m.next.DeadLettersWith(ctx, ids)
	m.deadLettersWith.done(ctx, start, err)
	return letters, err
}

func (m *measuredStore) Commit(ctx context.Context, changes *payments.Changes) error {
	start := time.Now()
	err := m.next.Commit(ctx, changes)
	m.commit.done(ctx, start, err)
	return err
}
