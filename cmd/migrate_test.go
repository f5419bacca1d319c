package cmd

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

// fails checks that a command line fails with one sentence that contains all of these
// words.
func fails(t *testing.T, args []string, says ...string) {
	t.Helper()
	_, err := execute(t, args...)
	for _, words := range says {
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s = %v, want one sentence that says %q", args, err, words)
		}
	}
}

func TestRefusedCopyChangesNothing(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	dir := filepath.Join(t.TempDir(), "data")
	fails(t, []string{"migrate", "copy", "--data-dir", dir}, "DATABASE_URL", "is empty")
	t.Setenv("DATABASE_URL", "postgres://payrelay:hunter2@127.0.0.1:1/payrelay")
	fails(t, []string{"migrate", "copy", "--data-dir", dir}, dir, "--data-dir", "--from")
	fails(t, []string{"migrate", "copy", "--from", "postgres://host/name"}, "from", "sqlite://")
	if exists(dir) {
		t.Error("the data directory was made")
	}

	if _, err := execute(t, "migrate", "up", "--data-dir", dir, "--database-url", "sqlite://"+filepath.Join(dir, "payrelay.db")); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	fails(t, []string{"migrate", "copy", "--data-dir", dir}, dir, "is in use by process")
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	_, err = execute(t, "migrate", "copy", "--data-dir", dir)
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("migrate copy = %v, want an error that names DATABASE_URL and no password", err)
	}
	for _, suffix := range []string{transfer.MovingSuffix, transfer.MovedSuffix} {
		if exists(filepath.Join(dir, "payrelay.db") + suffix) {
			t.Errorf("there is a note %s, want none", suffix)
		}
	}
	fails(t, []string{"migrate", "copy", "--data-dir", dir, "--database-url", "sqlite://other.db"}, "DATABASE_URL", "postgres://")
}

func TestShownURLsHaveNoPassword(t *testing.T) {
	for given, want := range map[string]string{
		"postgres://u:hunter2@h:5432/db":                         "postgres://u:xxxxx@h:5432/db",
		"postgres://h/db?user=u&password=hunter2":                "postgres://h/db",
		"postgres://u:hun%2@h/db":                                "given by DATABASE_URL",
		"postgres://u@h/db?sslmode=verify-full&pool_max_conns=4": "postgres://u@h/db",
		"sqlite://./data/payrelay.db":                            "sqlite://./data/payrelay.db",
	} {
		if got := flags.ShownURL(given); got != want {
			t.Errorf("flags.ShownURL(%q) = %q, want %q", given, got, want)
		}
	}
}
