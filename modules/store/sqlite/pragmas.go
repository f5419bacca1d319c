package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"

	_ "modernc.org/sqlite" // the driver
)

// pragma is a setting, with its value as SQLite returns it.
type pragma struct{ name, value string }

type pragmas []pragma

// journalMode has its own parameter in the DSN, which the driver applies last: after
// the change to WAL the page size of a new file can no longer change.
var journalMode = pragma{"journal_mode", "wal"}

var commonPragmas = pragmas{
	journalMode,
	{"synchronous", "2"}, // FULL: a commit is on disk before it is answered
	{"busy_timeout", "5000"},
	{"foreign_keys", "1"},
	{"trusted_schema", "0"},
	// Larger than the defaults, which measurably makes batches cheaper.
	{"page_size", "8192"},
	{"wal_autocheckpoint", "8000"},
}

var (
	// The inner pages of large indexes fit into 16 MiB of cache.
	writerPragmas = append(pragmas{{"query_only", "0"}, {"cache_size", "-16000"}}, commonPragmas...)
	readerPragmas = append(pragmas{{"query_only", "1"}}, commonPragmas...)
)

// dsn returns the data source name of a file. Every connection sets the pragmas, and
// transactions take the write lock when they begin: one that reads first and then
// writes would fail if another one had written in between.
func (p pragmas) dsn(path string) string {
	query := url.Values{"_txlock": {"immediate"}}
	for _, setting := range p {
		if setting == journalMode {
			query.Set("_journal_mode", setting.value)
		} else {
			query.Add("_pragma", setting.name+"="+setting.value)
		}
	}
	file := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return file.String()
}

// dsnWithoutLog is dsn for a file that only one connection uses, without a write-ahead
// log.
func (p pragmas) dsnWithoutLog(path string) string {
	query := url.Values{"_txlock": {"immediate"}}
	for _, setting := range p {
		query.Add("_pragma", setting.name+"="+setting.value)
	}
	file := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return file.String()
}

// verify reads the settings back, because SQLite ignores those that it does not know
// or cannot apply.
func (p pragmas) verify(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	for _, setting := range p {
		var got string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+setting.name).Scan(&got); err != nil {
			return fmt.Errorf("read setting %s: %w", setting.name, err)
		}
		if !strings.EqualFold(got, setting.value) {
			return fmt.Errorf("setting %s is %s, but must be %s: use a file on a local disk that payrelay itself has created", setting.name, got, setting.value)
		}
	}
	return nil
}
