package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/retention"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

// database is what the commands need of a store. Every store that passes the suite in
// modules/store/storetest has it.
type database interface {
	payments.Store
	api.Reader
	api.OperatorStore
	migrator
	retention.Database
	admin.Database
	Ping(ctx context.Context) error
	Stats(ctx context.Context) (store.Stats, error)
	Examine(ctx context.Context) (store.Examination, error)
	Close() error
}

// engine is a kind of database.
type engine struct {
	// system is the name of the engine in traces.
	system string
	open   func(ctx context.Context, url string) (database, error)
	// shards is the number of batches to commit concurrently that measured best.
	shards int
	// file returns the path of the data, for an engine that keeps it in a file,
	// which only one process may use. It is nil for a server.
	file func(url string) (string, error)
}

// engines are the engines by the scheme of a URL.
var engines = map[string]engine{
	"sqlite":     {system: "sqlite", open: openFile, shards: 1, file: sqlite.Path},
	"postgres":   postgresEngine,
	"postgresql": postgresEngine,
}

var postgresEngine = engine{system: "postgresql", open: opener(postgres.Open), shards: 2}

func opener[D database](open func(context.Context, string) (D, error)) func(context.Context, string) (database, error) {
	return func(ctx context.Context, url string) (database, error) {
		db, err := open(ctx, url)
		if err != nil {
			return nil, err
		}
		return db, nil
	}
}

// openFile opens a database that has not moved.
func openFile(ctx context.Context, url string) (database, error) {
	path, err := sqlite.Path(url)
	if err != nil {
		return nil, err
	}
	if err := transfer.CheckNotMoved(path); err != nil {
		return nil, err
	}
	return opener(sqlite.Open)(ctx, url)
}

// engineOf returns the engine that a URL names. The error does not quote the URL,
// any part of which can be a password.
func engineOf(url string) (engine, error) {
	scheme, _, _ := strings.Cut(url, "://")
	e, known := engines[scheme]
	if !known {
		return engine{}, errors.New("database-url (DATABASE_URL) does not begin with sqlite:// or postgres://: write it as sqlite://path/to/payrelay.db or postgres://user:password@host/database")
	}
	return e, nil
}

// databaseFile returns the path of the database, or nothing if it is on a server.
func databaseFile(url string) (string, error) {
	e, err := engineOf(url)
	if err != nil || e.file == nil {
		return "", err
	}
	return e.file(url)
}

// addDataLocks locks the directory of the database, if it is a file, and that of the
// log of an embedded broker. They are two locks, so that the roles can be separate
// processes with the same data directory.
func (p *process) addDataLocks(ctx context.Context, data flags.Data, withBroker bool) error {
	path, err := databaseFile(data.URL())
	if err != nil {
		return err
	}
	if path != "" {
		if err := p.addLock(ctx, filepath.Dir(path)); err != nil {
			return err
		}
	}
	if !withBroker {
		return nil
	}
	return p.addLock(ctx, data.BrokerDir())
}

// withDatabase opens an existing database for one command. A process may be running
// on it: every change that a command makes is one transaction.
func withDatabase(ctx context.Context, data flags.Data, use func(database) error) error {
	path, err := databaseFile(data.URL())
	if err != nil {
		return err
	}
	if path != "" && !exists(path) {
		return fmt.Errorf("there is no database %s: name its directory with --data-dir, or make it with app migrate up", path)
	}
	return withNewDatabase(ctx, data, use)
}

// withNewDatabase is withDatabase for a database that need not exist.
func withNewDatabase(ctx context.Context, data flags.Data, use func(database) error) error {
	e, err := engineOf(data.URL())
	if err != nil {
		return err
	}
	if e.file != nil {
		path, err := e.file(data.URL())
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
	}
	db, err := e.open(ctx, data.URL())
	if err != nil {
		return err
	}
	return errors.Join(use(db), db.Close())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lockDir makes the directory if necessary, and locks it for this process. Two writers
// in one directory would lose what the other has acknowledged. The operating system
// releases the lock when the process ends.
func lockDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	path := filepath.Join(dir, "lock")
	lock := flock.New(path, flock.SetPermissions(0o600))
	taken, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if !taken {
		return nil, inUse(dir, path)
	}
	if err := os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		_ = lock.Unlock() // the error of the write is returned
		return nil, fmt.Errorf("write the owner of data directory %s: %w", dir, err)
	}
	return lock.Unlock, nil
}

func inUse(dir, path string) error {
	owner := "another process"
	if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 {
		owner = "process " + strings.TrimSpace(string(pid))
	}
	shown, err := filepath.Abs(dir)
	if err != nil {
		shown = dir
	}
	return fmt.Errorf("data directory %s is in use by %s: stop it, or choose another one with --data-dir", shown, owner)
}
