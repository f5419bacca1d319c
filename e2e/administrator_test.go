package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
)

// TestDatabaseThatNeedsItsAdministrator: what waiting does not mend ends the
// process, so that somebody notices. What was accepted waits in Kafka, and is
// neither skipped nor set aside.
func TestDatabaseThatNeedsItsAdministrator(t *testing.T) {
	t.Parallel()
	server := servers.Need(t, servers.PostgresVariable)[0]
	database, drop, err := servers.CreateDatabase(t.Context(), server)
	check(t, err)
	t.Cleanup(func() { check(t, drop()) })
	args := anyPorts(t.TempDir(), "--database-url", database)
	failing := spawn(t, "serve all without a table", nil, args...)
	check(t, failing.AwaitReady(startWithin))
	check(t, servers.Execute(t.Context(), database, "ALTER TABLE orders RENAME TO mislaid"))
	hook := orderWebhook("administrator", "administrator", "created", 0, `"1.00"`, "USD")
	if answer := mustPost(t, failing.URL("ingest")+hook.path, hook.body); answer.status != 202 {
		t.Fatalf("answered %s", answer)
	}
	select {
	case <-failing.Exited():
	case <-time.After(3 * appliedWithin): // it waits a while for what may be over soon
		t.Fatal("it goes on without a table")
	}
	said := failing.log(t)
	if code := failing.ExitCode(); code != 1 || !strings.Contains(said, "app: consumer: ") ||
		!strings.Contains(said, "none is lost or skipped") || !strings.Contains(said, `relation "orders" does not exist`) {
		t.Errorf("exit code %d: %s", code, tail(said))
	}

	check(t, servers.Execute(t.Context(), database, "ALTER TABLE mislaid RENAME TO orders"))
	mended := launch(t, "serve all", nil, args...)
	eventually(t, appliedWithin, "the order is there", func() bool {
		answer, err := get(mended.URL("api") + "/orders/administrator")
		return err == nil && answer.status == 200
	})
	if r := runToEnd(t, nil, "deadletters", "list", "--database-url", database); r.Code != 0 || strings.Count(r.Stdout, "\n") != 1 {
		t.Errorf("dead letters: %s%s", r.Stdout, r.Stderr)
	}
}
