package e2e

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/wait"
)

// letterItem is a dead letter of the public API.
type letterItem struct {
	ID         int64  `json:"id"`
	Source     string `json:"source"`
	EventID    string `json:"event_id"`
	OrderID    string `json:"order_id"`
	Reason     string `json:"reason"`
	Resolution string `json:"resolution"`
	ResolvedBy string `json:"resolved_by"`
	Deliveries int64  `json:"deliveries"`
}

// refusedWebhook is a dead letter by real input, and what an operator does about it.
type refusedWebhook struct {
	reason string
	// source is that of the dead letter.
	source string
	// send makes it, of an order with the name of the reason.
	send func(t *testing.T, c *cluster, order string)
	// action is replay, accept or discard, and printed what the command prints for the
	// letter: its new verdict, or why it is skipped.
	action, printed string
	resolution      string
	// status is the status that the order has then; empty if there is no order.
	status string
}

// refusedWebhooks has every reason that a webhook can have today. illegal_transition is of
// an older release, and no value is known that ingest takes and a database refuses.
var refusedWebhooks = []refusedWebhook{
	{"contradiction", "shop", func(t *testing.T, c *cluster, order string) {
		c.mustSend(t, orderWebhook(order+"-1", order, "success", 0, `"10.00"`, "USD"))
		c.mustSend(t, orderWebhook(order+"-2", order, "failed", 1, `"10.00"`, "USD"))
	}, "accept", "applied", "accepted", "failed"},
	{"currency_mismatch", "shop", func(t *testing.T, c *cluster, order string) {
		c.mustSend(t, orderWebhook(order+"-1", order, "success", 0, `"10.00"`, "USD"))
		c.mustSend(t, orderWebhook(order+"-2", order, "success", 1, `"10.00"`, "EUR"))
	}, "accept", "applied", "accepted", "success"},
	{"conflict", "shop", func(t *testing.T, c *cluster, order string) {
		c.mustSend(t, orderWebhook(order+"-1", order, "created", 0, `"10.00"`, "USD"))
		c.mustSend(t, orderWebhook(order+"-1", order, "success", 0, `"10.00"`, "USD"))
	}, "accept", "applied", "accepted", "success"},
	{"future_time", "shop", func(t *testing.T, c *cluster, order string) {
		at := time.Now().Add(24*time.Hour + futureFor).UTC().Format(time.RFC3339Nano)
		w := orderWebhook(order+"-1", order, "success", 0, `"10.00"`, "USD")
		w.body = strings.Replace(w.body, `"updated_at":"`+after(0), `"updated_at":"`+at, 1)
		c.mustSend(t, w)
	}, "replay", "applied", "replayed", "success"}, // once its time has come
	{"unknown_status", "shop", func(t *testing.T, c *cluster, order string) {
		c.mustSend(t, orderWebhook(order+"-1", order, "created", 0, `"10.00"`, "USD"))
		c.mustSend(t, orderWebhook(order+"-2", order, "settling", 1, `"10.00"`, "USD"))
	}, "discard", "discarded", "discarded", "created"},
	{"order_mismatch", "shop", func(t *testing.T, c *cluster, order string) {
		c.mustSend(t, disputeWebhook(order+"-1", "owner", "opened", 0, `,"dispute_id":"mismatched"`))
		c.mustSend(t, disputeWebhook(order+"-2", order, "opened", 1, `,"dispute_id":"mismatched"`))
	}, "discard", "discarded", "discarded", ""},
	{"undecodable", "stripe-eu", func(t *testing.T, c *cluster, order string) {
		c.mustSendSigned(t, stripeScheme, order, func(string) string { return "not JSON" })
	}, "discard", "discarded", "discarded", ""},
	{"wrong_environment", "stripe-eu", func(t *testing.T, c *cluster, order string) {
		c.mustSendSigned(t, stripeScheme, order, replaced(`"livemode":true`, `"livemode":false`))
	}, "discard", "discarded", "discarded", ""},
	{"unknown_schema", "generic", func(t *testing.T, c *cluster, order string) {
		// As the ingest role of a newer release sends it.
		answer := mustPost(t, c.url("internal")+"/internal/updates/orders", fmt.Sprintf(
			`{"schemaVersion":99,"provider":"generic","eventId":"%s-1","orderId":%[1]q,"occurredAt":%q,"order":{"status":"ORDER_STATUS_SUCCESS"}}`, order, after(0)))
		if answer.status != 200 {
			t.Fatalf("an update of a newer schema is answered %s", answer)
		}
	}, "discard", "discarded", "discarded", ""},
}

