package cmd

import (
	"context"
	"fmt"
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
	scheme, _, _ := strings.Cut(url, "://")
	if scheme != "sqlite" {
		return nil, fmt.Errorf("database-url (DATABASE_URL) has the scheme %q: write it as sqlite://path/to/payrelay.db", scheme)
	}
	store, err := sqlite.Open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return store, nil
}
