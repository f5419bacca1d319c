package sqlite

import (
	"database/sql"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

// The errors are those that SQLite itself returns.
func TestClasses(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE numbers (id INTEGER PRIMARY KEY, n INTEGER UNIQUE CHECK (n < 10)) STRICT; INSERT INTO numbers VALUES (1, 1)"); err != nil {
		t.Fatal(err)
	}
	classes := []error{payments.ErrRaced, payments.ErrUnstorable, payments.ErrMisconfigured}
	for statement, want := range map[string]error{
		"INSERT INTO numbers VALUES (1, 2)":                            payments.ErrRaced,
		"INSERT INTO numbers VALUES (2, 1)":                            payments.ErrRaced,
		"INSERT INTO numbers VALUES (2, 10)":                           payments.ErrUnstorable,
		"INSERT INTO numbers VALUES (2, 'a')":                          payments.ErrUnstorable,
		"INSERT INTO numbers VALUES ('a', 2)":                          payments.ErrUnstorable,
		"INSERT INTO numbers VALUES (2, length(zeroblob(2000000000)))": payments.ErrUnstorable,
		"PRAGMA query_only = 1; INSERT INTO numbers VALUES (2, 2)":     payments.ErrMisconfigured,
		"INSERT INTO nothing VALUES (1)":                               nil,
	} {
		_, cause := db.Exec(statement)
		if cause == nil {
			t.Errorf("%s succeeds, want an error", statement)
		}
		err := classified(cause)
		for _, class := range classes {
			if errors.Is(err, class) != (class == want) {
				t.Errorf("the error of %s = %v, want %v", statement, err, want)
			}
		}
		if _, err := db.Exec("PRAGMA query_only = 0"); err != nil {
			t.Fatal(err)
		}
	}
	if classified(nil) != nil || classified(io.EOF) != io.EOF {
		t.Error("classified changes an error that is not SQLite's")
	}
}
