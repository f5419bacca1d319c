package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/payrelay/payrelay/modules/store"
)

// Position is the offset of the first record of a partition that a backup may lack. All
// records before it were applied.
type Position struct {
	// Cluster is the id of the Kafka cluster or embedded broker, empty if it is not known.
	Cluster   string
	Topic     string
	Partition int32
	Offset    int64
	// Missing is the number of records from Offset on that cannot be applied again.
	Missing int64
	// Since is when the backup began that lacks the missing records.
	Since time.Time
}

// of reports whether both are positions of the same partition, as far as is known.
func (p Position) of(q Position) bool {
	return p.Topic == q.Topic && p.Partition == q.Partition && (p.Cluster == q.Cluster || p.Cluster == "" || q.Cluster == "")
}

// Mark marks a database that was restored from a backup.
type Mark struct {
	// TakenAt is when the backup began, or zero if only the missing records are left of
	// the mark.
	TakenAt   time.Time
	Positions []Position
}

// Pending returns the positions from which records have to be applied again.
func (m *Mark) Pending() (pending []Position) {
	if m == nil {
		return nil
	}
	for _, p := range m.Positions {
		if p.Missing == 0 {
			pending = append(pending, p)
		}
	}
	return pending
}

// add adds what an older mark of the same database says and is not settled.
func (m *Mark) add(older *Mark) {
	if older == nil {
		return
	}
	if !older.TakenAt.IsZero() {
		m.TakenAt = older.TakenAt
	}
	m.Positions = slices.Clone(m.Positions)
	for _, p := range older.Positions {
		if i := slices.IndexFunc(m.Positions, p.of); i >= 0 && p.Missing == 0 {
			m.Positions[i].Offset = min(m.Positions[i].Offset, p.Offset)
		} else {
			m.Positions = append(m.Positions, p)
		}
	}
}

// Missing returns the number of records that are missing in the database.
func (m *Mark) Missing() (records int64) {
	if m == nil {
		return 0
	}
	for _, p := range m.Positions {
		records += p.Missing
	}
	return records
}

// Backup writes a consistent copy of the database into a new file, while others read and
// write, checks the copy, and adds the mark to the one that the database may have. The
// caller must have read the positions before. The file gets the name path only when it is
// complete and on disk. An existing file is never overwritten.
func (s *Store) Backup(ctx context.Context, path string, mark Mark) error {
	if _, err := s.use(ctx); err != nil {
		return err
	}
	path, err := filepath.Abs(path) // the name of a data source begins with a host otherwise
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	unfinished, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	name := unfinished.Name()
	defer func() {
		_ = os.Remove(name)              // on success it is a second name of path
		_ = os.Remove(name + "-journal") // stays if the disk is full
	}()
	if err := unfinished.Close(); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := s.copyInto(ctx, name); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := complete(ctx, name, mark); err != nil {
		return fmt.Errorf("back up: check the copy: %w", err)
	}
	for _, flushed := range []func() error{
		func() error { return flush(name) },
		func() error { return os.Link(name, path) }, // fails if path exists
		func() error { return flush(filepath.Dir(path)) },
	} {
		if err := flushed(); err != nil {
			return fmt.Errorf("back up: %w", err)
		}
	}
	return nil
}

// copyInto copies the database into an empty file. It has its own connection, because
// those of the store are for short queries.
func (s *Store) copyInto(ctx context.Context, name string) error {
	db, err := openPool(ctx, s.path, commonPragmas, 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", name)
	return errors.Join(err, db.Close())
}

// complete writes the mark into a copy, and reads all of it.
func complete(ctx context.Context, name string, mark Mark) (err error) {
	db, err := sql.Open("sqlite", pragmas{{"synchronous", "2"}}.dsnWithoutLog(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return fmt.Errorf("the database is damaged: %s", result)
	}
	rows, err := db.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return err
	}
	broken := rows.Next()
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if broken {
		return errors.New("the database is damaged: a row refers to one that does not exist")
	}
	older, err := readMark(ctx, db)
	if err != nil {
		return err
	}
	mark.add(older)
	return writeMark(ctx, db, mark)
}

// The table of the mark exists only in backups, and in databases that were restored from
// one. Without pending positions, a row without a topic has the time of the backup.
const createMark = `DROP TABLE IF EXISTS restored_from;
	CREATE TABLE restored_from (taken_at INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL, missing INTEGER NOT NULL, cluster TEXT NOT NULL)`

func writeMark(ctx context.Context, db *sql.DB, mark Mark) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if _, err := tx.ExecContext(ctx, createMark); err != nil {
		return err
	}
	positions := mark.Positions
	if len(mark.Pending()) == 0 && !mark.TakenAt.IsZero() {
		positions = append(slices.Clone(positions), Position{})
	}
	for _, p := range positions {
		taken := mark.TakenAt
		if p.Missing > 0 {
			taken = p.Since
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO restored_from VALUES (?, ?, ?, ?, ?, ?)", taken.UnixMicro(), p.Topic, p.Partition, p.Offset, p.Missing, p.Cluster); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Mark returns the mark of a database that was restored from a backup, or nil.
func (s *Store) Mark(ctx context.Context) (*Mark, error) { return readMark(ctx, s.writer) }

func readMark(ctx context.Context, db *sql.DB) (*Mark, error) {
	var columns, clusters int
	const find = "SELECT count(*), count(*) FILTER (WHERE name = 'cluster') FROM pragma_table_info('restored_from')"
	if err := db.QueryRowContext(ctx, find).Scan(&columns, &clusters); err != nil || columns == 0 {
		return nil, err
	}
	cluster := "cluster"
	if clusters == 0 { // a backup of an older release
		cluster = "''"
	}
	rows, err := db.QueryContext(ctx, "SELECT taken_at, topic, partition, position, missing, "+cluster+" FROM restored_from ORDER BY topic, partition, position")
	if err != nil {
		return nil, fmt.Errorf("read the mark of a backup: %w", err)
	}
	mark := new(Mark)
	err = store.EachRow(rows, func(row store.Row) error {
		var p Position
		var taken int64
		err := row.Scan(&taken, &p.Topic, &p.Partition, &p.Offset, &p.Missing, &p.Cluster)
		if at := time.UnixMicro(taken).UTC(); p.Missing > 0 {
			p.Since = at
		} else {
			mark.TakenAt = at
		}
		if p.Topic != "" {
			mark.Positions = append(mark.Positions, p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the mark of a backup: %w", err)
	}
	if mark.TakenAt.IsZero() && len(mark.Positions) == 0 {
		return nil, nil
	}
	return mark, nil
}

// SetMark replaces the mark, or removes it if mark is nil.
func (s *Store) SetMark(ctx context.Context, mark *Mark) error {
	var err error
	if mark == nil {
		_, err = s.writer.ExecContext(ctx, "DROP TABLE IF EXISTS restored_from")
	} else {
		err = writeMark(ctx, s.writer, *mark)
	}
	if err != nil {
		return fmt.Errorf("change the mark of a backup: %w", err)
	}
	return nil
}

// flush has the content of a file, or the names in a directory, written to the disk.
func flush(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
