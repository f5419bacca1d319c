package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/payrelay/payrelay/modules/bench/load"
)

const (
	// readers is the number of concurrent requests to the public API.
	readers = 4
	// ordersPerBatch and eventsPerBatch bound what one batch of requests is about.
	ordersPerBatch, eventsPerBatch = 50, 200
	// settleTimeout is how long missing webhooks may take to appear at a target whose
	// backlog is unknown because it has no admin listener.
	settleTimeout = 30 * time.Second
	// shownProblems is the number of problems in an error message.
	shownProblems = 10
	// readTimeout is long because the machine has just been under load.
	readTimeout = 15 * time.Second
)

// check compares the database with what was sent. If there is a difference, all
// figures are void.
func (t *trial) check(ctx context.Context) error {
	if t.deployment.API == "" {
		return nil // Report.Unchecked has the reason
	}
	t.step("check")
	for begin := time.Now(); ; {
		problems, err := t.problems(ctx)
		if err != nil {
			return err
		}
		if len(problems) == 0 {
			return nil
		}
		if time.Since(begin) > settleTimeout || len(t.deployment.Admins) > 0 {
			return t.void(errors.New(summary(problems)))
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

func summary(problems []string) string {
	text := fmt.Sprintf("%d problems in the database", len(problems))
	for i, p := range problems {
		if i == shownProblems {
			return text + "\n  and more"
		}
		text += "\n  " + p
	}
	return text
}

// problems reads everything that is stored about the orders of this trial and
// returns what the audit finds wrong.
func (t *trial) problems(ctx context.Context) ([]string, error) {
	api := &apiClient{t.deployment.API, &http.Client{Timeout: readTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: readers}}}
	defer api.client.CloseIdleConnections()
	batches, results := make(chan []load.Order), make(chan []string)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		defer close(batches)
		return batchOrders(ctx, t.provider, batches)
	})
	for range readers {
		work.Go(func() error {
			for orders := range batches {
				stored, err := api.read(ctx, orders)
				if err != nil {
					return err
				}
				results <- audit(orders, stored)
			}
			return nil
		})
	}
	failed := make(chan error, 1)
	go func() { failed <- work.Wait(); close(results) }()
	var problems []string
	for some := range results {
		problems = append(problems, some...)
	}
	return problems, <-failed
}

// batchOrders sends all orders to a channel in batches.
func batchOrders(ctx context.Context, p *load.Provider, batches chan<- []load.Order) error {
	var orders []load.Order
	events := 0
	flush := func() error {
		select {
		case batches <- orders:
			orders, events = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for o := range p.Orders() {
		if len(orders) > 0 && (len(orders) == ordersPerBatch || events+len(o.Webhooks) > eventsPerBatch) {
			if err := flush(); err != nil {
				return err
			}
		}
		orders, events = append(orders, o), events+len(o.Webhooks)
	}
	if len(orders) == 0 {
		return nil
	}
	return flush()
}

// apiClient reads the public API.
type apiClient struct {
	url    string
	client *http.Client
}

// The members of the public API's items that the audit compares.
type (
	eventItem struct {
		EventID    string `json:"event_id"`
		OrderID    string `json:"order_id"`
		Kind       string `json:"kind"`
		Verdict    string `json:"verdict"`
		Reason     string `json:"reason"`
		BodySHA256 string `json:"body_sha256"`
	}
	stateItem struct {
		OrderID   string `json:"order_id"`
		DisputeID string `json:"dispute_id"`
		Status    string `json:"status"`
	}
)

// read returns what is stored about orders and their disputes.
func (c *apiClient) read(ctx context.Context, orders []load.Order) (s stored, err error) {
	ids, disputed := make([]string, len(orders)), false
	for i, o := range orders {
		ids[i] = o.ID
		for _, w := range o.Webhooks {
			disputed = disputed || w.Dispute
		}
	}
	if s.events, err = list[eventItem](ctx, c, "/orders/events", ids); err != nil {
		return s, err
	}
	if s.orders, err = list[stateItem](ctx, c, "/orders", ids); err != nil || !disputed {
		return s, err
	}
	events, err := list[eventItem](ctx, c, "/disputes/events", ids)
	if err != nil {
		return s, err
	}
	s.events = append(s.events, events...)
	s.disputes, err = list[stateItem](ctx, c, "/disputes", ids)
	return s, err
}

// list reads all pages of a listing about the orders.
func list[T any](ctx context.Context, c *apiClient, path string, orderIDs []string) ([]T, error) {
	query := url.Values{"limit": {"200"}, "sort_asc": {"true"}, "order_ids": orderIDs}
	var all []T
	for {
		var page struct {
			Items      []T
			NextCursor string `json:"next_cursor"`
			HasMore    bool   `json:"has_more"`
		}
		if err := c.get(ctx, path+"?"+query.Encode(), &page); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, page.Items...)
		if !page.HasMore {
			return all, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

func (c *apiClient) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("unexpected status %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
