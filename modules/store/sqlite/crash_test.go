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
	// crashFile is the environment variable with the database of the process to kill.
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

// writeUntilKilled commits batch after batch, and prints the number of stored events
// after each.
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
	for range stored { // continue after the stored ones
		events.Next()
	}
	for ; ; stored += crashBatch {
		if _, err := ledger.Apply(ctx, events.Batch(crashBatch)); err != nil {
			return err
		}
		fmt.Println(stored + crashBatch)
	}
}

// storedEvents returns the number of events of orders, or -1 if they cannot be read.
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

// After kill -9 every confirmed batch is stored, and no batch is stored in part.
func TestCommitsSurviveKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payrelay.db")
	for round := range 5 {
		answered := killAfter(t, path, 20+10*round)
		store := openAt(t, path)
		stored := storedEvents(t.Context(), store)
		if stored < answered || stored > answered+crashBatch {
			t.Errorf("round %d: got %d stored events of %d confirmed ones", round, stored, answered)
		}
		if stored%crashBatch != 0 {
			t.Errorf("round %d: got %d stored events, want whole batches", round, stored)
		}
		var verdict string
		if err := raw(t, path).QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("round %d: integrity check = %q, %v, want ok", round, verdict, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killAfter starts a writer, kills it after a number of confirmed batches, and returns
// the number of events that were confirmed before it died.
func killAfter(t *testing.T, path string, batches int) (answered int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel() // also kills it
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
			t.Fatalf("the writer printed %q, want a number", lines.Text())
		}
		if n == batches {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		} // and read what it printed before it died
	}
	if err := writer.Wait(); err == nil || answered == 0 {
		t.Fatalf("the writer ended with %[2]v after %[1]d events, want it killed", answered, err)
	}
	return answered
}
