package e2e

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"github.com/payrelay/payrelay/internal/wait"
)

// TestRetention: a process removes the bodies of old webhooks soon after its start, and
// recognizes these webhooks all the same. While it runs, the data of a user is erased.
func TestRetention(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "payrelay.db")
	old := orderWebhook("old", "order-1", "created", 1, `"1.00"`, "USD")
	p := launch(t, "serve all", nil, anyPorts(dir, "--mode", "direct")...)
	wantVerdict(t, p, old, "applied")
	p.terminate(t)
	inFile(t, file, "UPDATE bodies SET recorded_at = recorded_at - 40 * 86400000000")
	inFile(t, file, "UPDATE events SET recorded_at = recorded_at - 40 * 86400000000")

	p = launch(t, "serve all", []string{"BODY_RETENTION=30d"}, anyPorts(dir, "--mode", "direct")...)
	wait.Until(t, startWithin, "the old body is removed", func() bool { return strings.Contains(p.log(t), `"msg":"removed old bodies"`) })
	if log := p.log(t); !strings.Contains(log, `"days":1,"bodies":1,`) {
		t.Error("the log does not count one day with one body")
	}
	wantVerdict(t, p, old, "duplicate")
	wantVerdict(t, p, orderWebhook("old", "order-1", "failed", 1, `"1.00"`, "USD"), "dead_lettered conflict")
	wantVerdict(t, p, orderWebhook("new", "order-1", "success", 2, `"1.00"`, "USD"), "applied")
	if got := inFile(t, file, "SELECT count(*) FROM bodies"); got != 1 {
		t.Errorf("%d bodies are kept, want the one of today", got)
	}

	r := runToEnd(t, nil, "erase", "--data-dir", dir, "--user", "user-1", "--why", "the user asked for it")
	if r.Code != 0 || r.Stdout != "erased: 1 orders, 0 disputes, 2 events, 1 bodies, 1 dead letters\n" {
		t.Errorf("erase: %s%s", r.Stdout, r.Stderr)
	}
	wantVerdict(t, p, orderWebhook("new", "order-1", "success", 2, `"1.00"`, "USD"), "duplicate")
	// A further webhook is applied, with the user that it names.
	wantVerdict(t, p, orderWebhook("late", "order-1", "updated", 0, `"1.00"`, "USD"), "applied")
	answer, err := get(p.URL("api") + "/orders/order-1")
	if err != nil || answer.status != 200 || !strings.Contains(string(answer.body), `"status":"success"`) {
		t.Errorf("the order is %s, %v, want it successful", answer, err)
	}
	p.terminate(t)
	if got := inFile(t, file, "SELECT count(*) FROM events WHERE user_id <> '' AND event_id <> 'late'"); got != 0 {
		t.Errorf("%d events from before the erasure name the user, want none", got)
	}
}

// wantVerdict sends a webhook to a process that answers with the verdict.
func wantVerdict(t *testing.T, p *process, w webhook, want string) {
	t.Helper()
	if answer := mustPost(t, p.URL("ingest")+w.path, w.body); answer.verdict() != want {
		t.Errorf("webhook %s is answered %s, want %s", w.event, answer, want)
	}
}

// inFile runs a statement on a database, and returns the number that it returns, or
// that of the rows that it changes.
func inFile(t *testing.T, file, statement string) (number int64) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)")
	check(t, err)
	defer func() { check(t, db.Close()) }()
	if strings.HasPrefix(statement, "SELECT") {
		check(t, db.QueryRow(statement).Scan(&number))
		return number
	}
	result, err := db.Exec(statement)
	check(t, err)
	number, err = result.RowsAffected()
	check(t, err)
	return number
}
