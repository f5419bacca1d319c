package kafka

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
)

// stubGroup is a member of a group with one partition.
type stubGroup struct {
	sarama.ConsumerGroup
	errors chan error
	ended  atomic.Bool // reports whether the partition is not consumed any more
}

func (g *stubGroup) Consume(ctx context.Context, _ []string, handler sarama.ConsumerGroupHandler) error {
	defer g.ended.Store(true)
	return handler.ConsumeClaim(stubSession{ctx: ctx}, stubClaim{})
}

func (g *stubGroup) Errors() <-chan error { return g.errors }
func (g *stubGroup) Close() error         { close(g.errors); return nil }

type stubSession struct {
	sarama.ConsumerGroupSession
	ctx context.Context
}

func (s stubSession) Context() context.Context { return s.ctx }

// slowClient answers a question for an offset a second after it was closed.
type slowClient struct {
	sarama.Client
	closed  chan struct{}
	waiting atomic.Int64
}

func (c *slowClient) GetOffset(string, int32, int64) (int64, error) {
	c.waiting.Add(1)
	defer c.waiting.Add(-1)
	<-c.closed
	time.Sleep(time.Second)
	return 0, sarama.ErrClosedClient
}

func (c *slowClient) Close() error { close(c.closed); return nil }

// A request that is under way when a partition is lost does not delay the next session, and
// has ended when the consumer has.
func TestRunWaitsForTheQuestionForAnOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group, client := &stubGroup{errors: make(chan error)}, &slowClient{closed: make(chan struct{})}
		consumer := &Consumer{group: group, client: client, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- consumer.Run(ctx) }()
		time.Sleep(followInterval + time.Second)
		if client.waiting.Load() != 1 || group.ended.Load() {
			t.Fatalf("%d questions are waiting, want 1 while the partition is consumed", client.waiting.Load())
		}
		cancel()
		synctest.Wait()
		if !group.ended.Load() {
			t.Error("ConsumeClaim() waits for a request, want it to return")
		}
		if err := <-done; err != nil || client.waiting.Load() != 0 {
			t.Errorf("Run() = %v with %d questions under way, want nil and none", err, client.waiting.Load())
		}
	})
}
