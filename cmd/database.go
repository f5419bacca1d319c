package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

// database is all that the commands ask of a store. Whatever passes the suite in
// modules/store/storetest can be one.
type database interface {
	payments.Store
	api.Reader
	deadLetterStore
	migrator
	Ping(ctx context.Context) error
	Close() error
}

// engine is a kind of database, as far as the wiring has to know.
type engine struct {
	open func(ctx context.Context, url string) (database, error)
	// shards is how many batches measured best to be committed side by side.
	shards int
	// file is where on this machine the data is, for an engine that only one
	// process may use; nil for a server.
	file func(url string) (string, error)
}

// engines are found by the scheme of a URL.
var engines = map[string]engine{
	"sqlite":     {open: openFile, shards: 1, file: sqlite.Path},
	"postgres":   postgresEngine,
	"postgresql": postgresEngine,
}

var postgresEngine = engine{open: opener(postgres.Open), shards: 2}

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

// engineOf returns the engine that a URL names. The error does not repeat any of
// the URL, which can be a password in all of its parts.
func engineOf(url string) (engine, error) {
	scheme, _, _ := strings.Cut(url, "://")
	e, known := engines[scheme]
	if !known {
		return engine{}, errors.New("database-url (DATABASE_URL) does not begin with sqlite:// or postgres://: write it as sqlite://path/to/payrelay.db or postgres://user:password@host/database")
	}
	return e, nil
}

// addDataLocks takes the directory of the database, where it is on this machine,
// and, with an embedded broker, of its log. They are two locks, so that the
// roles can be split over processes that share one data directory.
func (p *process) addDataLocks(ctx context.Context, data dataConfig, withBroker bool) error {
	path, err := databaseFile(data.url())
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
	return p.addLock(ctx, data.brokerDir())
}

// databaseFile is the file of the database; empty if it is on a server.
func databaseFile(url string) (string, error) {
	e, err := engineOf(url)
	if err != nil || e.file == nil {
		return "", err
	}
	return e.file(url)
}

// withDatabase opens an existing database for one command, beside a running
// process if there is one: every change that a command makes is a transaction of
// its own.
func withDatabase(ctx context.Context, data dataConfig, use func(database) error) error {
	path, err := databaseFile(data.url())
	if err != nil {
		return err
	}
	if path != "" && !exists(path) {
		return fmt.Errorf("there is no database %s: name its directory with --data-dir, or make it with app migrate up", path)
	}
	return withNewDatabase(ctx, data, use)
}

// withNewDatabase is withDatabase, and creates the database if there is none.
func withNewDatabase(ctx context.Context, data dataConfig, use func(database) error) error {
	path, err := databaseFile(data.url())
	if err != nil {
		return err
	}
	if path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
	}
	e, err := engineOf(data.url())
	if err != nil {
		return err
	}
	db, err := e.open(ctx, data.url())
	if err != nil {
		return err
	}
	return errors.Join(use(db), db.Close())
}
