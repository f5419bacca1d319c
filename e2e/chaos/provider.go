package chaos

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// senders are how many webhooks are under way at most, copies aside.
	senders = 64
	// patience is for how many webhooks that were not accepted the provider goes
	// on with new ones.
	patience = 1000
	// A webhook that was not accepted is sent again after a while, which grows.
	firstPause = 100 * time.Millisecond
	mostPause  = time.Second
	// pauseInTrouble is what a sender waits after a webhook that was not accepted.
	pauseInTrouble = 40 * time.Millisecond
	// drainWithin is how long it may take until all is answered in the end.
	drainWithin = 60 * time.Second
)

// Provider tells the orders of a generator, one after the other by several
// senders, and sends again what was not answered for good, until it is.
type Provider struct {
	generator Generator
	client    *client
	stopping  atomic.Bool
	orders    atomic.Int64
	acked     atomic.Int64
	senders   sync.WaitGroup

	mu    sync.Mutex
	later backlog
	// open counts webhooks that are not answered for good: waiting or under way.
	open int
}

// StartProvider begins to send to the edges: their names and URLs.
func StartProvider(ctx context.Context, g Generator, ledger *Ledger, edges []Edge) *Provider {
	p := &Provider{generator: g, client: newClient(ledger, edges)}
	for range senders {
		p.senders.Go(func() { p.send(ctx) })
	}
	return p
}

// Acked is how many different webhooks were answered 2xx so far.
func (p *Provider) Acked() int64 { return p.acked.Load() }

// Finish tells no more orders, and waits until all that was told is answered for
// good or the time for that is up. It returns how many orders were told, and how
// many webhooks are not answered.
func (p *Provider) Finish() (orders, unanswered int) {
	p.stopping.Store(true)
	p.senders.Wait()
	p.client.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.orders.Load()), p.open
}

// wait is for a provider that was told to end by its context; there may be none.
func (p *Provider) wait() {
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
				p.tell(ctx)
			} else {
				pause(ctx, pauseInTrouble)
			}
			continue
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(drainWithin)
		}
		if p.idle() || time.Now().After(giveUp) {
			return
		}
		pause(ctx, pauseInTrouble)
	}
}

// tell sends the webhooks of the next order.
func (p *Provider) tell(ctx context.Context) {
	number := p.orders.Add(1) - 1
	deliveries := p.generator.Order(int(number))
	p.mu.Lock()
	p.open += len(deliveries)
	p.mu.Unlock()
	for _, d := range deliveries {
		p.deliver(ctx, waiting{Delivery: d})
	}
}

// deliver makes one attempt, or as many at once as the delivery has copies, and
// keeps for later what has to come again.
func (p *Provider) deliver(ctx context.Context, d waiting) {
	answered := p.attempt(ctx, d)
	if answered && !d.acked && d.Webhook.Refused == 0 {
		d.acked = true
		p.acked.Add(1)
	}
	switch {
	case !answered:
		d.tries++
		p.keep(d, min(firstPause<<min(d.tries-1, 10), mostPause))
		pause(ctx, pauseInTrouble)
	case d.Again > 0:
		again := d.Again
		d.Again, d.Copies = 0, 1
		p.keep(d, again)
	default:
		p.mu.Lock()
		p.open--
		p.mu.Unlock()
	}
}

// attempt says whether one of the copies was answered for good.
func (p *Provider) attempt(ctx context.Context, d waiting) bool {
	if d.Copies == 1 {
		return p.once(ctx, d.Webhook)
	}
	var copies sync.WaitGroup
	var answered atomic.Bool
	for range d.Copies {
		copies.Go(func() {
			if p.once(ctx, d.Webhook) {
				answered.Store(true)
			}
		})
	}
	copies.Wait()
	return answered.Load()
}

func (p *Provider) once(ctx context.Context, w *Webhook) bool {
	a := p.client.post(ctx, w)
	return a.accepted() || a.refused()
}

// waiting is a delivery that has to be made, or made again.
type waiting struct {
	Delivery
	tries int
	acked bool
	at    time.Time
}

func (p *Provider) keep(d waiting, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.at = time.Now().Add(after)
	heap.Push(&p.later, d)
}

// due takes a delivery whose time has come. When the provider stops, the time of
// those that were accepted before has come too.
func (p *Provider) due() (waiting, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.later) == 0 || p.later[0].at.After(time.Now()) && !(p.stopping.Load() && p.later[0].tries == 0) {
		return waiting{}, false
	}
	return heap.Pop(&p.later).(waiting), true
}

func (p *Provider) mayBegin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.later) < patience
}

func (p *Provider) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open == 0
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// backlog is a heap: what is due first comes first.
type backlog []waiting

func (b backlog) Len() int           { return len(b) }
func (b backlog) Less(i, j int) bool { return b[i].at.Before(b[j].at) }
func (b backlog) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *backlog) Push(item any)     { *b = append(*b, item.(waiting)) }
func (b *backlog) Pop() any {
	last := len(*b) - 1
	item := (*b)[last]
	*b = (*b)[:last]
	return item
}
