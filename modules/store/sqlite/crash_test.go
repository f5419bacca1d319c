package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

const (
	// crashFile names the database, in the environment of the process that is
	// to be killed.
	crashFile  = "SQLITE_TEST_CRASH_FILE"
	crashBatch = 16
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled commits batch after batch and says so after each.
func writeUntilKilled(path string) error {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, "sqlite://"+path)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	ledger, events := payments.NewLedger(store), &storetest.Traffic{Rising: true}
	stored := storedEvents(ctx, store)
	for range stored { // go on after what is there
		events.Next()
	}
	for ; ; stored += crashBatch {
		if _, err := ledger.Apply(ctx, events.Batch(crashBatch)); err != nil {
			return err
		}
		fmt.Println(stored + crashBatch)
	}
}

// storedEvents counts the events of orders, -1 for a failure.
func storedEvents(ctx context.Context, store *sqlite.Store) int {
	count, query := 0, payments.EventQuery{Page: payments.PageRequest{Ascending: true, Limit: payments.MaxPageSize}}
	for {
		page, err := store.Events(ctx, query)
		if err != nil {
			return -1
		}
		count += len(page.Items)
		if !page.More {
			return count
		}
		query.Page.After = &payments.Cursor{Sequence: page.Items[len(page.Items)-1].Sequence}
	}
}

// Whatever was answered is there after kill -9, and no batch is there in part.
func TestCommitsSurviveKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	for round := range 5 {
		answered := killAfter(t, path, 20+10*round)
		store := openAt(t, path)
		stored := storedEvents(t.Context(), store)
		if stored < answered || stored > answered+crashBatch {
			t.Errorf("round %d: %d events stored, %d were answered", round, stored, answered)
		}
		if stored%crashBatch != 0 {
			t.Errorf("round %d: %d events stored, which is a part of a batch", round, stored)
		}
		var verdict string
		if err := raw(t, path).QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("round %d: integrity check says %q, error %v", round, verdict, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killAfter starts a writer, kills it after so many answered batches, and says
// how many events it had been answered for at last.
func killAfter(t *testing.T, path string, batches int) (answered int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel() // which kills it, too
	writer := exec.CommandContext(ctx, os.Args[0])
	writer.Env = append(os.Environ(), crashFile+"="+path)
	writer.Stderr = os.Stderr
	output, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for n := 1; lines.Scan(); n++ {
		if _, err := fmt.Sscan(lines.Text(), &answered); err != nil {
			t.Fatalf("the writer said %q", lines.Text())
		}
		if n == batches {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		} // and read on, to what it said before it died
	}
	if err := writer.Wait(); err == nil || answered == 0 {
		t.Fatalf("the writer ended by itself after %d events: %v", answered, err)
	}
	return answered
}
