package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"

	_ "modernc.org/sqlite" // the driver
)

// pragma is a setting and the value that it reads back as.
type pragma struct{ name, value string }

type pragmas []pragma

// journalMode has a parameter of its own in the DSN, which is applied after all
// others: the page size of a new file is fixed by the change to WAL.
var journalMode = pragma{"journal_mode", "wal"}

var commonPragmas = pragmas{
	journalMode,
	{"synchronous", "2"}, // FULL: a commit is on disk before it is answered
	{"busy_timeout", "5000"},
	{"foreign_keys", "1"},
	{"trusted_schema", "0"},
	// Larger than the defaults: it makes batches cheaper, by measurement.
	{"page_size", "8192"},
	{"wal_autocheckpoint", "8000"},
}

var (
	// In 16 MiB of cache there is room for the inner pages of large indexes.
	writerPragmas = append(pragmas{{"query_only", "0"}, {"cache_size", "-16000"}}, commonPragmas...)
	readerPragmas = append(pragmas{{"query_only", "1"}}, commonPragmas...)
)

// dsn makes every connection set the pragmas, and makes transactions take the
// write lock at once: one that reads first and then writes would fail when
// another was faster.
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

// verify reads the settings back. SQLite ignores what it does not know or
// cannot do, so a durability that was only asked for is none.
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
