package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// TestAPIDown: while the api role is down, a webhook is stored in Kafka or answered
// 503 within the deadline.
func TestAPIDown(t *testing.T) {
	inEvery(t, isSplit, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient})
		c.kill(t, "api")
		const webhooks = 5
		for i := range webhooks {
			if s.mode == payments.Kafka {
				c.accept(t, outageWebhook("down", i), "")
			} else {
				c.wantUnavailable(t, outageWebhook("down", i))
			}
		}
		c.start(t, "api")
		if s.mode != payments.Kafka {
			for i := range webhooks {
				c.acceptSoon(t, outageWebhook("down", i))
			}
		}
		c.awaitHistory(t, "/orders/events", "down", "down-0 created applied", "down-1 updated applied",
			"down-2 updated applied", "down-3 updated applied", "down-4 updated applied")
	})
}

// TestAPIFrozen: while the api role hangs, webhooks are answered within the deadline.
func TestAPIFrozen(t *testing.T) {
	inEvery(t, isSplit, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient})
		c.freeze(t, "api")
		if s.mode == payments.Kafka {
			c.accept(t, outageWebhook("frozen", 0), "")
		} else {
			c.wantUnavailable(t, outageWebhook("frozen", 0))
		}
		c.thaw(t, "api")
		c.acceptSoon(t, outageWebhook("frozen", 0)) // it may be a duplicate
		c.acceptSoon(t, outageWebhook("frozen", 1))
		c.awaitHistory(t, "/orders/events", "frozen", "frozen-0 created applied", "frozen-1 updated applied")
	})
}

// TestLeavingKafka: records of the embedded broker are applied after a restart in
// another mode.
func TestLeavingKafka(t *testing.T) {
	inEvery(t, isEmbeddedKafka, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{})
		c.kill(t, "api")
		for i := range 3 {
			c.accept(t, outageWebhook("left", i), "")
		}
		c.terminate(t, "ingest")
		c.terminate(t, "broker")
		c.setup = setup{payments.HTTP, embedded, oneProcess}
		c.start(t, "all")
		c.awaitHistory(t, "/orders/events", "left", "left-0 created applied", "left-1 updated applied", "left-2 updated applied")
		c.accept(t, outageWebhook("left", 3), "applied")
	})
}

// TestMovingToAnotherKafka: they are also applied after a restart that uses a
// cluster, here the embedded broker of another deployment.
func TestMovingToAnotherKafka(t *testing.T) {
	inEvery(t, isEmbeddedKafka, func(t *testing.T, s setup) {
		other := startCluster(t, s, options{})
		c := startCluster(t, s, options{})
		c.kill(t, "api")
		c.accept(t, outageWebhook("moved", 0), "")
		c.terminate(t, "ingest")
		c.terminate(t, "broker")
		other.terminate(t, "api")
		c.layout, c.edge = oneProcess, []string{"--kafka-brokers", other.addr("broker")}
		c.start(t, "all")
		c.awaitHistory(t, "/orders/events", "moved", "moved-0 created applied")
		c.accept(t, outageWebhook("moved", 1), "")
		c.awaitHistory(t, "/orders/events", "moved", "moved-0 created applied", "moved-1 updated applied")
	})
}

func isSplitKafka(s setup) bool { return s.mode == payments.Kafka && isSplit(s) }

func isEmbeddedKafka(s setup) bool { return isSplitKafka(s) && s.lane == embedded }

// TestBrokerDown: without its broker, ingest answers 503 within the deadline, and
// recovers without a restart.
func TestBrokerDown(t *testing.T) {
	inEvery(t, isSplitKafka, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient, own: true})
		c.accept(t, outageWebhook("down", 0), "")
		c.kill(t, "broker")
		for range 3 {
			c.wantUnavailable(t, outageWebhook("down", 1))
		}
		c.start(t, "broker")
		c.acceptSoon(t, outageWebhook("down", 1))
		c.awaitHistory(t, "/orders/events", "down", "down-0 created applied", "down-1 updated applied")
	})
}

