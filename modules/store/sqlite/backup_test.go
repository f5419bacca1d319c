package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func openPath(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func countEvents(t *testing.T, path string) (events int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM events").Scan(&events); err != nil {
		t.Fatal(err)
	}
	return events
}

// A backup that is made while the ledger writes is one moment: each event has its order.
func TestBackupWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	s := openPath(t, filepath.Join(dir, "payrelay.db"))
	ledger, traffic := payments.NewLedger(s), new(storetest.Traffic)
	storetest.Apply(t, ledger, traffic.Batch(100))
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			storetest.Apply(t, ledger, traffic.Batch(20))
		}
	})
	mark := sqlite.Mark{TakenAt: time.Now().UTC().Truncate(time.Microsecond), Positions: []sqlite.Position{{Topic: "a", Partition: 1, Offset: 7}}}
	path := filepath.Join(dir, "backup.db")
	if err := s.Backup(t.Context(), path, mark); err != nil {
		t.Fatal(err)
	}
	stop()
	writing.Wait()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v, want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".backup*")); len(left) > 0 {
		t.Errorf("%q are left behind", left)
	}
	restored := openPath(t, path)
	if got := countEvents(t, path); got < 100 || got > countEvents(t, filepath.Join(dir, "payrelay.db")) {
		t.Errorf("the backup has %d events, want at least 100 and no more than the database", got)
	}
	got, err := restored.Mark(t.Context())
	if err != nil || got == nil || !got.TakenAt.Equal(mark.TakenAt) || len(got.Positions) != 1 || got.Positions[0] != mark.Positions[0] {
		t.Errorf("Mark = %+v, %v, want %+v", got, err, mark)
	}
	storetest.Apply(t, payments.NewLedger(restored), traffic.Batch(1))
	if none, err := s.Mark(t.Context()); err != nil || none != nil {
		t.Errorf("Mark of the database itself = %+v, %v, want none", none, err)
	}
}

func TestBackupOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openPath(t, filepath.Join(dir, "payrelay.db"))
	path := filepath.Join(dir, "kept")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path, sqlite.Mark{}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("Backup into an existing file = %v, want an error", err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "kept" {
		t.Errorf("the file has %q, %v, want it unchanged", content, err)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "none", "x.db"), sqlite.Mark{}); err == nil {
		t.Error("Backup into a directory that does not exist succeeds")
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(interrupted, filepath.Join(dir, "interrupted"), sqlite.Mark{}); err == nil {
		t.Error("an interrupted Backup succeeds")
	}
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if strings.Contains(f.Name(), "interrupted") || strings.HasPrefix(f.Name(), ".") {
			t.Errorf("%s is left behind, %v", f.Name(), err)
		}
	}
}

// A database that is damaged is not backed up without an error.
func TestBackupOfADamagedDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "payrelay.db")
	s := openPath(t, path)
	storetest.Apply(t, payments.NewLedger(s), new(storetest.Traffic).Batch(300))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(8192 * 3); at < info.Size(); at += 8192 * 3 {
		if _, err := file.WriteAt(make([]byte, 512), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = sqlite.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		return // noticed already
	}
	defer s.Close()
	if err := s.Backup(t.Context(), filepath.Join(dir, "backup.db"), sqlite.Mark{}); err == nil {
		t.Error("Backup of a damaged database succeeds")
	}
	if _, err := os.Stat(filepath.Join(dir, "backup.db")); err == nil {
		t.Error("the backup of a damaged database has its name")
	}
}

func TestTheMarkIsReplacedAndRemoved(t *testing.T) {
	s := openPath(t, filepath.Join(t.TempDir(), "payrelay.db"))
	for _, mark := range []*sqlite.Mark{
		{TakenAt: time.UnixMicro(5)},
		{TakenAt: time.UnixMicro(6), Positions: []sqlite.Position{{Topic: "a", Offset: 3, Missing: 2}, {Topic: "b", Missing: 5}}},
	} {
		if err := s.SetMark(t.Context(), mark); err != nil {
			t.Fatal(err)
		}
		got, err := s.Mark(t.Context())
		if err != nil || got.Missing() != mark.Missing() || len(got.Positions) != len(mark.Positions) || !got.TakenAt.Equal(mark.TakenAt) {
			t.Errorf("Mark = %+v, %v, want %+v", got, err, mark)
		}
	}
	if err := s.SetMark(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if mark, err := s.Mark(t.Context()); err != nil || mark != nil || mark.Missing() != 0 {
		t.Errorf("Mark after its removal = %+v, %v, want none", mark, err)
	}
}

// The path of a backup may be relative, in another directory too.
func TestBackupToARelativePath(t *testing.T) {
	dir := t.TempDir()
	s := openPath(t, filepath.Join(dir, "payrelay.db"))
	if err := os.Mkdir(filepath.Join(dir, "backups"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, path := range []string{"one.db", "./two.db", "backups/one.db", "backups/../three.db"} {
		if err := s.Backup(t.Context(), path, sqlite.Mark{TakenAt: time.Now()}); err != nil {
			t.Errorf("Backup(%s) = %v", path, err)
		}
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
}
