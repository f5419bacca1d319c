package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/store/storetest"
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

func TestOnlyMigrateUpCreatesADatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, command := range [][]string{{"deadletters", "list"}, {"deadletters", "show", "1"}, {"migrate", "status"}} {
		_, err := execute(t, append(command, "--data-dir", dir)...)
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "app migrate up") {
			t.Errorf("%s = %v, want an error that names %s and app migrate up", command, err, dir)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data directory was made: %v", err)
	}
	out, err := execute(t, "migrate", "up", "--data-dir", dir)
	if err != nil || !strings.Contains(out, "VERSION") || strings.Contains(out, "pending") {
		t.Errorf("migrate up = %v, %q", err, out)
	}
	if out, err := execute(t, "deadletters", "list", "--data-dir", dir); err != nil || !strings.HasSuffix(out, "\n\n0 dead letters\n") || strings.Count(out, "\n") != 3 {
		t.Errorf("deadletters list = %v, %q, want the heading and the count only", err, out)
	}
	if _, err := execute(t, "deadletters", "show", "1", "--data-dir", dir); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("deadletters show = %v, want not found", err)
	}
}

func TestDatabaseURLNamesAKnownEngine(t *testing.T) {
	_, err := execute(t, "migrate", "up", "--database-url", "oracle://scott:tiger@db")
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL") || strings.Contains(err.Error(), "tiger") {
		t.Errorf("migrate up = %v, want an error that names DATABASE_URL and no password", err)
	}
}

// No command shows a part of a database URL that it does not understand, nor the
// password of one that it does.
func TestDatabaseURLsAreNotQuoted(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	t.Chdir(t.TempDir())
	dir, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "url")
	if _, err := execute(t, "migrate", "up", "--data-dir", dir); err != nil {
		t.Fatal(err)
	}
	for _, databaseURL := range append(slices.Clone(storetest.UnclearDatabaseURLs), "hunter2", "postgres://u:hunter2@127.0.0.1:1/db", "postgres://127.0.0.1:1/db?password=hunter2") {
		if err := os.WriteFile(file, []byte(databaseURL+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"migrate", "up", "--database-url", databaseURL},
			{"migrate", "status", "--database-url=" + databaseURL},
			{"migrate", "copy", "--data-dir", dir, "--database-url", databaseURL},
			{"migrate", "copy", "--database-url", "postgres://127.0.0.1:1/db", "--from", databaseURL},
			{"deadletters", "list", "--database-url-file", file},
			{"serve", "api", "--mode", "http", "--admin-addr", "127.0.0.1:0", "--database-url-file", file},
			{"serve", "all", databaseURL},
		} {
			_, err := execute(t, args...)
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q with %q: error %v, want one sentence", args, databaseURL, err)
				continue
			}
			if args[len(args)-1] == "hunter2" && args[1] != "up" { // a path, or an argument
				continue
			}
			storetest.WantNoPassword(t, databaseURL, strings.ReplaceAll(err.Error(), dir, "dir"))
		}
	}
}

func TestDatabaseURLFile(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	dir := t.TempDir()
	database, file := filepath.Join(dir, "other.db"), filepath.Join(dir, "url")
	if err := os.WriteFile(file, []byte("sqlite://"+database+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DATABASE_URL_FILE", file)
	if _, err := execute(t, "migrate", "up"); err != nil || !exists(database) {
		t.Errorf("migrate up = %v, want the database %s", err, database)
	}
	if _, err := execute(t, "deadletters", "list", "--database-url", "sqlite://"+database); err == nil || !strings.Contains(err.Error(), "leave one of them out") {
		t.Errorf("with a URL and a file: error %v, want one that says to leave one out", err)
	}
	for content, want := range map[string]string{"": "is empty", " \n": "is empty"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := execute(t, "migrate", "up"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with the file %q: error %v, want one that says %q", content, err, want)
		}
	}
	t.Setenv("DATABASE_URL_FILE", filepath.Join(dir, "nowhere"))
	if _, err := execute(t, "migrate", "up"); err == nil || !strings.Contains(err.Error(), "DATABASE_URL_FILE") {
		t.Errorf("without the file: error %v, want one that names DATABASE_URL_FILE", err)
	}
	t.Setenv("DATABASE_URL_FILE", "")
	t.Setenv("DATABASE_URL", "sqlite://"+database+"\n")
	if _, err := execute(t, "deadletters", "list"); err != nil {
		t.Errorf("DATABASE_URL with a newline at its end: %v", err)
	}
}

func TestLockDirKeepsOthersOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockDir(dir)
	if err == nil {
		t.Fatal("the directory was locked twice, want an error")
	}
	for _, want := range []string{dir, "process " + strconv.Itoa(os.Getpid()), "--data-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lockDir = %q, want an error that says %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("lockDir = %q, want an error of one line", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = lockDir(dir)
	if err != nil {
		t.Fatalf("lockDir after unlock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestLockDirIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode = %o, want 700", got)
	}
}