func TestBrokerFrozen(t *testing.T) {
	inEvery(t, isSplitKafka, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient, own: true})
		c.accept(t, outageWebhook("frozen", 0), "")
		c.freeze(t, "broker")
		c.wantUnavailable(t, outageWebhook("frozen", 1))
		c.thaw(t, "broker")
		c.acceptSoon(t, outageWebhook("frozen", 1))
		c.awaitHistory(t, "/orders/events", "frozen", "frozen-0 created applied", "frozen-1 updated applied")
	})
}

// TestDatabaseDown: without its database, the api role answers within the deadline,
// dead-letters nothing, and recovers without a restart.
func TestDatabaseDown(t *testing.T) {
	inEvery(t, hasDatabaseServer, func(t *testing.T, s setup) {
		loseDatabase(t, s, "down", (*cluster).kill, (*cluster).start)
	})
}

// TestDatabaseFrozen: while the database hangs, webhooks are answered within the
// deadline.
func TestDatabaseFrozen(t *testing.T) {
	inEvery(t, hasDatabaseServer, func(t *testing.T, s setup) {
		loseDatabase(t, s, "frozen", (*cluster).freeze, (*cluster).thaw)
	})
}

func hasDatabaseServer(s setup) bool { return isSplit(s) && s.lane == production }

// loseDatabase strikes the database and restores it.
func loseDatabase(t *testing.T, s setup, order string, strike, restore func(*cluster, *testing.T, string)) {
	c := startCluster(t, s, options{edge: impatient, own: true})
	c.accept(t, outageWebhook(order, 0), "applied")
	c.awaitHistory(t, "/orders/events", order, order+"-0 created applied")
	strike(c, t, "database")
	if s.mode == payments.Kafka {
		c.accept(t, outageWebhook(order, 1), "")
	} else {
		c.wantUnavailable(t, outageWebhook(order, 1))
	}
	restore(c, t, "database")
	c.acceptSoon(t, outageWebhook(order, 1)) // it may be a duplicate
	c.awaitReadable(t)
	c.awaitHistory(t, "/orders/events", order, order+"-0 created applied", order+"-1 updated applied")
	c.wantDeadLetters(t, nil)
}

// awaitReadable waits until the public API can read the database. Before that it
// answers 503, while the database recovers or because a connection has ended.
func (c *cluster) awaitReadable(t *testing.T) {
	t.Helper()
	wait.Until(t, appliedWithin, "orders can be read", func() bool {
		answer, err := get(c.url("api") + "/orders")
		check(t, err)
		if answer.status != http.StatusOK && answer.status != http.StatusServiceUnavailable {
			t.Fatalf("read orders: %s", answer)
		}
		return answer.status == http.StatusOK
	})
}

// outageWebhook returns one of a sequence of webhooks about an order.
func outageWebhook(order string, i int) webhook {
	status := "updated"
	if i == 0 {
		status = "created"
	}
	return orderWebhook(fmt.Sprintf("%s-%d", order, i), order, status, i, `"1.00"`, "USD")
}

// wantUnavailable sends a webhook that must be answered 503 within the deadline.
func (c *cluster) wantUnavailable(t *testing.T, w webhook) {
	t.Helper()
	begin := time.Now()
	answer, err := c.send(w)
	took := time.Since(begin)
	if err != nil || answer.status != http.StatusServiceUnavailable || answer.code() != "unavailable" || answer.header.Get("Retry-After") == "" {
		t.Errorf("webhook %s is answered %s, %v, want 503 unavailable and a Retry-After", w.event, answer, err)
	}
	if took > answerInTime {
		t.Errorf("webhook %s was answered after %s, want at most %s", w.event, took, answerInTime)
	}
}

// acceptSoon sends a webhook until it is accepted, as a provider does.
func (c *cluster) acceptSoon(t *testing.T, w webhook) {
	t.Helper()
	begin := time.Now()
	wait.Until(t, appliedWithin, "webhook "+w.event+" is accepted", func() bool {
		answer, err := c.send(w)
		if err == nil && answer.status/100 != 2 && answer.status != http.StatusServiceUnavailable {
			t.Errorf("webhook %s is answered %s, want 2xx or 503", w.event, answer)
		}
		return err == nil && answer.status/100 == 2
	})
	if took := time.Since(begin); took > paceInTrouble {
		t.Logf("webhook %s was accepted after %s", w.event, took.Round(time.Millisecond))
	}
}
