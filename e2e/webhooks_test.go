package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/wait"
)

// TestWebhooks: what a provider sends can be read by the public API, in every mode.
func TestWebhooks(t *testing.T) {
	inEvery(t, everySetup, func(t *testing.T, s setup) { runCases(t, startCluster(t, s, options{})) })
}

// TestWebhooksUnbatched: the same with a call or record for each webhook.
func TestWebhooksUnbatched(t *testing.T) {
	inEvery(t, everySetup, func(t *testing.T, s setup) {
		runCases(t, startCluster(t, s, options{wire: []string{"--batch=false"}}))
	})
}

// runCases runs the tests that can share a deployment.
func runCases(t *testing.T, c *cluster) {
	for name, test := range map[string]func(*testing.T, *cluster){
		"order":          testOrder,
		"amounts":        testAmounts,
		"dispute":        testDispute,
		"two disputes":   testTwoDisputes,
		"dispute first":  testDisputeFirst,
		"duplicates":     testDuplicates,
		"out of order":   testOutOfOrder,
		"contradiction":  testContradiction,
		"conflict":       testConflict,
		"unknown status": testUnknownStatus,
		"future":         testFuture,
		"currency":       testCurrencyMismatch,
		"bad requests":   testBadRequests,
		"web pages":      testWebPages,
		"smuggling":      testSmuggling,
		"bad bodies":     testBadBodies,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
	c.wantDeadLetters(t, map[string]string{
		"final-2": "contradiction",
		"same":    "conflict",
		"frozen":  "unknown_status", "melted": "unknown_status",
		"future-1": "future_time",
		"dollars":  "currency_mismatch",
	})
}

func testOrder(t *testing.T, c *cluster) {
	webhooks := []webhook{
		orderWebhook("o1", "order-1", "created", 0, `"100.50"`, "USD"),
		orderWebhook("o2", "order-1", "updated", 1, `"100.50"`, "USD"),
		orderWebhook("o3", "order-1", "success", 2, `"99.95"`, "USD"),
	}
	c.accept(t, webhooks[0], "applied")
	c.awaitHistory(t, "/orders/events", "order-1", "o1 created applied")
	wantItem(t, c, "/orders/order-1", orderItem{"order-1", "created", "user-1", money{10050, "USD"}, shown(0), shown(0)})
	c.accept(t, webhooks[1], "applied")
	c.accept(t, webhooks[2], "applied")
	c.awaitHistory(t, "/orders/events", "order-1", "o1 created applied", "o2 updated applied", "o3 success applied")
	wantItem(t, c, "/orders/order-1", orderItem{"order-1", "success", "user-1", money{9995, "USD"}, shown(0), shown(2)})
	for i, e := range c.history(t, "order-1") {
		if e.BodySHA256 != webhooks[i].digest() {
			t.Errorf("event %s is recorded with another body than was sent", e.EventID)
		}
	}
}

// wantItem compares the item that the public API returns for a path.
func wantItem[T comparable](t *testing.T, c *cluster, path string, want T) {
	t.Helper()
	if got, found := read[T](t, c, path); !found || got != want {
		t.Errorf("%s is %+v (found: %t), want %+v", path, got, found, want)
	}
}

func testAmounts(t *testing.T, c *cluster) {
	for i, a := range []struct {
		amount, currency string
		minorUnits       int64
	}{
		{`"100.50"`, "USD", 10050},
		{`100.5`, "USD", 10050},
		{`0.29`, "EUR", 29}, // 28.999... as a float64
		{`500`, "JPY", 500},
		{`"1.234"`, "KWD", 1234},
		{`9007199254740993`, "JPY", 9007199254740993}, // not a float64
		{`0`, "USD", 0},
	} {
		id := fmt.Sprintf("amount-%d", i)
		c.accept(t, orderWebhook(id, id, "success", 0, a.amount, a.currency), "applied")
		c.awaitHistory(t, "/orders/events", id, id+" success applied")
		wantItem(t, c, "/orders/"+id, orderItem{id, "success", "user-1", money{a.minorUnits, a.currency}, shown(0), shown(0)})
	}
}

func testDispute(t *testing.T, c *cluster) {
	c.accept(t, orderWebhook("d1", "disputed", "success", 0, `"100.50"`, "USD"), "applied")
	c.accept(t, disputeWebhook("d2", "disputed", "opened", 1, fmt.Sprintf(`,"evidence_due_at":%q`, after(1000))), "applied")
	c.awaitHistory(t, "/disputes/events", "disputed", "d2 open applied")
	want := disputeItem{"disputed", "disputed", "open", "fraud", money{10050, "USD"}, shown(1), shown(1), shown(1000)}
	wantItem(t, c, "/disputes/disputed", want)
	c.accept(t, disputeWebhook("d3", "disputed", "closed", 2, `,"meta":{"resolution":"won"}`), "applied")
	c.awaitHistory(t, "/disputes/events", "disputed", "d2 open applied", "d3 won applied")
	want.Status, want.UpdatedAt, want.EvidenceDueAt = "won", shown(2), "" // nothing is due after an outcome
	wantItem(t, c, "/disputes/disputed", want)
	c.awaitHistory(t, "/orders/events", "disputed", "d1 success applied")
}

// testTwoDisputes: a dispute has the ID that the provider sends for it.
func testTwoDisputes(t *testing.T, c *cluster) {
	c.accept(t, disputeWebhook("t1", "twice", "opened", 1, `,"dispute_id":"dispute-a"`), "applied")
	c.accept(t, disputeWebhook("t2", "twice", "opened", 2, `,"dispute_id":"dispute-b"`), "applied")
	c.accept(t, disputeWebhook("t3", "twice", "closed", 3, `,"dispute_id":"dispute-a","meta":{"resolution":"lost"}`), "applied")
	c.awaitHistory(t, "/disputes/events", "twice", "t1 open applied", "t2 open applied", "t3 lost applied")
	wantItem(t, c, "/disputes/dispute-a", disputeItem{"dispute-a", "twice", "lost", "fraud", money{10050, "USD"}, shown(1), shown(3), ""})
	wantItem(t, c, "/disputes/dispute-b", disputeItem{"dispute-b", "twice", "open", "fraud", money{10050, "USD"}, shown(2), shown(2), ""})
}

// testDisputeFirst: a dispute can arrive before its order.
func testDisputeFirst(t *testing.T, c *cluster) {
	c.accept(t, disputeWebhook("f1", "late-order", "opened", 5, ""), "applied")
	c.awaitHistory(t, "/disputes/events", "late-order", "f1 open applied")
	if order, found := read[orderItem](t, c, "/orders/late-order"); found {
		t.Errorf("the order exists before its first webhook: %+v", order)
	}
	c.accept(t, orderWebhook("f2", "late-order", "success", 0, `"100.50"`, "USD"), "applied")
	c.awaitHistory(t, "/orders/events", "late-order", "f2 success applied")
	wantItem(t, c, "/disputes/late-order", disputeItem{"late-order", "late-order", "open", "fraud", money{10050, "USD"}, shown(5), shown(5), ""})
}

// testDuplicates: of fifty copies sent at once, one takes effect.
func testDuplicates(t *testing.T, c *cluster) {
	const copies = 50
	w := orderWebhook("dup", "duplicated", "created", 0, `"100.50"`, "USD")
	verdicts := make(chan string, copies)
	var wg sync.WaitGroup
	for range copies {
		wg.Go(func() {
			answer, err := c.send(w)
			if err != nil || answer.status/100 != 2 {
				t.Errorf("a copy is answered %s, %v, want 2xx", answer, err)
			}
			verdicts <- answer.verdict()
		})
	}
	wg.Wait()
	close(verdicts)
	count := make(map[string]int)
	for verdict := range verdicts {
		count[verdict]++
	}
	want := map[string]int{"applied": 1, "duplicate": copies - 1}
	if !c.answersVerdict() {
		want = map[string]int{"queued": copies}
	}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("verdicts = %v, want %v", count, want)
	}
	// Once this one is recorded, a second effect of a copy would be recorded too.
	c.accept(t, orderWebhook("after dup", "duplicated", "updated", 1, `"100.50"`, "USD"), "applied")
	c.awaitHistory(t, "/orders/events", "duplicated", "dup created applied", "after dup updated applied")
}

