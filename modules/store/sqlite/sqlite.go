// Package sqlite keeps the ledger in one SQLite file. It is the store for a single
// machine, and needs no server.
//
// A commit survives a power loss if the disk honors flushes: the journal is a
// write-ahead log with synchronous FULL, one fsync for each commit. SQLite has one
// writer at a time, so there is one writing connection, and only one process should
// open the file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	codes "modernc.org/sqlite/lib"
)

// Version is the version of the SQLite library, which is part of this program.
const Version = codes.SQLITE_VERSION

// maxReaders is the maximum number of connections for the queries of the API and of
// operators.
const maxReaders = 4

// Store is a payments.Store on one file. It is safe for concurrent use.
type Store struct {
	store.Reader

	path string
	// writer is one connection. The ledger also loads through it: a connection
	// keeps its page cache after its own commits, and drops all of it after those
	// of another.
	writer *sql.DB
	// reader neither waits for the writer nor delays it.
	reader *sql.DB

	mu       sync.Mutex
	prepared *statements

	// maintained is locked while a session maintains the database.
	maintained sync.Mutex
}

var _ payments.Store = (*Store)(nil)

// Open opens the database of a URL, sqlite:///absolute/path or
// sqlite://relative/path. It creates the file, for its owner only, if it does not
// exist; the directory must exist. [Store.Migrate] creates the tables.
func Open(ctx context.Context, databaseURL string) (*Store, error) {
	path, err := Path(databaseURL)
	if err != nil {
		return nil, err
	}
	s, err := openFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return s, nil
}

// Path returns the path of the file that a URL for [Open] names.
func Path(databaseURL string) (string, error) {
	path, found := strings.CutPrefix(databaseURL, "sqlite://")
	if found && path != "" && !strings.Contains(path, "?") {
		return path, nil
	}
	shown, ok := store.RedactURL(databaseURL)
	if !ok {
		return "", errors.New("the database URL must be sqlite:// followed by the path of a file, without parameters")
	}
	return "", fmt.Errorf("database URL %q must be sqlite:// followed by the path of a file, without parameters", shown)
}

func openFile(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// SQLite would make it readable by all users. It gives its other files (-wal,
	// -shm) the mode of this one.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	s := &Store{path: path}
	s.Reader = store.NewReader(dialect, s.query)
	if s.writer, err = openPool(ctx, path, writerPragmas, 1); err != nil {
		return nil, err
	}
	if s.reader, err = openPool(ctx, path, readerPragmas, maxReaders); err != nil {
		return nil, errors.Join(err, s.writer.Close())
	}
	return s, nil
}

// openPool opens a pool whose connections stay open, to keep their pragmas and
// caches.
func openPool(ctx context.Context, path string, settings pragmas, size int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", settings.dsn(path))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	if err := settings.verify(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close waits for running queries and commits, and closes the file.
func (s *Store) Close() error {
	return errors.Join(s.reader.Close(), s.writer.Close())
}

// Ping returns an error unless the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	var version int64
	if err := s.reader.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version); err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	return nil
}
