package admin_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/payments"
)

// scriptedStore returns an error, or results that a test can recognize.
type scriptedStore struct {
	err error
}

var (
	snapshot   = &payments.Snapshot{}
	histories  = &payments.Histories{}
	page       = &payments.HistoryPage{}
	checkpoint = &payments.Checkpoint{}
	letter     = &payments.DeadLetter{}
)

func (s scriptedStore) Load(context.Context, payments.Lookup) (*payments.Snapshot, error) {
	return snapshot, s.err
}

func (s scriptedStore) History(context.Context, payments.Subjects, int) (*payments.Histories, error) {
	return histories, s.err
}

func (s scriptedStore) HistoryPage(context.Context, payments.Subject, time.Time, int) (*payments.HistoryPage, error) {
	return page, s.err
}

func (s scriptedStore) Checkpoint(context.Context, payments.Subject, time.Time) (*payments.Checkpoint, error) {
	return checkpoint, s.err
}

func (s scriptedStore) DeadLetter(context.Context, int64) (*payments.DeadLetter, error) {
	return letter, s.err
}

func (s scriptedStore) DeadLettersWith(context.Context, []int64) ([]*payments.DeadLetter, error) {
	return []*payments.DeadLetter{letter}, s.err
}

func (s scriptedStore) Commit(context.Context, *payments.Changes) error { return s.err }

// calls calls each method of a store. They return the error and whether the result is that
// of a scripted store.
var calls = map[string]func(context.Context, payments.Store) (error, bool){
	"load": func(ctx context.Context, s payments.Store) (error, bool) {
		got, err := s.Load(ctx, payments.Lookup{})
		return err, got == snapshot
	},
	"history": func(ctx context.Context, s payments.Store) (error, bool) {
		got, err := s.History(ctx, payments.Subjects{}, 1)
		return err, got == histories
	},
	"history_page": func(ctx context.Context, s payments.Store) (error, bool) {
		got, err := s.HistoryPage(ctx, payments.Subject{}, time.Time{}, 1)
		return err, got == page
	},
	"checkpoint": func(ctx context.Context, s payments.Store) (error, bool) {
		got, err := s.Checkpoint(ctx, payments.Subject{}, time.Time{})
		return err, got == checkpoint
	},
	"dead_letter": func(ctx context.Context, s payments.Store) (error, bool) {
		got, err := s.DeadLetter(ctx, 1)
		return err, got == letter
	},
	"dead_letters_with": func(ctx context.Context, s payments.Store) (error, bool) {
		got, err := s.DeadLettersWith(ctx, []int64{1})
		return err, len(got) == 1 && got[0] == letter
	},
	"commit": func(ctx context.Context, s payments.Store) (error, bool) {
		return s.Commit(ctx, &payments.Changes{}), true
	},
}

// TestMeasureStore checks that each operation is measured under its own name, that its
// error has a kind, and that the results are those of the store.
func TestMeasureStore(t *testing.T) {
	unreachable := errors.New("connection refused")
	for _, c := range []struct {
		err  error
		kind string
	}{
		{nil, ""},
		{payments.ErrNotFound, ""},
		{payments.ErrRaced, "raced"},
		{payments.ErrUnstorable, "unstorable"},
		{payments.ErrMisconfigured, "misconfigured"},
		{unreachable, "other"},
	} {
		s := serve(t)
		wrapped := c.err
		if wrapped != nil {
			wrapped = fmt.Errorf("commit: %w", c.err)
		}
		store := s.MeasureStore(scriptedStore{err: wrapped})
		want := map[string]string{}
		for name, call := range calls {
			if err, same := call(t.Context(), store); err != wrapped || !same {
				t.Errorf("%s = %v, want %v and the result of the store: %v", name, err, wrapped, same)
			}
			want[fmt.Sprintf("payrelay_store_duration_seconds_count{operation=%q}", name)] = "1"
			for _, kind := range []string{"raced", "unstorable", "misconfigured", "other"} {
				count := "0"
				if kind == c.kind {
					count = "1"
				}
				want[fmt.Sprintf("payrelay_store_errors_total{kind=%q,operation=%q}", kind, name)] = count
			}
		}
		expectSamples(t, s, want)
	}
}

func TestMeasureStoreAllocatesNothing(t *testing.T) {
	store := serve(t).MeasureStore(scriptedStore{})
	changes := &payments.Changes{}
	if n := testing.AllocsPerRun(100, func() { _ = store.Commit(t.Context(), changes) }); n != 0 {
		t.Errorf("Commit made %v allocations, want 0", n)
	}
}

// BenchmarkMeasureStore measures what the decorator costs for each batch, which loads and
// commits.
func BenchmarkMeasureStore(b *testing.B) {
	s := open(b, admin.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer s.Run(ctx)
	store, changes := s.MeasureStore(scriptedStore{}), &payments.Changes{}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = store.Load(ctx, payments.Lookup{})
		_ = store.Commit(ctx, changes)
	}
}
