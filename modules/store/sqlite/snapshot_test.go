package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
	"github.com/payrelay/payrelay/modules/store/transfer"
	"google.golang.org/protobuf/types/known/timestamppb"
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
	letter := &payments.DeadLetter{
		Key: payments.Key{Source: "p", Kind: payments.KindNote, EventID: "e"}, Payload: []byte{}, CreatedAt: at, Deliveries: 3, LastAt: at.Add(time.Second),
	}
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
			want := []any{
				int64(1), "p", "e", letter.Digest[:], "", "", "", "", nil, at.UnixMicro(), "", nil,
				"note", int64(3), letter.LastAt.UnixMicro(), "", "", int64(1),
			}
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

// Both sides of a copy read the rows by ascending primary key, to compare them.
func TestSnapshotRowsAreSorted(t *testing.T) {
	s := openMigrated(t)
	for _, id := range []string{"b", "a", "c"} { // and sources the other way round
		for i, source := range []string{"z", "y"} {
			storetest.Apply(t, payments.NewLedger(s), []*payrelayv1.Update{
				{Provider: source, EventId: id, OrderId: id, OccurredAt: timestamppb.New(time.Unix(int64(i), 0)), Subject: &payrelayv1.Update_Dispute{
					Dispute: &payrelayv1.DisputeSnapshot{Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN},
				}},
				{Provider: source, EventId: id, OrderId: id, OccurredAt: timestamppb.New(time.Unix(int64(i), 0)), Subject: &payrelayv1.Update_Order{
					Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED},
				}},
			})
		}
	}
	snapshot, err := s.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	for table, want := range map[string]string{
		"orders": "[1 b] [2 a] [3 c]", "disputes": "[1 b] [2 b] [3 a] [4 a] [5 c] [6 c]",
	} {
		rows, err := snapshot.Table(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(values[:2]))
		}
		rows.Close()
		if text := strings.Join(got, " "); rows.Err() != nil || text != want {
			t.Errorf("the rows of %s are %s (%v), want %s", table, text, rows.Err(), want)
		}
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
