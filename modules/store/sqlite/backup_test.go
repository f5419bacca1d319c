package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
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
		{TakenAt: time.UnixMicro(6).UTC(), Positions: []sqlite.Position{{Cluster: "k", Topic: "a", Offset: 3}, {Topic: "b", Missing: 5, Since: time.UnixMicro(4).UTC()}}},
		{Positions: []sqlite.Position{{Topic: "a", Offset: 3, Missing: 2, Since: time.UnixMicro(6).UTC()}, {Topic: "b", Missing: 5, Since: time.UnixMicro(4).UTC()}}},
	} {
		if err := s.SetMark(t.Context(), mark); err != nil {
			t.Fatal(err)
		}
		got, err := s.Mark(t.Context())
		if err != nil || got.Missing() != mark.Missing() || !slices.Equal(got.Positions, mark.Positions) || !got.TakenAt.Equal(mark.TakenAt) {
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

// A backup of a restored database that still lacks records lacks them too.
func TestABackupKeepsWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	s := openPath(t, filepath.Join(dir, "payrelay.db"))
	old, older, now := time.UnixMicro(2).UTC(), time.UnixMicro(1).UTC(), time.UnixMicro(9).UTC()
	lost := sqlite.Position{Cluster: "k", Topic: "a", Offset: 3, Missing: 4, Since: older}
	for name, c := range map[string]struct {
		before, added, want sqlite.Mark
	}{
		"missing records": {
			before: sqlite.Mark{Positions: []sqlite.Position{lost}},
			added:  sqlite.Mark{TakenAt: now, Positions: []sqlite.Position{{Cluster: "k", Topic: "a", Offset: 20}}},
			want:   sqlite.Mark{TakenAt: now, Positions: []sqlite.Position{lost, {Cluster: "k", Topic: "a", Offset: 20}}},
		},
		"missing records, and no broker": {
			before: sqlite.Mark{Positions: []sqlite.Position{lost}},
			added:  sqlite.Mark{TakenAt: now},
			want:   sqlite.Mark{TakenAt: now, Positions: []sqlite.Position{lost}},
		},
		"records that were not applied again yet": {
			before: sqlite.Mark{TakenAt: old, Positions: []sqlite.Position{{Cluster: "k", Topic: "a", Offset: 3}, {Cluster: "l", Topic: "a", Offset: 5}}},
			added:  sqlite.Mark{TakenAt: now, Positions: []sqlite.Position{{Cluster: "k", Topic: "a", Offset: 20}}},
			want:   sqlite.Mark{TakenAt: old, Positions: []sqlite.Position{{Cluster: "k", Topic: "a", Offset: 3}, {Cluster: "l", Topic: "a", Offset: 5}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.SetMark(t.Context(), &c.before); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "backup.db")
			if err := s.Backup(t.Context(), path, c.added); err != nil {
				t.Fatal(err)
			}
			got, err := openPath(t, path).Mark(t.Context())
			if err != nil || got == nil || !got.TakenAt.Equal(c.want.TakenAt) || !slices.Equal(got.Positions, c.want.Positions) {
				t.Errorf("Mark of the backup = %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

// A backup of a release that recorded no cluster can be restored.
func TestTheMarkOfAnOlderRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	s := openPath(t, path)
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE restored_from (taken_at INTEGER NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL, missing INTEGER NOT NULL);
		INSERT INTO restored_from VALUES (6, 'a', 1, 7, 0)`); err != nil {
		t.Fatal(err)
	}
	want := []sqlite.Position{{Topic: "a", Partition: 1, Offset: 7}}
	if mark, err := s.Mark(t.Context()); err != nil || !mark.TakenAt.Equal(time.UnixMicro(6)) || !slices.Equal(mark.Positions, want) {
		t.Errorf("Mark = %+v, %v, want %+v", mark, err, want)
	}
}
