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
	"github.com/payrelay/payrelay/modules/store/sqlite"
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

// openDatabase opens the store that the URL's scheme names.
func openDatabase(ctx context.Context, url string) (database, error) {
	if err := checkScheme(url); err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, url)
}

func checkScheme(url string) error {
	if scheme, _, _ := strings.Cut(url, "://"); scheme != "sqlite" {
		return fmt.Errorf("database-url (DATABASE_URL) has the scheme %q: write it as sqlite://path/to/payrelay.db", scheme)
	}
	return nil
}

// addDataLocks takes the directory of the database and, with an embedded broker,
// of its log. They are two locks, so that the roles can be split over processes
// that share one data directory.
func (p *process) addDataLocks(ctx context.Context, data dataConfig, withBroker bool) error {
	path, err := databaseFile(data.url())
	if err != nil {
		return err
	}
	if err := p.addLock(ctx, filepath.Dir(path)); err != nil || !withBroker {
		return err
	}
	return p.addLock(ctx, data.brokerDir())
}

// databaseFile is the file of a URL that names one.
func databaseFile(url string) (string, error) {
	if err := checkScheme(url); err != nil {
		return "", err
	}
	return sqlite.Path(url)
}

// withDatabase opens an existing database for one command, beside a running
// process if there is one: every change that a command makes is a transaction of
// its own.
func withDatabase(ctx context.Context, data dataConfig, use func(database) error) error {
	path, err := databaseFile(data.url())
	if err != nil {
		return err
	}
	if !exists(path) {
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
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	db, err := openDatabase(ctx, data.url())
	if err != nil {
		return err
	}
	return errors.Join(use(db), db.Close())
}
