package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestAPIDown: while the api role is away, a webhook is either safe in Kafka or
// answered "send it again", in time.
func TestAPIDown(t *testing.T) {
	inEvery(t, isSplit, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient})
		c.kill(t, "api")
		const webhooks = 5
		for i := range webhooks {
			if s.mode == "kafka" {
				c.accept(t, outageWebhook("down", i), "")
			} else {
				c.wantUnavailable(t, outageWebhook("down", i))
			}
		}
		c.start(t, "api")
		if s.mode != "kafka" {
			for i := range webhooks {
				c.acceptSoon(t, outageWebhook("down", i))
			}
		}
		c.awaitHistory(t, "/orders/events", "down", "down-0 created applied", "down-1 updated applied",
			"down-2 updated applied", "down-3 updated applied", "down-4 updated applied")
	})
}

// TestAPIFrozen: an api role that hangs costs no more than the deadline.
func TestAPIFrozen(t *testing.T) {
	inEvery(t, isSplit, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient})
		c.freeze(t, "api")
		if s.mode == "kafka" {
			c.accept(t, outageWebhook("frozen", 0), "")
		} else {
			c.wantUnavailable(t, outageWebhook("frozen", 0))
		}
		c.thaw(t, "api")
		c.acceptSoon(t, outageWebhook("frozen", 0)) // which may be a duplicate
		c.acceptSoon(t, outageWebhook("frozen", 1))
		c.awaitHistory(t, "/orders/events", "frozen", "frozen-0 created applied", "frozen-1 updated applied")
	})
}

// TestLeavingKafka: what the embedded broker accepted is applied, whatever mode
// the next start is told to use.
func TestLeavingKafka(t *testing.T) {
	inEvery(t, ofEmbeddedKafka, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{})
		c.kill(t, "api")
		for i := range 3 {
			c.accept(t, outageWebhook("left", i), "")
		}
		c.terminate(t, "ingest")
		c.terminate(t, "broker")
		c.setup = setup{"http", embedded, oneProcess}
		c.start(t, "all")
		c.awaitHistory(t, "/orders/events", "left", "left-0 created applied", "left-1 updated applied", "left-2 updated applied")
		c.accept(t, outageWebhook("left", 3), "applied")
	})
}

// TestMovingToAnotherKafka: the same holds when the next start is told to use a
// cluster instead, here the embedded broker of somebody else.
func TestMovingToAnotherKafka(t *testing.T) {
	inEvery(t, ofEmbeddedKafka, func(t *testing.T, s setup) {
		cluster := startCluster(t, s, options{})
		c := startCluster(t, s, options{})
		c.kill(t, "api")
		c.accept(t, outageWebhook("moved", 0), "")
		c.terminate(t, "ingest")
		c.terminate(t, "broker")
		cluster.terminate(t, "api")
		c.layout, c.edge = oneProcess, []string{"--kafka-brokers", cluster.addr("broker")}
		c.start(t, "all")
		c.awaitHistory(t, "/orders/events", "moved", "moved-0 created applied")
		c.accept(t, outageWebhook("moved", 1), "")
		c.awaitHistory(t, "/orders/events", "moved", "moved-0 created applied", "moved-1 updated applied")
	})
}

func ofKafka(s setup) bool { return s.mode == "kafka" && isSplit(s) }

func ofEmbeddedKafka(s setup) bool { return ofKafka(s) && s.lane == embedded }

// TestBrokerDown: without its broker the edge promises nothing, says so in time,
// and comes back by itself.
func TestBrokerDown(t *testing.T) {
	inEvery(t, ofKafka, func(t *testing.T, s setup) {
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
	inEvery(t, ofKafka, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient, own: true})
		c.accept(t, outageWebhook("frozen", 0), "")
		c.freeze(t, "broker")
		c.wantUnavailable(t, outageWebhook("frozen", 1))
		c.thaw(t, "broker")
		c.acceptSoon(t, outageWebhook("frozen", 1))
		c.awaitHistory(t, "/orders/events", "frozen", "frozen-0 created applied", "frozen-1 updated applied")
	})
}

