package workload

import (
	"context"
	"fmt"
	"sync"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/internal/wait"
)

// Sentinels are webhooks that are sent after all others, once in each round: when they
// are applied, so is everything that was accepted before. There are enough of them for
// every partition of every topic to get one.
const (
	sentinelOrders = 64
	// Sentinels is the number of sentinels of a round, and SentinelUser the user that they name.
	Sentinels    = 2 * sentinelOrders
	SentinelUser = "sentinel"
)

// SendSentinels sends the sentinels of a round, numbered from 0, until all of them are
// accepted or ctx ends.
func SendSentinels(ctx context.Context, recorder *history.Recorder, urls map[string]string, round int) error {
	c := newClient(recorder, urls)
	defer c.close()
	var sending sync.WaitGroup
	failures := make([]error, sentinelOrders)
	for i := range failures {
		sending.Go(func() { failures[i] = c.sendSentinel(ctx, round*sentinelOrders+i) })
	}
	sending.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// sendSentinel sends an order and a dispute.
func (c *client) sendSentinel(ctx context.Context, i int) error {
	id, at := fmt.Sprint("sentinel-", i), epoch.UnixMicro()
	for _, w := range []*history.Webhook{
		OrderWebhook(id+"-0", history.Facts{Order: id, User: SentinelUser, Status: "created", Amount: history.Money{Minor: 1, Currency: "USD"}, At: at, CreatedAt: at}),
		DisputeWebhook(id+"-1", history.Facts{Order: id, Dispute: id, User: SentinelUser, Status: "open", Reason: "fraud", Amount: history.Money{Minor: 1, Currency: "USD"}, At: at}),
	} {
		for a := c.post(ctx, w); !a.Accepted(); a = c.post(ctx, w) {
			if ctx.Err() != nil {
				return fmt.Errorf("send %s after the last fault: it was not accepted in time", w.Event)
			}
			wait.Pause(ctx, minBackoff)
		}
	}
	return nil
}
