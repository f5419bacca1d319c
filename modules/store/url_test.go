package store_test

import (
	"testing"

	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func TestRedactURL(t *testing.T) {
	for databaseURL, want := range map[string]string{
		"":                                       "",
		"payrelay.db":                            "payrelay.db",
		"sqlite://./data/payrelay.db":            "sqlite://./data/payrelay.db",
		"sqlite:///a b#1/50%.db":                 "sqlite:///a b#1/50%.db",
		"sqlite://payrelay.db?key=hunter2":       "sqlite://payrelay.db",
		"postgres://u:hunter2@h:5432/db":         "postgres://u:xxxxx@h:5432/db",
		"postgresql://:hunter2@h/db":             "postgresql://:xxxxx@h/db",
		"postgres://u:hun%40ter2@h/db":           "postgres://u:xxxxx@h/db",
		"postgres://u:hun#ter2@h/db":             "postgres://u:xxxxx@h/db",
		"postgres://u:hun?ter=2@h/db":            "postgres://u:xxxxx@h/db",
		"postgres://u:hunter2@h1:1,h2:2/db":      "postgres://u:xxxxx@h1:1,h2:2/db",
		"postgres://u:hunter2@[::1]:5432,[::2]/": "postgres://u:xxxxx@[::1]:5432,[::2]/",
		"postgres://u@h/db?password=hunter2":     "postgres://u@h/db",
		"postgres://u@h/db?sslmode=verify-full&pool_max_conns=4&sslpassword=hunter2": "postgres://u@h/db",
		"postgres:///db?host=/var/run&password=hunter2":                              "postgres:///db",
		"postgres://u:hunter2@%2Fvar%2Frun/db":                                       "postgres://u:xxxxx@%2Fvar%2Frun/db",
		"oracle://scott:hunter2@h":                                                   "oracle://scott:xxxxx@h",
	} {
		if got, ok := store.RedactURL(databaseURL); got != want || !ok {
			t.Errorf("RedactURL(%q) = %q, %v, want %q, true", databaseURL, got, ok, want)
		}
	}
}

func TestRedactURLOfWhatIsNotUnderstood(t *testing.T) {
	for _, text := range storetest.UnclearDatabaseURLs {
		if got, ok := store.RedactURL(text); got != "" || ok {
			t.Errorf("RedactURL(%q) = %q, %v, want nothing", text, got, ok)
		}
	}
}
