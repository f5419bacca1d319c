package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/retention"
)

// countByDay counts the bodies in a table by the day.
const countByDay = `SELECT date_trunc('day', recorded_at, 'UTC'), count(*), coalesce(sum(octet_length(body)), 0)::bigint
	FROM %s WHERE recorded_at < $1 AND body IS NOT NULL GROUP BY 1`

// CountBodies counts the bodies before a day.
func (s session) CountBodies(ctx context.Context, before time.Time) (retention.Bodies, error) {
	counted := make(retention.Bodies)
	// Of the events, those that can have a body of their own.
	const old = "(SELECT recorded_at, body FROM events, old_bodies WHERE seq > cleared AND seq <= last) AS old"
	for _, table := range []string{"bodies", old} {
		if err := s.count(ctx, table, before, counted); err != nil {
			return nil, err
		}
	}
	return counted, nil
}

func (s session) count(ctx context.Context, table string, before time.Time, into retention.Bodies) error {
	rows, err := s.conn.QueryContext(ctx, fmt.Sprintf(countByDay, table), before)
	if err != nil {
		return fmt.Errorf("count them: %w", classified(err))
	}
	err = store.EachRow(rows, func(row store.Row) error {
		var day time.Time
		var c retention.Count
		err := row.Scan(&day, &c.Bodies, &c.Bytes)
		into.Add(day, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("count them: %w", classified(err))
	}
	return nil
}

// RemoveBodies drops the partitions with the bodies of earlier days. From the others,
// and from the events that have a body of their own, it removes old ones by batches.
func (s session) RemoveBodies(ctx context.Context, before time.Time) (retention.Bodies, error) {
	removed := make(retention.Bodies)
	all, err := s.partitions(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		whole := !p.until.IsZero() && !p.until.After(before)
		switch {
		case whole:
			err = s.drop(ctx, p.name, before, removed)
		case p.name == "bodies_before" || p.until.IsZero():
			err = s.inBatches(ctx, removed, func(ctx context.Context, tx store.Connection, batch retention.Bodies) (bool, error) {
				return deleteOld(ctx, tx, p.name, before, batch)
			})
		}
		if err != nil {
			return removed, fmt.Errorf("partition %s: %w", p.name, err)
		}
	}
	err = s.inBatches(ctx, removed, func(ctx context.Context, tx store.Connection, batch retention.Bodies) (bool, error) {
		return clearOld(ctx, tx, before, batch)
	})
	if err != nil {
		return removed, fmt.Errorf("events: %w", err)
	}
	return removed, nil
}

// drop drops a partition. It counts the bodies before, and takes the statistics where
// that takes too long.
func (s session) drop(ctx context.Context, name string, before time.Time, removed retention.Bodies) error {
	batch := make(retention.Bodies)
	err := s.count(ctx, name, before, batch)
	if hasCode(err, queryCanceled) && ctx.Err() == nil {
		var c retention.Count
		row := s.conn.QueryRowContext(ctx, "SELECT greatest(reltuples, 0)::bigint, pg_total_relation_size(oid) FROM pg_class WHERE oid = $1::text::regclass", name)
		err = row.Scan(&c.Bodies, &c.Bytes)
		batch = retention.Bodies{before.AddDate(0, 0, -1): c}
	}
	if err == nil {
		err = s.changePartitions(ctx, "DROP TABLE "+name)
	}
	if err != nil {
		return classified(err)
	}
	removed.AddAll(batch)
	return nil
}

// inBatches calls remove, each time in a transaction, until there is nothing more to
// remove. remove counts what it removes, and reports whether there can be more.
func (s session) inBatches(ctx context.Context, removed retention.Bodies, remove func(context.Context, store.Connection, retention.Bodies) (more bool, err error)) error {
	for more := true; more; {
		var batch retention.Bodies
		err := retention.Transact(ctx, s, func(ctx context.Context, tx store.Connection) (err error) {
			batch = make(retention.Bodies)
			more, err = remove(ctx, tx, batch)
			return err
		})
		if err != nil {
			return err
		}
		removed.AddAll(batch)
	}
	return nil
}

// deleteOld deletes some old rows of a partition, which has an index by time.
func deleteOld(ctx context.Context, tx store.Connection, name string, before time.Time, batch retention.Bodies) (more bool, err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`DELETE FROM %s WHERE ctid = ANY(ARRAY(
			SELECT ctid FROM %[1]s WHERE recorded_at < $1 ORDER BY recorded_at LIMIT $2))
		RETURNING recorded_at, octet_length(body)`, name), before, retention.BatchSize)
	if err != nil {
		return false, err
	}
	err = store.EachRow(rows, func(row store.Row) error {
		more = true
		return countRow(row, batch)
	})
	return more, err
}

func countRow(row store.Row, batch retention.Bodies) error {
	var recorded time.Time
	var size int64
	err := row.Scan(&recorded, &size)
	batch.Add(recorded, retention.Count{Bodies: 1, Bytes: size})
	return err
}

// clearOld removes some old bodies that are in the table of the events, in the order in
// which they were recorded, and notes how far it has come. The lock of the note keeps
// others from doing the same.
func clearOld(ctx context.Context, tx store.Connection, before time.Time, batch retention.Bodies) (more bool, err error) {
	// The events after the first one that is not old are looked at again in a later run.
	rows, err := tx.QueryContext(ctx, `WITH progress AS (SELECT cleared, last FROM old_bodies),
		page AS (SELECT seq, recorded_at < $1 AS old FROM events, progress WHERE seq > cleared AND seq <= last ORDER BY seq LIMIT $2)
		SELECT (SELECT cleared FROM progress), coalesce((SELECT max(seq) FROM page
			WHERE seq < coalesce((SELECT min(seq) FROM page WHERE NOT old), 9223372036854775807)), (SELECT cleared FROM progress)),
			(SELECT count(*) FROM page)`, before, retention.BatchSize)
	if err != nil {
		return false, err
	}
	var from, to, found int64
	if err := store.EachRow(rows, func(row store.Row) error { return row.Scan(&from, &to, &found) }); err != nil || to == from {
		return false, err
	}
	if rows, err = tx.QueryContext(ctx, `WITH old AS (SELECT seq, recorded_at, octet_length(body) AS size FROM events
			WHERE seq > $1 AND seq <= $2 AND body IS NOT NULL FOR UPDATE)
		UPDATE events SET body = NULL FROM old WHERE events.seq = old.seq
		RETURNING old.recorded_at, old.size`, from, to); err != nil {
		return false, err
	}
	if err := store.EachRow(rows, func(row store.Row) error { return countRow(row, batch) }); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE old_bodies SET cleared = $1", to)
	return true, err
}
