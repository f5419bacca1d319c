// Package sqlite keeps the ledger in one SQLite file: the store for one machine,
// with nothing to install.
//
// Commits are durable against power loss as far as the disk keeps its promises:
// the journal is a write-ahead log with synchronous FULL, one fsync for each
// commit. There is one writing connection, because SQLite has one writer at a
// time anyway; the process that opens the file should be the only one that does.
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
)

// maxReaders bounds how many queries of people run side by side.
const maxReaders = 4

// Store is a payments.Store, and what the api role and the operators' commands
// read. It is safe for concurrent use.
type Store struct {
	// writer is one connection. The ledger loads through it too: a connection
	// keeps its page cache over its own commits, but drops all of it after
	// somebody else's.
	writer *sql.DB
	// reader neither waits for the writer nor holds it up.
	reader *sql.DB

	mu       sync.Mutex
	prepared *statements
}

var _ payments.Store = (*Store)(nil)

// Open opens the database of a URL, sqlite:///absolute/path or
// sqlite://relative/path, and creates the file, for its owner only, if there is
// none; its directory must exist. The tables are [Store.Migrate]'s.
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
	// SQLite would create it readable for everybody, and gives its companions
	// (-wal, -shm) the mode of the file.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	s := new(Store)
	if s.writer, err = openPool(ctx, path, writerPragmas, 1); err != nil {
		return nil, err
	}
	if s.reader, err = openPool(ctx, path, readerPragmas, maxReaders); err != nil {
		return nil, errors.Join(err, s.writer.Close())
	}
	return s, nil
}

// openPool opens connections that stay open: each of them has its pragmas set
// and its cache warm.
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

// Close waits for what is under way and closes the file.
func (s *Store) Close() error {
	return errors.Join(s.reader.Close(), s.writer.Close())
}

// Ping says whether the database can be read.
func (s *Store) Ping(ctx context.Context) error {
	var version int64
	if err := s.reader.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version); err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	return nil
}