// futureFor is how long the event of the future stays too far ahead.
const futureFor = 5 * time.Second

// mustSend signs a webhook and sends it. It must be answered 2xx, whatever becomes of it.
func (c *cluster) mustSend(t *testing.T, w webhook) {
	t.Helper()
	s := hmacScheme
	if w.path == disputesPath {
		s.path = strings.Replace(s.path, "orders", "chargebacks", 1)
	}
	c.mustSendSigned(t, s, w.event, func(string) string { return w.body })
}

// mustSendSigned sends an authentic webhook with another body, which must be answered 2xx.
func (c *cluster) mustSendSigned(t *testing.T, s scheme, order string, body func(string) string) {
	t.Helper()
	s.body = func(original func(string, string) string) func(string, string) string {
		return func(event, order string) string { return body(original(event, order)) }
	}(s.body)
	if answer := c.sendSigned(t, client, s.webhook(order+"-1", order, forgery{})); answer.status/100 != 2 {
		t.Fatalf("an authentic webhook is answered %s, want 2xx", answer)
	}
}

// TestDeadLetters: each kind of dead letter is made by real input. An operator sees it by
// the service, the commands and the metrics, settles it once it can be, and it takes effect
// once. Doing it again changes nothing, and the audit log has who and why.
func TestDeadLetters(t *testing.T) {
	inEvery(t, func(s setup) bool { return s.layout != several }, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: []string{"--sources", writeSources(t)}})
		for _, r := range refusedWebhooks {
			r.send(t, c, r.reason)
		}
		letters := make(map[string]letterItem)
		for _, r := range refusedWebhooks {
			letters[r.reason] = c.awaitLetter(t, r)
		}
		c.wantOpenLetters(t, 1)
		for _, r := range refusedWebhooks {
			c.settle(t, r, letters[r.reason].ID)
		}
		c.wantOpenLetters(t, 0)
		c.wantAudit(t, letters)
		if r := c.operator(t, "replay", "--dry-run"); r.Code != 0 {
			t.Errorf("the histories do not fold to what is stored: %s%s", r.Stdout, r.Stderr)
		}
	})
}

// awaitLetter waits for the dead letter of a webhook, and returns it as the service lists
// it. The command must list the same one.
func (c *cluster) awaitLetter(t *testing.T, r refusedWebhook) letterItem {
	t.Helper()
	var found []letterItem
	wait.Until(t, appliedWithin, "a dead letter for "+r.reason, func() bool {
		found = list[letterItem](t, c, "/deadletters", url.Values{"reasons": {r.reason}})
		return len(found) > 0
	})
	if len(found) != 1 || found[0].Source != r.source || found[0].Resolution != "" {
		t.Fatalf("the dead letters for %s are %+v, want one that is open, of %s", r.reason, found, r.source)
	}
	listed := c.operator(t, "deadletters", "list", "--reason", r.reason, "--output", "csv")
	rows, err := csv.NewReader(strings.NewReader(listed.Stdout)).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][0] != strconv.FormatInt(found[0].ID, 10) {
		t.Errorf("the command lists %q (%v, %s), want the dead letter %d", rows, err, listed.Stderr, found[0].ID)
	}
	return found[0]
}

// operator runs a command on the api listener, with its flags.
func (c *cluster) operator(t *testing.T, args ...string) program.Result {
	t.Helper()
	return runToEnd(t, nil, append(args, "--api-url", c.url("api"))...)
}

