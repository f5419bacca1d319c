package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/modules/store/postgres"
)

func TestVersion(t *testing.T) {
	databaseURL, shown := newDatabase(t), ""
	withConnection(t, databaseURL, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), "SHOW server_version").Scan(&shown)
	})
	if version, err := postgres.Version(t.Context(), databaseURL); err != nil || version == "" || version != shown {
		t.Errorf("Version = %q, %v, want %q", version, err, shown)
	}
}

func TestVersionOfNoServerTellsNoPassword(t *testing.T) {
	for _, databaseURL := range []string{"postgres://u:hidden@127.0.0.1:1/b", "mysql://u:hidden@127.0.0.1/b"} {
		if version, err := postgres.Version(t.Context(), databaseURL); err == nil || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Version = %q, %v", version, err)
		}
	}
}