// TestDatabaseDown: without its database the api role promises nothing, says so in
// time, parks nothing, and comes back by itself.
func TestDatabaseDown(t *testing.T) {
	inEvery(t, ofOwnDatabase, func(t *testing.T, s setup) {
		outOfDatabase(t, s, "down", (*cluster).kill, (*cluster).start)
	})
}

// TestDatabaseFrozen: one that hangs costs no more than the deadline.
func TestDatabaseFrozen(t *testing.T) {
	inEvery(t, ofOwnDatabase, func(t *testing.T, s setup) {
		outOfDatabase(t, s, "frozen", (*cluster).freeze, (*cluster).thaw)
	})
}

func ofOwnDatabase(s setup) bool { return isSplit(s) && s.lane == production }

// outOfDatabase takes the database away and brings it back.
func outOfDatabase(t *testing.T, s setup, order string, strike, mend func(*cluster, *testing.T, string)) {
	c := startCluster(t, s, options{edge: impatient, own: true})
	c.accept(t, outageWebhook(order, 0), "applied")
	c.awaitHistory(t, "/orders/events", order, order+"-0 created applied")
	strike(c, t, "database")
	if s.mode == "kafka" {
		c.accept(t, outageWebhook(order, 1), "")
	} else {
		c.wantUnavailable(t, outageWebhook(order, 1))
	}
	mend(c, t, "database")
	c.acceptSoon(t, outageWebhook(order, 1)) // which may be a duplicate
	c.awaitReadable(t)
	c.awaitHistory(t, "/orders/events", order, order+"-0 created applied", order+"-1 updated applied")
	c.wantDeadLetters(t, nil)
}

// awaitReadable waits until the database can be read by the public API. What asks
// at once may meet one that still recovers, or a connection that ended with it,
// and is told to ask again.
func (c *cluster) awaitReadable(t *testing.T) {
	t.Helper()
	eventually(t, appliedWithin, "orders can be read", func() bool {
		answer, err := get(c.url("api") + "/orders")
		check(t, err)
		if answer.status != http.StatusOK && answer.status != http.StatusServiceUnavailable {
			t.Fatalf("read orders: %s", answer)
		}
		return answer.status == http.StatusOK
	})
}

// outageWebhook is one of a sequence about an order.
func outageWebhook(order string, i int) webhook {
	status := "updated"
	if i == 0 {
		status = "created"
	}
	return orderWebhook(fmt.Sprintf("%s-%d", order, i), order, status, i, `"1.00"`, "USD")
}

// wantUnavailable sends a webhook for which there is no way at the moment.
func (c *cluster) wantUnavailable(t *testing.T, w webhook) {
	t.Helper()
	begin := time.Now()
	answer, err := c.send(w)
	took := time.Since(begin)
	if err != nil || answer.status != http.StatusServiceUnavailable || answer.code() != "unavailable" || answer.header.Get("Retry-After") == "" {
		t.Errorf("webhook %s is answered %s, %v, want 503 unavailable and a Retry-After", w.event, answer, err)
	}
	if took > answerInTime {
		t.Errorf("webhook %s is answered after %s", w.event, took)
	}
}

// acceptSoon sends a webhook until it is accepted, as a provider would.
func (c *cluster) acceptSoon(t *testing.T, w webhook) {
	t.Helper()
	begin := time.Now()
	eventually(t, appliedWithin, "webhook "+w.event+" is accepted", func() bool {
		answer, err := c.send(w)
		if err == nil && answer.status/100 != 2 && answer.status != http.StatusServiceUnavailable {
			t.Errorf("webhook %s is answered %s", w.event, answer)
		}
		return err == nil && answer.status/100 == 2
	})
	if took := time.Since(begin); took > paceInTrouble {
		t.Logf("webhook %s is accepted after %s", w.event, took.Round(time.Millisecond))
	}
}
