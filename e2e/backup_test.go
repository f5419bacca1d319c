package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// sendOrders sends the webhooks of orders with numbers from..to, and waits until all up to
// the last one are in the database.
func sendOrders(t *testing.T, p *process, file string, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		w := orderWebhook(fmt.Sprint("evt-", n), fmt.Sprint("order-", n), "created", 1, `"1.00"`, "USD")
		if answer := mustPost(t, p.URL("ingest")+w.path, w.body); answer.status/100 != 2 {
			t.Fatalf("webhook %d is answered %s", n, answer)
		}
	}
	wait.Until(t, appliedWithin, "the webhooks are applied", func() bool {
		return inFile(t, file, "SELECT count(*) FROM events") == int64(to)
	})
}

// restore replaces the database by a backup, as docs/backup.md describes.
func restore(t *testing.T, file, backup string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(file+suffix, file+suffix+".old"); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(backup)
	check(t, err)
	check(t, os.WriteFile(file, content, 0o600))
}

// TestBackupRestore: a database that is restored from a backup has everything that was
// acknowledged, once, because the embedded broker has the webhooks since the backup.
func TestBackupRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "payrelay.db"), filepath.Join(dir, "backup.db")
	args := anyPorts(dir, "--mode", "kafka")
	p := launch(t, "serve all", nil, args...)
	sendOrders(t, p, file, 0, 20)
	takeBackup(t, dir, backup)
	if r := runToEnd(t, nil, "backup", "--data-dir", dir, "--to", backup); r.Code == 0 || !strings.Contains(r.Stderr, "already exists") {
		t.Errorf("a second backup into the same file: %s%s, want a refusal", r.Stdout, r.Stderr)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v, want 0600", info.Mode(), err)
	}
	sendOrders(t, p, file, 20, 50)
	p.terminate(t)

	restore(t, file, backup)
	if got := inFile(t, file, "SELECT count(*) FROM events"); got != 20 {
		t.Fatalf("the backup has %d events, want 20", got)
	}
	for range 2 { // the second start finds nothing to do
		p = launch(t, "serve all", nil, args...)
		wait.Until(t, appliedWithin, "the rest is applied again", func() bool {
			return inFile(t, file, "SELECT count(*) FROM events") == 50
		})
		wantVerdicts(t, file)
		if got := inFile(t, file, "SELECT count(*) FROM sqlite_master WHERE name = 'restored_from'"); got != 0 {
			t.Error("the mark of the backup stays")
		}
		p.terminate(t)
	}
	if log := p.log(t); strings.Contains(log, "restored from a backup") {
		t.Error("the second start sets the group back again")
	}
}

// wantVerdicts fails unless each event was applied to an order of its own.
func wantVerdicts(t *testing.T, file string) {
	t.Helper()
	if got := inFile(t, file, "SELECT count(*) FROM events WHERE verdict <> 'applied'"); got != 0 {
		t.Errorf("%d events were not applied", got)
	}
	if orders, events := inFile(t, file, "SELECT count(*) FROM orders WHERE version = 1"), inFile(t, file, "SELECT count(*) FROM events"); orders != events {
		t.Errorf("%d orders were changed once by %d events", orders, events)
	}
}

func takeBackup(t *testing.T, dir, to string) {
	t.Helper()
	if r := runToEnd(t, nil, "backup", "--data-dir", dir, "--to", to); r.Code != 0 {
		t.Fatalf("backup: %s%s", r.Stdout, r.Stderr)
	}
}

// TestRestoreOfAKilledProcess: the process was killed, so that it is still a member of
// the group, and the backup was taken while it was down.
func TestRestoreOfAKilledProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "payrelay.db"), filepath.Join(dir, "backup.db")
	args := anyPorts(dir, "--mode", "kafka")
	p := launch(t, "serve all", nil, args...)
	sendOrders(t, p, file, 0, 10)
	p.terminate(t)
	takeBackup(t, dir, backup)
	p = launch(t, "serve all", nil, args...)
	sendOrders(t, p, file, 10, 30)
	p.kill(t)
	restore(t, file, backup)
	p = launch(t, "serve all", nil, args...)
	wait.Until(t, appliedWithin, "the rest is applied again", func() bool {
		return inFile(t, file, "SELECT count(*) FROM events") == 30
	})
	wantVerdicts(t, file)
	p.terminate(t)
}

