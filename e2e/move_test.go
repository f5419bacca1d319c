package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// TestMove: a deployment on SQLite moves to PostgreSQL while its provider keeps
// sending. No webhook is lost or takes effect twice, dead letters keep their
// numbers, and the program refuses to start on the old database.
func TestMove(t *testing.T) {
	moves := func(s setup) bool {
		return s.lane == embedded && (s.mode == payments.Kafka && s.layout == oneProcess || s.mode == payments.HTTP && s.layout == split)
	}
	inEvery(t, moves, func(t *testing.T, s setup) {
		servers.Need(t, servers.PostgresVariable)
		c := startCluster(t, s, options{edge: impatient})
		l := startLoad(t, c)
		l.awaitAcked(t, between)
		owner := s.members()[0]
		c.accept(t, orderWebhook("order-0-0-0", "order-0-0", "failed", 9, `"1.00"`, "USD"), "dead_lettered conflict")
		wait.Until(t, appliedWithin, "the conflict is a dead letter", func() bool { return strings.Contains(c.letters(t), "conflict") })
		database := c.startDatabase(t, false)
		target := []string{"DATABASE_URL=" + database}
		if r := runToEnd(t, target, "migrate", "up"); r.Code != 0 {
			t.Fatalf("migrate: %s", r.Stderr)
		}
		wantRefusal(t, runToEnd(t, target, "migrate", "copy", "--data-dir", c.dir), fmt.Sprint("in use by process ", c.running[owner].PID()))

		c.terminate(t, owner)
		letters := c.letters(t)
		wantCopied(t, runToEnd(t, target, "migrate", "copy", "--data-dir", c.dir))
		wantRefusal(t, runToEnd(t, nil, anyPorts(c.dir, "--mode", "direct")...), "was copied to", c.dir)
		wantCopied(t, runToEnd(t, target, "migrate", "copy", "--data-dir", c.dir))
		c.database = database
		if moved := c.letters(t); moved != letters {
			t.Errorf("dead letters after the copy:\n%s, want\n%s", moved, letters)
		}
		c.start(t, owner)
		l.awaitAcked(t, between)
		l.finish(t)
		l.check(t, c)
		wantRefusal(t, runToEnd(t, target, "migrate", "copy", "--data-dir", c.dir), "has rows already")
	})
}

// TestMoveKilledAtItsCommit: the copy is killed while its commit waits for a standby
// that is down. The program refuses to start on the old database then, and the same
// command finds out whether the copy is complete.
func TestMoveKilledAtItsCommit(t *testing.T) {
	direct := func(s setup) bool { return s.lane == embedded && s.mode == payments.Direct }
	inEvery(t, direct, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{})
		c.accept(t, orderWebhook("kept", "order-1", "success", 1, `"1.00"`, "USD"), "applied")
		c.accept(t, orderWebhook("mismatch", "order-1", "success", 2, `"1.00"`, "EUR"), "dead_lettered currency_mismatch")
		c.terminate(t, "all")
		own := backing{servers: make(map[string]server)}
		target := []string{"DATABASE_URL=" + own.startDatabase(t, true)}
		if r := runToEnd(t, target, "migrate", "up"); r.Code != 0 {
			t.Fatalf("migrate: %s", r.Stderr)
		}
		database := own.servers["database"].(*servers.Postgres)
		execute := func(statement string) error { return servers.Execute(t.Context(), database.URL(), statement) }
		awaitStandby := func(name string) {
			check(t, execute("ALTER SYSTEM SET synchronous_standby_names = '"+name+"'"))
			check(t, execute("SELECT pg_reload_conf()"))
		}
		awaitStandby("missing")
		copying := spawn(t, "migrate copy", target, "migrate", "copy", "--data-dir", c.dir)
		wait.Until(t, appliedWithin, "the commit waits for the standby", func() bool {
			return execute("SELECT 1 / count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == nil
		})
		copying.kill(t)
		wantRefusal(t, runToEnd(t, nil, anyPorts(c.dir, "--mode", "direct")...), "it is not known", "app migrate copy", "delete")
		wantRefusal(t, runToEnd(t, target, "migrate", "copy", "--data-dir", c.dir), "it is not known", "lock timeout")
		awaitStandby("")
		wait.Until(t, appliedWithin, "the same command completes the copy", func() bool {
			return runToEnd(t, target, "migrate", "copy", "--data-dir", c.dir).Code == 0
		})
		wantRefusal(t, runToEnd(t, nil, anyPorts(c.dir, "--mode", "direct")...), "was copied to")
	})
}

// letters returns the list of dead letters that an operator sees.
func (c *cluster) letters(t *testing.T) string {
	t.Helper()
	r := runToEnd(t, nil, append([]string{"deadletters", "list", "--settled"}, c.dataArgs()...)...)
	if r.Code != 0 {
		t.Fatalf("list dead letters: %s", r.Stderr)
	}
	return r.Stdout
}

// wantCopied checks that the copy succeeded, with the same counts and digests on both
// sides and no empty table but those of disputes and erasures.
func wantCopied(t *testing.T, r program.Result) {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^(\w+) +(\d+) +(\d+) +([0-9a-f]{16}) +([0-9a-f]{16})$`).FindAllStringSubmatch(r.Stdout, -1)
	if r.Code != 0 || len(lines) != 7 {
		t.Fatalf("copy: %s%s", r.Stdout, r.Stderr)
	}
	for _, l := range lines {
		if l[2] != l[3] || l[4] != l[5] || l[1] != "disputes" && l[1] != "erasures" && l[1] != "audit" && l[2] == "0" {
			t.Errorf("the sides differ, or have no rows: %s", l[0])
		}
	}
}
