package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/retention"
)

// Maintain begins a session for the maintenance of the database. Other processes do not
// notice it: each of its transactions is short.
func (s *Store) Maintain(ctx context.Context) (retention.Session, error) {
	if _, err := s.use(ctx); err != nil {
		return nil, err
	}
	if !s.maintained.TryLock() {
		return nil, retention.ErrBusy
	}
	return &session{store: s}, nil
}

// session is a retention.Session.
type session struct {
	store *Store
	// scrubs reports whether deleted content is overwritten.
	scrubs bool
}

func (s *session) Dialect() store.Dialect { return dialect }

func (s *session) Read() store.Connection { return s.store.reader }

func (s *session) HasOldBodies() bool { return false }

func (s *session) Transact(ctx context.Context, do func(store.Connection) error) error {
	return s.store.transact(ctx, func(tx transaction) error { return classified(do(tx.tx)) })
}

// MakeDays does nothing: there is one table for all days.
func (s *session) MakeDays(context.Context, time.Time, int) error { return nil }

// CountBodies reads the bodies in the order in which they were recorded, until a batch of
// them has no old one.
func (s *session) CountBodies(ctx context.Context, before time.Time) (retention.Bodies, error) {
	counted := make(retention.Bodies)
	for after := int64(0); ; {
		old, last, err := oldBodies(ctx, s.store.reader, after, before, counted)
		if err != nil || len(old) == 0 {
			return counted, err
		}
		after = last
	}
}

// RemoveBodies deletes the bodies that CountBodies counts.
func (s *session) RemoveBodies(ctx context.Context, before time.Time) (retention.Bodies, error) {
	removed := make(retention.Bodies)
	for after := int64(0); ; {
		batch, more := make(retention.Bodies), false
		err := retention.Transact(ctx, s, func(ctx context.Context, tx store.Connection) error {
			old, last, err := oldBodies(ctx, tx, after, before, batch)
			if err != nil {
				return err
			}
			more, after = len(old) > 0, last
			_, err = tx.ExecContext(ctx, "DELETE FROM bodies WHERE event"+inList, list(old))
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("after event %d: %w", after, err)
		}
		removed.AddAll(batch)
		if !more {
			return removed, nil
		}
	}
}

// oldBodies returns, of the first bodies after an event, the events of those that were
// recorded before a day, and the last event that it has looked at. It counts the old
// ones. There is no index by time: the bodies are recorded in the order of their
// events, but for a clock that was changed.
func oldBodies(ctx context.Context, db store.Connection, after int64, before time.Time, count retention.Bodies) (old []int64, last int64, err error) {
	rows, err := db.QueryContext(ctx, "SELECT event, recorded_at, length(body) FROM bodies WHERE event > ? ORDER BY event LIMIT ?", after, retention.BatchSize)
	if err != nil {
		return nil, 0, err
	}
	err = store.EachRow(rows, func(row store.Row) error {
		var recorded time.Time
		var size int64
		if err := row.Scan(&last, store.IntoTime(&recorded), &size); err != nil {
			return err
		}
		if recorded.Before(before) {
			old = append(old, last)
			count.Add(recorded, retention.Count{Bodies: 1, Bytes: size})
		}
		return nil
	})
	return old, last, err
}

// Scrub makes the connection that writes overwrite what it deletes with zeros.
func (s *session) Scrub(ctx context.Context) error {
	_, err := s.store.writer.ExecContext(ctx, "PRAGMA secure_delete = ON")
	s.scrubs = err == nil
	return err
}

// Close has the write-ahead log written into the file after a session that scrubs,
// because the log has the deleted content too. It waits a few seconds for those that
// read.
func (s *session) Close() error {
	defer s.store.maintained.Unlock()
	if !s.scrubs {
		return nil
	}
	var errs []error
	for _, pragma := range []string{"secure_delete = OFF", "wal_checkpoint(TRUNCATE)"} {
		_, err := s.store.writer.ExecContext(context.Background(), "PRAGMA "+pragma)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
