package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// execute runs a command line and returns what it printed.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestOnlyMigrateUpMakesADatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, command := range [][]string{{"deadletters", "list"}, {"deadletters", "show", "1"}, {"migrate", "status"}} {
		_, err := execute(t, append(command, "--data-dir", dir)...)
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "app migrate up") {
			t.Errorf("%s: %v, want an error that names %s and the mend", command, err, dir)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
	out, err := execute(t, "migrate", "up", "--data-dir", dir)
	if err != nil || !strings.Contains(out, "VERSION") || strings.Contains(out, "pending") {
		t.Errorf("migrate up = %v, %q", err, out)
	}
	if out, err := execute(t, "deadletters", "list", "--data-dir", dir); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("deadletters list = %v, %q, want the heading only", err, out)
	}
	if _, err := execute(t, "deadletters", "show", "1", "--data-dir", dir); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("deadletters show = %v, want not found", err)
	}
}

func TestDatabaseURLNamesAKnownEngine(t *testing.T) {
	_, err := execute(t, "migrate", "up", "--database-url", "oracle://scott:tiger@db")
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL") || strings.Contains(err.Error(), "tiger") {
		t.Errorf("error %v, want one that names DATABASE_URL and no password", err)
	}
}