// TestRestoreBeyondTheLog: the broker keeps no applied records, so those since the backup
// are missing. Each start and a metric show how many, until it is acknowledged.
func TestRestoreBeyondTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "payrelay.db"), filepath.Join(dir, "backup.db")
	args := anyPorts(dir, "--mode", "kafka", "--broker-keep", "0")
	p := launch(t, "serve all", nil, args...)
	sendOrders(t, p, file, 0, 10)
	takeBackup(t, dir, backup)
	sendOrders(t, p, file, 10, 40)
	p.terminate(t)
	p = launch(t, "serve all", []string{"LOG_LEVEL=debug"}, args...) // trims its log
	wait.Until(t, appliedWithin, "the log is trimmed", func() bool { return trimmed(p.log(t)) })
	p.terminate(t)
	// The newest record is always kept.
	missing := 39 - inFile(t, backup, "SELECT max(position) FROM restored_from")
	restore(t, file, backup)
	for n := range 2 {
		p = spawn(t, "serve all", nil, args...) // it logs an error
		check(t, p.AwaitReady(startWithin))
		wait.Until(t, appliedWithin, "the missing records are reported", func() bool {
			return strings.Contains(p.log(t), fmt.Sprintf(`"missing":%d,`, missing)) || strings.Contains(p.log(t), fmt.Sprintf(`"missing":%d}`, missing))
		})
		if metrics, err := get(p.URL("admin") + "/metrics"); err != nil || !strings.Contains(string(metrics.body), fmt.Sprint("payrelay_restore_missing_records ", missing, "\n")) {
			t.Errorf("the metrics do not show %d missing records, %v", missing, err)
		}
		if n == 0 {
			p.terminate(t)
		}
	}
	for _, want := range []string{fmt.Sprint(missing, " records are missing"), "nothing is missing"} {
		if r := runToEnd(t, nil, "backup", "acknowledge", "--data-dir", dir); r.Code != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("acknowledge: %s%s, want %q", r.Stdout, r.Stderr, want)
		}
	}
	if metrics, err := get(p.URL("admin") + "/metrics"); err != nil || !strings.Contains(string(metrics.body), "payrelay_restore_missing_records 0\n") {
		t.Errorf("the metrics show missing records after they were acknowledged, %v", err)
	}
	p.terminate(t)
}

func trimmed(log string) bool { return strings.Contains(log, "trimmed the broker's log") }

// TestRestoreWithoutABroker: only the providers have the webhooks since the backup.
func TestRestoreWithoutABroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, backups := filepath.Join(dir, "payrelay.db"), t.TempDir()
	args := anyPorts(dir, "--mode", "direct")
	p := launch(t, "serve all", nil, args...)
	sendOrders(t, p, file, 0, 5)
	takeBackup(t, dir, backups)
	p.terminate(t)
	found, err := filepath.Glob(filepath.Join(backups, "*"))
	if err != nil || len(found) != 1 || !strings.HasPrefix(filepath.Base(found[0]), "payrelay-2") {
		t.Fatalf("the directory has %q, %v, want one backup", found, err)
	}
	restore(t, file, found[0])
	p = launch(t, "serve all", nil, args...)
	wait.Until(t, appliedWithin, "the log reports that webhooks are missing", func() bool {
		return strings.Contains(p.log(t), "a backup without positions of a broker")
	})
	sendOrders(t, p, file, 5, 6)
	p.terminate(t)
}

// TestRestorePostgres: a database is restored from pg_dump, and the group set back to the
// time of the dump.
func TestRestorePostgres(t *testing.T) {
	kafka := func(s setup) bool { return s.lane == production && s.mode == payments.Kafka && s.layout == oneProcess }
	inEvery(t, kafka, func(t *testing.T, s setup) {
		servers.Need(t, servers.PostgresVariable)
		c := startCluster(t, s, options{})
		send := func(from, to int) {
			t.Helper()
			for n := from; n < to; n++ {
				c.accept(t, orderWebhook(fmt.Sprint("evt-", n), fmt.Sprint("order-", n), "created", 1, `"1.00"`, "USD"), "queued")
			}
			awaitRows(t, c.database, to)
		}
		send(0, 10)
		dumped := time.Now().UTC().Format(time.RFC3339)
		dump := filepath.Join(t.TempDir(), "payrelay.dump")
		runTool(t, "pg_dump", "--format=custom", "--file="+dump, c.database)
		send(10, 30)
		rewind := append([]string{"topics", "rewind", "--kafka-brokers", c.brokers, "--to", dumped}, c.topics.Flags()...)
		wantRefusal(t, runToEnd(t, nil, rewind...), "stop all api processes")
		c.terminate(t, s.members()[0])
		runTool(t, "pg_restore", "--clean", "--if-exists", "--dbname="+c.database, dump)
		awaitRows(t, c.database, 10)
		// A static member leaves its group only when its session ends.
		wait.Until(t, appliedWithin, "the group is set back", func() bool {
			r := runToEnd(t, nil, rewind...)
			return r.Code == 0 && strings.Contains(r.Stdout, "APPLIED AGAIN")
		})
		c.start(t, s.members()[0])
		awaitRows(t, c.database, 30)
	})
}

// awaitRows waits until the database has a number of events, each applied.
func awaitRows(t *testing.T, database string, want int) {
	t.Helper()
	statement := fmt.Sprintf("SELECT 1 / (count(*) = %d)::int FROM events WHERE verdict = 'applied'", want)
	wait.Until(t, appliedWithin, fmt.Sprint(want, " events"), func() bool { return servers.Execute(t.Context(), database, statement) == nil })
}

func runTool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}
