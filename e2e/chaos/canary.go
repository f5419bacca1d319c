package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// canaries is how many orders are told in the end: enough that each partition of
// each topic gets one. What was accepted before is applied before them.
const canaries = 64

// awaitApplied sends the canaries and waits until the database has them.
func (r *run) awaitApplied(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, caughtUpWithin)
	defer cancel()
	if err := r.sendCanaries(ctx); err != nil {
		return err
	}
	db, err := r.cluster.open()
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return errors.Join(r.awaitCanaries(ctx, db), db.Close())
}

func (r *run) sendCanaries(ctx context.Context) error {
	client := newClient(r.ledger, r.cluster.edges())
	defer client.close()
	var sending sync.WaitGroup
	failures := make(chan error, canaries)
	for i := range canaries {
		sending.Go(func() { failures <- client.insist(ctx, canary(i)) })
	}
	sending.Wait()
	for range canaries {
		if err := <-failures; err != nil {
			return err
		}
	}
	return nil
}

// canary is an order with a dispute.
func canary(i int) []*Webhook {
	id := fmt.Sprint("canary-", i)
	f := Facts{Order: id, User: "canary", Status: "created", Amount: 1, Currency: "USD", At: birth.UnixMicro(), CreatedAt: birth.UnixMicro()}
	d := Facts{Order: id, Dispute: id, User: "canary", Status: "open", Reason: "fraud", Amount: 1, Currency: "USD", At: birth.UnixMicro()}
	return []*Webhook{orderWebhook(id+"-0", f), disputeWebhook(id+"-1", d)}
}

// insist sends webhooks until they are accepted.
func (c *client) insist(ctx context.Context, webhooks []*Webhook) error {
	for _, w := range webhooks {
		for a := c.post(ctx, w); !a.accepted(); a = c.post(ctx, w) {
			if ctx.Err() != nil {
				return fmt.Errorf("%s was not accepted within %s after the last fault", w.Event, caughtUpWithin)
			}
			pause(ctx, firstPause)
		}
	}
	return nil
}

func (r *run) awaitCanaries(ctx context.Context, db *sql.DB) error {
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	for {
		found := 0
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE user_id = 'canary'").Scan(&found)
		if err == nil && found >= 2*canaries {
			return nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d webhooks that were sent after the last fault are applied after %s", found, 2*canaries, caughtUpWithin)
		}
	}
}