// testOutOfOrder: a late update is recorded and does not change a newer state.
func testOutOfOrder(t *testing.T, c *cluster) {
	c.accept(t, orderWebhook("late-3", "late", "success", 30, `"100.50"`, "USD"), "applied")
	c.accept(t, orderWebhook("late-1", "late", "created", 10, `"100.50"`, "USD"), "stale")
	c.accept(t, orderWebhook("late-2", "late", "updated", 20, `"1.00"`, "USD"), "stale")
	c.awaitHistory(t, "/orders/events", "late", "late-3 success applied", "late-1 created stale", "late-2 updated stale")
	wantItem(t, c, "/orders/late", orderItem{"late", "success", "user-1", money{10050, "USD"}, shown(0), shown(30)})
}

// testContradiction: a failure after a success becomes a dead letter if no part says
// which attempt failed.
func testContradiction(t *testing.T, c *cluster) {
	c.accept(t, orderWebhook("final-1", "final", "success", 0, `"100.50"`, "USD"), "applied")
	c.accept(t, orderWebhook("final-2", "final", "failed", 1, `"100.50"`, "USD"), "dead_lettered contradiction")
	c.awaitHistory(t, "/orders/events", "final", "final-1 success applied", "final-2 failed dead_lettered contradiction")
	wantItem(t, c, "/orders/final", orderItem{"final", "success", "user-1", money{10050, "USD"}, shown(0), shown(0)})
}

