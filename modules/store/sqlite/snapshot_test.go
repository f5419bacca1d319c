package sqlite_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/transfer"
)

func TestSnapshotKeepsOthersFromWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	frozen := openAt(t, path)
	if err := frozen.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	snapshot, err := frozen.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := raw(t, path) // without a timeout for locks
	_, err = other.Exec("DELETE FROM events")
	wantError(t, err, "locked")
	for range 2 {
		if err := snapshot.Close(); err != nil {
			t.Error(err)
		}
	}
	execRaw(t, other, "DELETE FROM events")
}

func TestSnapshotValues(t *testing.T) {
	s, at := openMigrated(t), time.Unix(1, 2000).UTC()
	letter := &payments.DeadLetter{Key: payments.Key{Provider: "p", EventID: "e"}, Payload: []byte{}, CreatedAt: at}
	if err := s.Commit(t.Context(), &payments.Changes{DeadLetters: []*payments.DeadLetter{letter}}); err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	for _, table := range transfer.Tables {
		rows, err := snapshot.Table(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			got, err := rows.Values()
			want := []any{int64(1), "p", "e", letter.Digest[:], "", "", "", "", nil, at.UnixMicro(), "", nil}
			if err != nil || table != "dead_letters" || !slices.EqualFunc(got, want, equal) {
				t.Errorf("the row of %s = %v, %v, want %v", table, got, err, want)
			}
		}
		if rows.Err() != nil {
			t.Error(rows.Err())
		}
		rows.Close()
	}
}

func equal(a, b any) bool {
	data, binary := a.([]byte)
	if !binary {
		return a == b
	}
	other, binary := b.([]byte)
	return binary && slices.Equal(data, other)
}

func TestSnapshotNeedsTheTables(t *testing.T) {
	_, err := openAt(t, filepath.Join(t.TempDir(), "payrelay.db")).Freeze(t.Context())
	wantError(t, err, "app migrate up")
}
