package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
)

const (
	senders = 8
	// pace is the shortest time between two webhooks of a sender. It keeps webhooks in
	// flight at any time.
	pace = 5 * time.Millisecond
	// paceInTrouble is the same after a webhook that was not accepted.
	paceInTrouble = 50 * time.Millisecond
	// answerInTime is the deadline of an impatient ingest, and an allowance for a busy
	// machine.
	answerInTime = 4*time.Second + 6*time.Second
)

// fact is a webhook of the load, and its contents.
type fact struct {
	webhook
	order, kind string
	dispute     bool
	minorUnits  int64
	// prompt reports whether the first attempt was accepted, that is, before any later
	// webhook about the order was sent.
	prompt bool
}

// load is a provider: it sends webhooks, keeps the answers, and later sends again
// those that were not accepted. It immediately sends some of the accepted ones a
// second time, as duplicates.
type load struct {
	// ingests are used in turn, so that the webhooks of one order go to all of them.
	ingests []string
	turn    atomic.Int64
	stop    chan struct{}
	senders sync.WaitGroup
	acked   atomic.Int64
	failed  atomic.Int64

	mu sync.Mutex
	// sent has every webhook once. Those of an order or dispute are in the order of
	// their times, in which they were sent.
	sent     []fact
	unacked  []fact
	violated []string
	slowest  time.Duration
}

// startLoad starts a load on a cluster that nothing else sends to: the audit checks
// everything that is stored.
func startLoad(t *testing.T, c *cluster) *load {
	l := &load{ingests: c.ingests(), stop: make(chan struct{})}
	for sender := range senders {
		l.senders.Go(func() { l.send(sender) })
	}
	t.Cleanup(l.end)
	return l
}

// end stops the senders. It may be called more than once.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.senders.Wait()
}

// send sends the webhooks of one order after the other.
func (l *load) send(sender int) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for n := 0; ; n++ {
		for _, f := range story(fmt.Sprintf("order-%d-%d", sender, n), n) {
			select {
			case <-l.stop:
				return
			case <-ticker.C:
			}
			if l.first(f) {
				ticker.Reset(pace)
			} else {
				ticker.Reset(paceInTrouble)
			}
		}
	}
}

// story returns the webhooks of an order and, for every second order, of its
// dispute.
func story(order string, n int) []fact {
	final := []string{"success", "failed"}[n/2%2]
	var facts []fact
	for i, kind := range []string{"created", "updated", "updated", final} {
		event, units := fmt.Sprintf("%s-%d", order, i), int64(100*n+i)
		w := orderWebhook(event, order, kind, i, fmt.Sprintf(`"%d.%02d"`, units/100, units%100), "USD")
		facts = append(facts, fact{webhook: w, order: order, kind: kind, minorUnits: units})
	}
	if n%2 == 0 {
		return facts
	}
	return append(facts,
		fact{webhook: disputeWebhook(order+"-d1", order, "opened", 5, ""), order: order, kind: "open", dispute: true, minorUnits: 10050},
		fact{webhook: disputeWebhook(order+"-d2", order, "closed", 6, `,"meta":{"resolution":"won"}`), order: order, kind: "won", dispute: true, minorUnits: 10050})
}

// first sends a webhook for the first time, and reports whether it was accepted.
func (l *load) first(f fact) bool {
	l.mu.Lock()
	l.sent = append(l.sent, f)
	count := len(l.sent)
	l.mu.Unlock()
	if !l.attempt(f) {
		l.mu.Lock()
		l.unacked = append(l.unacked, f)
		l.mu.Unlock()
		return false
	}
	l.mu.Lock()
	l.sent[count-1].prompt = true
	l.mu.Unlock()
	if count%10 == 0 {
		l.attempt(f)
	}
	return true
}

// attempt sends a webhook and reports whether it was accepted.
func (l *load) attempt(f fact) bool {
	begin := time.Now()
	ingest := l.ingests[l.turn.Add(1)%int64(len(l.ingests))]
	answer, err := post(ingest+f.path, f.body)
	took := time.Since(begin)

	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
	if took > answerInTime {
		l.violated = append(l.violated, fmt.Sprintf("%s was answered after %s: %s, %v", f.event, took, answer, err))
	}
	switch {
	case err == nil && answer.status/100 == 2:
		l.acked.Add(1)
		return true
	case err == nil && (answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == ""):
		l.violated = append(l.violated, fmt.Sprintf("%s was answered %s, Retry-After %q", f.event, answer, answer.header.Get("Retry-After")))
	}
	l.failed.Add(1)
	return false
}

// awaitAcked waits until a number of further webhooks are accepted.
func (l *load) awaitAcked(t *testing.T, more int64) {
	t.Helper()
	want := l.acked.Load() + more
	wait.Until(t, appliedWithin, fmt.Sprintf("%d more webhooks are accepted", more), func() bool { return l.acked.Load() >= want })
}

// finish ends the load, and sends the webhooks that were not accepted until all are.
func (l *load) finish(t *testing.T) {
	t.Helper()
	l.end()
	t.Logf("%d webhooks, %d attempts accepted, %d failed, slowest answer %s",
		len(l.sent), l.acked.Load(), l.failed.Load(), l.slowest.Round(time.Millisecond))
	wait.Until(t, 2*appliedWithin, "all webhooks are accepted", func() bool {
		l.unacked = l.resend(l.unacked)
		return len(l.unacked) == 0
	})
	for _, v := range l.violated {
		t.Error(v)
	}
}

// resend sends webhooks again and returns those that were not accepted.
func (l *load) resend(facts []fact) []fact {
	accepted := make([]bool, len(facts))
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := sender; i < len(facts); i += senders {
				accepted[i] = l.attempt(facts[i])
			}
		})
	}
	wg.Wait()
	var left []fact
	for i, f := range facts {
		if !accepted[i] {
			left = append(left, f)
		}
	}
	return left
}
