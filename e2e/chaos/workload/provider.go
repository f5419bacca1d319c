package workload

import (
	"container/heap"
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/internal/wait"
)

const (
	// senders is the number of webhooks in flight, copies not counted.
	senders = 64
	// maxBacklog is the number of webhooks that wait to be sent again above which
	// the provider begins no new orders.
	maxBacklog = 1000
	// A webhook without a final answer is sent again after minBackoff, then after
	// twice as long each time, up to maxBackoff.
	minBackoff = 100 * time.Millisecond
	maxBackoff = time.Second
	// senderPause is how long a sender waits after a webhook that was not accepted.
	senderPause = 40 * time.Millisecond
	// DrainWithin is how long [Provider.Finish] waits for final answers.
	DrainWithin = 60 * time.Second
)

// Provider sends the webhooks of a generator, order by order from several senders,
// and sends each again until it has a final answer.
type Provider struct {
	generator Generator
	client    *client
	stopping  atomic.Bool
	orders    atomic.Int64
	acked     atomic.Int64
	senders   sync.WaitGroup

	mu      sync.Mutex
	backlog backlog
	// open counts the webhooks without a final answer, waiting or in flight.
	open int
	// held are the webhooks that are held back.
	held []pending
}

// StartProvider begins to send to the ingest processes with these names and URLs, until
// [Provider.Finish] or the end of ctx.
func StartProvider(ctx context.Context, g Generator, recorder *history.Recorder, urls map[string]string) *Provider {
	p := &Provider{generator: g, client: newClient(recorder, urls)}
	for range senders {
		p.senders.Go(func() { p.send(ctx) })
	}
	return p
}

// Acked returns the number of different webhooks that were answered 2xx so far.
func (p *Provider) Acked() int64 { return p.acked.Load() }

// Finish begins no more orders, and waits until every webhook has a final answer
// or [DrainWithin] has passed. It returns the number of orders that were begun and
// of webhooks without a final answer.
func (p *Provider) Finish() (orders, unanswered int) {
	p.stopping.Store(true)
	p.senders.Wait()
	p.client.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.orders.Load()), p.open
}

// Resume sends what was held back, and again every webhook with one of the keys, and
// waits like [Provider.Finish]. It returns the number of webhooks without a final
// answer.
func (p *Provider) Resume(ctx context.Context, again []history.Key) (unanswered int) {
	p.mu.Lock()
	due := p.held
	p.held = nil
	p.mu.Unlock()
	for number := range int(p.orders.Load()) {
		if number == OperatedOrders {
			break
		}
		for _, d := range p.generator.Order(number) {
			for _, w := range append([]*history.Webhook{d.Webhook}, d.Then...) {
				if w.Valid() && slices.Contains(again, w.Key()) {
					due = append(due, pending{Delivery: Delivery{Webhook: w, Copies: 1}, acked: true})
				}
			}
		}
	}
	p.mu.Lock()
	p.open += len(due)
	p.mu.Unlock()
	for _, d := range due {
		p.enqueue(d, 0)
	}
	for range senders {
		p.senders.Go(func() { p.send(ctx) })
	}
	_, unanswered = p.Finish()
	return unanswered
}

// Wait waits for the senders of a provider whose context has ended. The provider
// may be nil.
func (p *Provider) Wait() {
	if p != nil {
		p.senders.Wait()
	}
}

func (p *Provider) send(ctx context.Context) {
	var giveUp time.Time
	for ctx.Err() == nil {
		if d, due := p.due(); due {
			p.deliver(ctx, d)
			continue
		}
		if !p.stopping.Load() {
			if p.mayBegin() {
				p.beginOrder(ctx)
			} else {
				wait.Pause(ctx, senderPause)
			}
			continue
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(DrainWithin)
		}
		if p.idle() || time.Now().After(giveUp) {
			return
		}
		wait.Pause(ctx, senderPause)
	}
}

// beginOrder sends the webhooks of the next order.
func (p *Provider) beginOrder(ctx context.Context) {
	number := p.orders.Add(1) - 1
	var turn []pending
	p.mu.Lock()
	for _, d := range p.generator.Order(int(number)) {
		if d.Held {
			p.held = append(p.held, pending{Delivery: d})
			continue
		}
		turn = append(turn, pending{Delivery: d})
	}
	p.open += len(turn)
	p.mu.Unlock()
	for _, d := range turn {
		if d.After > 0 {
			p.enqueue(d, d.After)
		} else {
			p.deliver(ctx, d)
		}
	}
}

// deliver makes one attempt, or as many at once as the delivery has copies, and
// adds the delivery to the backlog if it must be sent again.
func (p *Provider) deliver(ctx context.Context, d pending) {
	answered := p.attempt(ctx, d)
	if answered && !d.acked && d.Webhook.Valid() {
		d.acked = true
		p.acked.Add(1)
		p.follow(d.Then)
	}
	switch {
	case !answered:
		d.tries++
		p.enqueue(d, min(minBackoff<<min(d.tries-1, 10), maxBackoff))
		wait.Pause(ctx, senderPause)
	case d.Again > 0:
		again := d.Again
		d.Again, d.Copies = 0, 1
		p.enqueue(d, again)
	default:
		p.mu.Lock()
		p.open--
		p.mu.Unlock()
	}
}

// follow adds the webhooks with the key of one that was accepted to the backlog. The
// first to be recorded under a key counts, so they must not come before it.
func (p *Provider) follow(then []*history.Webhook) {
	p.mu.Lock()
	p.open += len(then)
	p.mu.Unlock()
	for _, w := range then {
		p.enqueue(pending{Delivery: Delivery{Webhook: w, Copies: 1}}, minBackoff)
	}
}

// attempt reports whether one of the copies got a final answer.
func (p *Provider) attempt(ctx context.Context, d pending) bool {
	var copies sync.WaitGroup
	var answered atomic.Bool
	for range d.Copies {
		copies.Go(func() {
			if a := p.client.post(ctx, d.Webhook); a.Accepted() || a.Refused() || d.Webhook.Forged() && a.Status == http.StatusTooManyRequests {
				answered.Store(true)
			}
		})
	}
	copies.Wait()
	return answered.Load()
}

// pending is a delivery that has to be made, or made again.
type pending struct {
	Delivery
	tries int
	acked bool
	at    time.Time
}

func (p *Provider) enqueue(d pending, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.at = time.Now().Add(after)
	heap.Push(&p.backlog, d)
}

// due removes a delivery whose time has come from the backlog. A provider that
// stops does not wait for the time of those that were accepted before.
func (p *Provider) due() (pending, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.backlog) == 0 || p.backlog[0].at.After(time.Now()) && !(p.stopping.Load() && p.backlog[0].tries == 0) {
		return pending{}, false
	}
	return heap.Pop(&p.backlog).(pending), true
}

func (p *Provider) mayBegin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.backlog) < maxBacklog
}

func (p *Provider) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open == 0
}

// backlog is a heap by the time at which a delivery is due.
type backlog []pending

func (b backlog) Len() int           { return len(b) }
func (b backlog) Less(i, j int) bool { return b[i].at.Before(b[j].at) }
func (b backlog) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *backlog) Push(item any)     { *b = append(*b, item.(pending)) }
func (b *backlog) Pop() any {
	last := len(*b) - 1
	item := (*b)[last]
	*b = (*b)[:last]
	return item
}
