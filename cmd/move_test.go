package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/store/postgres"
)

// A database that has moved, or may have, is not used any more, nor replaced by an
// empty one.
func TestNobodyUsesADatabaseThatHasMoved(t *testing.T) {
	dir := t.TempDir()
	m := move{filepath.Join(dir, "payrelay.db"), "postgres://payrelay:hunter2@host/name?password=hunter2"}
	if _, err := execute(t, "migrate", "up", "--data-dir", dir); err != nil {
		t.Fatal(err)
	}
	refused := func(says ...string) {
		t.Helper()
		for _, command := range [][]string{
			{"migrate", "up"}, {"serve", "api", "--mode", "http", "--api-addr", "127.0.0.1:0", "--internal-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"},
		} {
			fails(t, append(command, "--data-dir", dir), append(says, m.path, "postgres://payrelay:xxxxx@host/name\"")...)
		}
	}
	noted := func(note func() error) {
		t.Helper()
		if err := note(); err != nil {
			t.Fatal(err)
		}
	}
	noted(m.noteBegun)
	refused("nobody knows", "run app migrate copy again", "delete "+m.path+movingSuffix)
	noted(m.noteDone)
	refused("was copied to", "DATABASE_URL", "delete "+m.path+movedSuffix)
	fails(t, []string{"deadletters", "list", "--data-dir", dir}, "was copied to")
	noted(m.noteBegun) // another copy
	refused("nobody knows")
	noted(m.forget)
	noted(m.forget)
	refused("was copied to")
	noted(func() error { return os.Remove(m.path) })
	refused("was copied to")
	if exists(m.path) {
		t.Error("there is an empty database")
	}
	noted(func() error { return os.Remove(m.path + movedSuffix) })
	if _, err := execute(t, "migrate", "up", "--data-dir", dir); err != nil {
		t.Errorf("without the note: %v", err)
	}
}

// A note that was not written to its end is one.
func TestAnEmptyNoteIsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	if err := os.WriteFile(path+movingSuffix, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := refuseMoved(path); err == nil || !strings.Contains(err.Error(), "nobody knows") {
		t.Errorf("error %v", err)
	}
}

func TestWhatAFailedCopyMeans(t *testing.T) {
	m := move{filepath.Join(t.TempDir(), "payrelay.db"), "postgres://host/name"}
	says := func(err error, words string) {
		t.Helper()
		if got := m.explained(err); got == nil || !strings.HasPrefix(got.Error(), words) || !errors.Is(got, err) {
			t.Errorf("it says %v, want %s", got, words)
		}
	}
	if err := m.explained(nil); err != nil {
		t.Error(err)
	}
	says(errors.New("no room"), "nothing was copied: ")
	if err := m.noteBegun(); err != nil {
		t.Fatal(err)
	}
	says(errors.New("lock timeout"), "it is not known yet whether an earlier copy is there: run the same command again")
	says(fmt.Errorf("fill: %w", postgres.ErrUncertain), "it is not known whether everything was copied: run the same command again")
}
