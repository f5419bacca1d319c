package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/internal/wait"
)

// TestDatabaseNeedsAdministrator: a failure that waiting does not fix ends the
// process, so that its supervisor notices. Accepted updates stay in Kafka, and are
// neither skipped nor dead-lettered.
func TestDatabaseNeedsAdministrator(t *testing.T) {
	t.Parallel()
	server := servers.Need(t, servers.PostgresVariable)[0]
	database, drop, err := servers.CreateDatabase(t.Context(), server)
	check(t, err)
	t.Cleanup(func() { check(t, drop()) })
	args := anyPorts(t.TempDir(), "--database-url", database)
	failing := spawn(t, "serve all without a table", nil, args...)
	check(t, failing.AwaitReady(startWithin))
	check(t, servers.Execute(t.Context(), database, "ALTER TABLE orders RENAME TO renamed"))
	hook := orderWebhook("administrator", "administrator", "created", 0, `"1.00"`, "USD")
	if answer := mustPost(t, failing.URL("ingest")+hook.path, hook.body); answer.status != 202 {
		t.Fatalf("answered %s", answer)
	}
	select {
	case <-failing.Exited():
	case <-time.After(3 * appliedWithin): // it retries first, for failures that pass
		t.Fatal("the process did not end without its table")
	}
	log := failing.log(t)
	if code := failing.ExitCode(); code != 1 || !strings.Contains(log, "app: consumer: ") ||
		!strings.Contains(log, "none is lost or skipped") || !strings.Contains(log, `relation "orders" does not exist`) {
		t.Errorf("exit code %d: %s", code, tail(log))
	}

	check(t, servers.Execute(t.Context(), database, "ALTER TABLE renamed RENAME TO orders"))
	fixed := launch(t, "serve all", nil, args...)
	wait.Until(t, appliedWithin, "the order can be read", func() bool {
		answer, err := get(fixed.URL("api") + "/orders/administrator")
		return err == nil && answer.status == 200
	})
	if r := runToEnd(t, nil, "deadletters", "list", "--database-url", database); r.Code != 0 || !strings.HasSuffix(r.Stdout, "\n0 dead letters\n") {
		t.Errorf("dead letters: %s%s", r.Stdout, r.Stderr)
	}
}
