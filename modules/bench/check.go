package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/payrelay/payrelay/modules/bench/load"
)

const (
	// readers ask the public API at once.
	readers = 4
	// ordersAtOnce and eventsAtOnce are how much one question is about.
	ordersAtOnce, eventsAtOnce = 50, 200
	// settleWithin is how long what is missing may take to come, where nobody can
	// tell whether all is applied.
	settleWithin = 30 * time.Second
	// shownWrongs is how many of them are told.
	shownWrongs = 10
)

// check compares the database with what was sent. What is wrong makes all that
// was measured void.
func (s *session) check(ctx context.Context) error {
	if s.deployment.API == "" {
		return nil // the report says so
	}
	s.say("check")
	for begin := time.Now(); ; {
		wrong, err := s.wrongs(ctx)
		if err != nil {
			return err
		}
		if len(wrong) == 0 {
			return nil
		}
		if time.Since(begin) > settleWithin || len(s.deployment.Admins) > 0 {
			return s.void(s.variant, s.round, errors.New(summary(wrong)))
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

func summary(wrong []string) string {
	text := fmt.Sprintf("%d things are wrong in the database", len(wrong))
	for i, w := range wrong {
		if i == shownWrongs {
			return text + "\n  and so on"
		}
		text += "\n  " + w
	}
	return text
}

// wrongs reads all that is stored about the orders of this session and says what
// is wrong with it.
func (s *session) wrongs(ctx context.Context) ([]string, error) {
	api := newPages(s.deployment.API)
	defer api.client.CloseIdleConnections()
	questions, answers := make(chan []load.Order), make(chan []string)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		defer close(questions)
		return ask(ctx, s.provider, questions)
	})
	for range readers {
		work.Go(func() error {
			for orders := range questions {
				wrong, err := compare(ctx, api, orders)
				if err != nil {
					return err
				}
				answers <- wrong
			}
			return nil
		})
	}
	failed := make(chan error, 1)
	go func() { failed <- work.Wait(); close(answers) }()
	var wrong []string
	for some := range answers {
		wrong = append(wrong, some...)
	}
	return wrong, <-failed
}

// ask hands out all orders, as many as fit into a question.
func ask(ctx context.Context, p *load.Provider, questions chan<- []load.Order) error {
	var orders []load.Order
	events := 0
	send := func() error {
		select {
		case questions <- orders:
			orders, events = nil, 0
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for o := range p.Orders() {
		if len(orders) > 0 && (len(orders) == ordersAtOnce || events+len(o.Webhooks) > eventsAtOnce) {
			if err := send(); err != nil {
				return err
			}
		}
		orders, events = append(orders, o), events+len(o.Webhooks)
	}
	if len(orders) == 0 {
		return nil
	}
	return send()
}

// compare looks at some orders.
func compare(ctx context.Context, api *pages, orders []load.Order) ([]string, error) {
	ids, disputed := make([]string, len(orders)), false
	for i, o := range orders {
		ids[i] = o.ID
		for _, w := range o.Webhooks {
			disputed = disputed || w.Dispute
		}
	}
	var stored stored
	var err error
	if stored.events, err = list[eventItem](ctx, api, "/orders/events", ids); err != nil {
		return nil, err
	}
	if stored.orders, err = list[stateItem](ctx, api, "/orders", ids); err != nil {
		return nil, err
	}
	if disputed {
		more, err := list[eventItem](ctx, api, "/disputes/events", ids)
		if err != nil {
			return nil, err
		}
		stored.events = append(stored.events, more...)
		if stored.disputes, err = list[stateItem](ctx, api, "/disputes", ids); err != nil {
			return nil, err
		}
	}
	return audit(orders, stored), nil
}
