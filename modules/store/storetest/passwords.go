package storetest

import (
	"strings"
	"testing"
)

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
