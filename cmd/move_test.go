package cmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

// A database that has moved, or may have, is not used any more, nor replaced by an
// empty one.
func TestMovedDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	n := transfer.Note{Path: filepath.Join(dir, "payrelay.db"), Target: flags.ShownURL("postgres://payrelay:hunter2@host/name?password=hunter2")}
	if _, err := execute(t, "migrate", "up", "--data-dir", dir); err != nil {
		t.Fatal(err)
	}
	refused := func(says ...string) {
		t.Helper()
		for _, command := range [][]string{
			{"migrate", "up"}, {"serve", "api", "--mode", "http", "--api-addr", "127.0.0.1:0", "--internal-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"},
		} {
			fails(t, append(command, "--data-dir", dir), append(says, n.Path, "postgres://payrelay:xxxxx@host/name\"")...)
		}
	}
	do := func(note func() error) {
		t.Helper()
		if err := note(); err != nil {
			t.Fatal(err)
		}
	}
	do(n.Begin)
	refused("it is not known whether everything is there", "run app migrate copy again", "delete "+n.Path+transfer.MovingSuffix)
	do(n.Done)
	refused("was copied to", "DATABASE_URL", "delete "+n.Path+transfer.MovedSuffix)
	fails(t, []string{"deadletters", "list", "--data-dir", dir}, "was copied to")
	do(n.Begin) // another copy
	refused("it is not known whether everything is there")
	do(n.Remove)
	do(n.Remove)
	refused("was copied to")
	do(func() error { return os.Remove(n.Path) })
	refused("was copied to")
	if exists(n.Path) {
		t.Error("there is an empty database, want none")
	}
	do(func() error { return os.Remove(n.Path + transfer.MovedSuffix) })
	if _, err := execute(t, "migrate", "up", "--data-dir", dir); err != nil {
		t.Errorf("without the note: %v", err)
	}
}