// testConflict: of two bodies with one event ID, the first counts.
func testConflict(t *testing.T, c *cluster) {
	c.accept(t, orderWebhook("same", "conflicting", "created", 0, `"100.50"`, "USD"), "applied")
	c.accept(t, orderWebhook("same", "conflicting", "success", 1, `"1.00"`, "USD"), "dead_lettered conflict")
	c.awaitHistory(t, "/orders/events", "conflicting", "same created applied")
	wantItem(t, c, "/orders/conflicting", orderItem{"conflicting", "created", "user-1", money{10050, "USD"}, shown(0), shown(0)})
}

func testUnknownStatus(t *testing.T, c *cluster) {
	c.accept(t, orderWebhook("frozen", "unknown", "frozen", 0, `"100.50"`, "USD"), "dead_lettered unknown_status")
	c.accept(t, disputeWebhook("melted", "unknown", "melted", 0, ""), "dead_lettered unknown_status")
	for _, path := range []string{"/orders/unknown", "/disputes/unknown"} {
		if answer, err := get(c.url("api") + path); err != nil || answer.status != 404 {
			t.Errorf("%s is answered %s, %v, want 404", path, answer, err)
		}
	}
}

// testFuture: an update from the far future is a dead letter. Applied, it would
// remain the newest one.
func testFuture(t *testing.T, c *cluster) {
	const century = 100 * 365 * 24 * 3600
	c.accept(t, orderWebhook("future-1", "future", "success", century, `"100.50"`, "USD"), "dead_lettered future_time")
	c.accept(t, orderWebhook("future-2", "future", "created", 0, `"100.50"`, "USD"), "applied")
	c.awaitHistory(t, "/orders/events", "future", "future-1 success dead_lettered future_time", "future-2 created applied")
}

func testCurrencyMismatch(t *testing.T, c *cluster) {
	c.accept(t, orderWebhook("euros", "in-euros", "success", 0, `"100.50"`, "EUR"), "applied")
	c.awaitHistory(t, "/orders/events", "in-euros", "euros success applied")
	c.accept(t, orderWebhook("dollars", "in-euros", "success", 1, `"100.50"`, "USD"), "dead_lettered currency_mismatch")
	c.accept(t, disputeWebhook("in dollars", "in-euros", "opened", 1, ""), "applied") // a dispute may have another one
}

// wantDeadLetters waits until the dead letters of these events, with these reasons,
// are in the list that an operator sees while the processes run.
func (c *cluster) wantDeadLetters(t *testing.T, want map[string]string) {
	t.Helper()
	var listed program.Result
	defer func() {
		if t.Failed() {
			t.Logf("app deadletters list:\n%s%s", listed.Stdout, listed.Stderr)
		}
	}()
	wait.Until(t, appliedWithin, fmt.Sprintf("%d dead letters are listed", len(want)), func() bool {
		listed = runToEnd(t, nil, append([]string{"deadletters", "list"}, c.dataArgs()...)...)
		return listed.Code != 0 || strings.Count(listed.Stdout, "\n") > len(want)+2 // the head, an empty line and the count
	})
	for event, reason := range want {
		found := false
		for line := range strings.Lines(listed.Stdout) {
			found = found || strings.Contains(line, " "+event+" ") && strings.Contains(line, " "+reason+" ")
		}
		if !found {
			t.Errorf("event %s is not in the list of dead letters with the reason %s", event, reason)
		}
	}
}
