package storetest

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// firstRelease holds the rows that the first release stored for updates in and out of
// order, refusals for every reason, disputes of two sources with one id, conflicts,
// dead letters that were discarded, and random histories.
//
//go:embed testdata/first_release.json
var firstRelease []byte

// OldTable holds rows of the first release. A value is an int64, a string, a bool, a
// []byte, a time.Time, or nil for NULL.
type OldTable struct {
	Name    string
	Columns []string
	Rows    [][]any
}

// OldTables returns tables of the first release, each after the ones that its rows refer
// to. A test inserts them into a database with the schema of that release, migrates it,
// and calls [CheckMigrated].
func OldTables(t *testing.T) []OldTable {
	t.Helper()
	var read []struct {
		Table   string
		Columns []string
		Rows    [][]json.RawMessage
	}
	if err := json.Unmarshal(firstRelease, &read); err != nil {
		t.Fatal(err)
	}
	tables := make([]OldTable, len(read))
	for i, table := range read {
		tables[i] = OldTable{Name: table.Table, Columns: table.Columns}
		for _, row := range table.Rows {
			values := make([]any, len(row))
			for j, data := range row {
				values[j] = oldValue(t, data)
			}
			tables[i].Rows = append(tables[i].Rows, values)
		}
	}
	return tables
}

func oldValue(t *testing.T, data json.RawMessage) (value any) {
	t.Helper()
	var number int64
	var text string
	var object struct {
		Bytes  []byte
		Micros *int64
	}
	var err error
	switch data[0] {
	case 'n':
	case 't', 'f':
		value = data[0] == 't'
	case '"':
		err = json.Unmarshal(data, &text)
		value = text
	case '{':
		err = json.Unmarshal(data, &object)
		if value = object.Bytes; object.Micros != nil {
			value = time.UnixMicro(*object.Micros).UTC()
		}
	default:
		err = json.Unmarshal(data, &number)
		value = number
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// UnclearDatabaseURLs are texts that a user could give for a database URL and in which
// it is not certain which part is the password. Each contains pieces of a password
// that [WantNoPassword] finds.
var UnclearDatabaseURLs = []string{
	"host=h user=u password=hunter2 dbname=db",
	"password=hunter2",
	"host=/var/run/postgresql password='hunter2'",
	"postgres:/u:hunter2@h/db",
	"postgres:u:hunter2@h/db",
	"postgres//u:hunter2@h/db",
	"postgres:///u:hunter2@h/db",
	"postgres:/h/db?password=hunter2",
	"u:hunter2@h/db",
	"//u:hunter2@h/db",
	"postgres://u:hunter2/db",
	"postgres://u:hun/ter2@h/db",
	"postgres://u:47/11@h/db",
	"postgres://u:47/11?x=hunter2@h/db",
	"postgres://u:47@11/x?y=hunter2@h/db",
	"postgres://u:hun%ter2@h/db",
	"postgres://u:hun%2@h/db",
	"postgres://u password=hunter2@h/db",
	"postgres://host=h password=hunter2",
	"postgres://h/db password=hunter2",
	"postgres://h/password=hunter2",
	"postgres://u@h:hunter2/db",
	"postgres://a@u:hun:ter2@h/db",
	"u:hunter2@postgres://h/db",
	"password=hunter2 postgres://h/db",
}

// WantNoPassword checks that a message does not contain a piece of the passwords in
// [UnclearDatabaseURLs].
func WantNoPassword(t *testing.T, databaseURL, message string) {
	t.Helper()
	for _, piece := range []string{"hun", "ter2", "47", "11"} {
		if strings.Contains(message, piece) {
			t.Errorf("for %q the message %q shows the password", databaseURL, message)
		}
	}
}