// wantOpenLetters waits until the metrics of the api role show the number of open dead
// letters for each reason.
func (c *cluster) wantOpenLetters(t *testing.T, each int) {
	t.Helper()
	api := c.running["api"]
	if c.layout == oneProcess {
		api = c.running["all"]
	}
	wait.Until(t, polledWithin, fmt.Sprintf("the metrics show %d open dead letters for each reason", each), func() bool {
		metrics := api.metrics(t)
		return !slices.ContainsFunc(refusedWebhooks, func(r refusedWebhook) bool {
			return !strings.Contains(metrics, fmt.Sprintf("payrelay_dead_letters_open{reason=%q} %d\n", r.reason, each))
		})
	})
}

// polledWithin is how soon the gauges of the database, which are read every 15 s, show a
// change.
const polledWithin = 60 * time.Second

// settle carries out the action about a dead letter twice. The second time changes
// nothing.
func (c *cluster) settle(t *testing.T, r refusedWebhook, id int64) {
	t.Helper()
	action := []string{"deadletters", r.action, strconv.FormatInt(id, 10), "--by", "ann", "--why", "the test of " + r.reason}
	done := c.operator(t, action...)
	if r.action == "replay" { // it is refused until its time has come
		wait.Until(t, futureFor+appliedWithin, "a replay of "+r.reason+" is applied", func() bool {
			if done.Code == 0 {
				return true
			}
			done = c.operator(t, action...)
			return done.Code == 0
		})
	}
	if done.Code != 0 || !strings.Contains(done.Stdout, r.printed) {
		t.Errorf("%s of %s ended with code %d: %s%s, want %s", r.action, r.reason, done.Code, done.Stdout, done.Stderr, r.printed)
	}
	before := c.stateOf(t, r, id)
	c.operator(t, action...)
	if again := c.stateOf(t, r, id); again != before {
		t.Errorf("%s of %s, done again, changes %s to %s", r.action, r.reason, before, again)
	}
	letter, _ := read[letterItem](t, c, fmt.Sprint("/deadletters/", id))
	if letter.Resolution != r.resolution || letter.ResolvedBy != "ann" {
		t.Errorf("the dead letter for %s is %+v, want it %s by ann", r.reason, letter, r.resolution)
	}
	order, found := read[orderItem](t, c, "/orders/"+r.reason)
	if found != (r.status != "") || order.Status != r.status {
		t.Errorf("after %s of %s the order has the status %q, want %q", r.action, r.reason, order.Status, r.status)
	}
}

// stateOf returns the order of a dead letter with its events, and the dead letter.
func (c *cluster) stateOf(t *testing.T, r refusedWebhook, id int64) string {
	t.Helper()
	order, _ := read[orderItem](t, c, "/orders/"+r.reason)
	letter, _ := read[letterItem](t, c, fmt.Sprint("/deadletters/", id))
	return fmt.Sprintf("%+v %+v %+v", order, c.history(t, r.reason), letter)
}

// wantAudit checks that the audit log has one settlement of each dead letter, with who and
// why, and nothing but refused replays besides.
func (c *cluster) wantAudit(t *testing.T, letters map[string]letterItem) {
	t.Helper()
	exported := c.operator(t, "audit", "export")
	rows, err := csv.NewReader(strings.NewReader(exported.Stdout)).ReadAll()
	check(t, err)
	column := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
	for _, r := range refusedWebhooks {
		target := fmt.Sprintf("dead letter %d", letters[r.reason].ID)
		settled := 0
		for _, row := range rows[1:] {
			if found := column(row, "target"); found != target && !strings.HasPrefix(found, target+",") {
				continue
			}
			if column(row, "who") != "ann" || column(row, "why") != "the test of "+r.reason || column(row, "action") != r.action {
				t.Errorf("the audit log has %q, want %s by ann", row, r.action)
			}
			if strings.HasPrefix(column(row, "after"), r.resolution) {
				settled++
			} else if r.action != "replay" {
				t.Errorf("the audit log has %q, want that the dead letter is %s", row, r.resolution)
			}
		}
		if settled != 1 {
			t.Errorf("the audit log has %d settlements of %s, want 1", settled, target)
		}
	}
}
