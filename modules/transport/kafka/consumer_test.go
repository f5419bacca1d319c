package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// ledger is the far side of the consumer. It records the calls, and fails while failing
// is set. If gate is not nil, each call waits for a receive from it.
type ledger struct {
	mu      sync.Mutex
	batches [][]string
	letters []*payrelayv1.UndecodableRecord
	tries   int
	failing bool
	failure error // nil means an outage
	gate    chan struct{}
}

func (l *ledger) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	if err := l.try(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for _, update := range updates {
		ids = append(ids, update.GetEventId())
	}
	l.batches = append(l.batches, ids)
	return make([]*payrelayv1.Outcome, len(updates)), nil
}

func (l *ledger) DeadLetter(ctx context.Context, record *payrelayv1.UndecodableRecord) error {
	if err := l.try(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.letters = append(l.letters, record)
	return nil
}

func (l *ledger) try(ctx context.Context) error {
	l.mu.Lock()
	l.tries++
	failing, failure := l.failing, l.failure
	l.mu.Unlock()
	if failing {
		return cmp.Or(failure, errors.New("the database is down"))
	}
	if l.gate == nil {
		return nil
	}
	select {
	case <-l.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *ledger) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = false
}

func (l *ledger) tried() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tries
}

func (l *ledger) applied() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, batch := range l.batches {
		all = append(all, batch...)
	}
	return all
}

func consume(t *testing.T, cfg Config, l *ledger) (*Consumer, *transporttest.Running) {
	t.Helper()
	consumer, err := NewConsumer(cfg, l, l, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	r := transporttest.Start(consumer.Run)
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return consumer, r
}

func lagIs(c *Consumer, want int64) bool {
	records, known := c.Lag()
	return known && records == want
}

func publishAll(t *testing.T, cfg Config, from, to int) {
	t.Helper()
	client, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var updates []*payrelayv1.Update
	for i := from; i < to; i++ {
		updates = append(updates, orderUpdate(fmt.Sprintf("event-%d", i)))
	}
	if _, err := client.Apply(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConsumerTakesWhatWasPublishedBefore(t *testing.T) {
	_, cfg := startKafka(t)
	publishAll(t, cfg, 0, 2000)
	l := &ledger{}
	consumer, _ := consume(t, cfg, l)
	wait.Until(t, patience, "all records", func() bool { return len(l.applied()) == 2000 })
	wait.Until(t, patience, "no lag", func() bool { return lagIs(consumer, 0) })
	for i, id := range l.applied() {
		if id != fmt.Sprintf("event-%d", i) {
			t.Fatalf("record %d = %s", i, id)
		}
	}
	if len(l.batches) > 200 {
		t.Errorf("2000 waiting records came in %d batches, want at most 200", len(l.batches))
	}
	for _, batch := range l.batches {
		if len(batch) > maxBatchRecords {
			t.Errorf("a batch has %d records, want at most %d", len(batch), maxBatchRecords)
		}
	}
}

func TestUnaryConsumerTakesOneRecordAtATime(t *testing.T) {
	_, cfg := startKafka(t)
	cfg.Unary = true
	publishAll(t, cfg, 0, 20)
	l := &ledger{}
	consume(t, cfg, l)
	wait.Until(t, patience, "all records", func() bool { return len(l.applied()) == 20 })
	if len(l.batches) != 20 {
		t.Errorf("20 records came in %d batches, want 20", len(l.batches))
	}
}

// A batch in flight is applied and committed, so that no other member gets it again.
func TestStoppingFinishesTheBatchInFlight(t *testing.T) {
	for _, instance := range []string{"", "payrelay-0"} {
		_, cfg := startKafka(t)
		cfg.InstanceID = instance
		publishAll(t, cfg, 0, 10)
		l := &ledger{gate: make(chan struct{})}
		consumer, r := consume(t, cfg, l)
		wait.Until(t, patience, "a batch in flight", func() bool { return l.tried() == 1 })
		r.Cancel()
		select {
		case err := <-r.Done:
			t.Fatalf("Run = %v with a batch in flight", err)
		case <-time.After(100 * time.Millisecond): // Apply continues although its session has ended
		}
		select {
		case l.gate <- struct{}{}:
		case err := <-r.Done:
			t.Fatalf("Run = %v, and dropped the batch in flight", err)
		}
		if err := r.Stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		done := len(l.applied())
		if done == 0 || consumer.Ready() {
			t.Fatalf("%d records were applied, Ready() = %v", done, consumer.Ready())
		}
		next := &ledger{}
		publishAll(t, cfg, 10, 11)
		consume(t, cfg, next)
		wait.Until(t, patience, "the last record", func() bool { return len(next.applied()) == 11-done })
		if first := next.applied()[0]; first != fmt.Sprintf("event-%d", done) {
			t.Errorf("after %d applied records the next member starts with %s", done, first)
		}
	}
}

func TestConsumerWaitsForAFailingLedger(t *testing.T) {
	_, cfg := startKafka(t)
	publishAll(t, cfg, 0, 5)
	publishRaw(t, cfg, []byte("garbage"))
	l := &ledger{failing: true}
	consumer, _ := consume(t, cfg, l)
	wait.Until(t, patience, "a few attempts", func() bool { return l.tried() >= 4 })
	consumer.PartitionLags(func(topic string, partition int32, records int64) {
		if want := map[string]int64{cfg.OrdersTopic: 6}[topic]; records != want || partition != 0 {
			t.Errorf("lag of partition %d of %s = %d, want %d", partition, topic, records, want)
		}
	})
	if len(l.applied()) != 0 || len(l.letters) != 0 || !lagIs(consumer, 6) {
		t.Errorf("%d applied, %d dead letters, want none and a lag of 6", len(l.applied()), len(l.letters))
	}
	l.heal()
	wait.Until(t, patience, "the dead letter", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.letters) == 1
	})
	if got := len(l.applied()); got != 5 {
		t.Errorf("%d updates were applied, want 5", got)
	}
	letter := l.letters[0]
	if letter.GetTopic() != cfg.OrdersTopic || letter.GetPartition() != 0 || letter.GetOffset() != 5 || string(letter.GetValue()) != "garbage" {
		t.Errorf("dead letter = %v", letter)
	}
}

// Records that were not applied are not committed: the next member gets them.
func TestStoppingWhileTheLedgerFails(t *testing.T) {
	_, cfg := startKafka(t)
	publishAll(t, cfg, 0, 5)
	l := &ledger{failing: true}
	_, r := consume(t, cfg, l)
	wait.Until(t, patience, "an attempt", func() bool { return l.tried() >= 1 })
	start := time.Now()
	if err := r.Stop(); err != nil || time.Since(start) > 3*time.Second {
		t.Errorf("Run = %v after %v", err, time.Since(start))
	}
	next := &ledger{}
	consume(t, cfg, next)
	wait.Until(t, patience, "all records", func() bool { return len(next.applied()) == 5 })
}

func TestStoppingAnIdleConsumerIsQuick(t *testing.T) {
	_, cfg := startKafka(t)
	consumer, r := consume(t, cfg, &ledger{})
	wait.Until(t, patience, "the consumer to join", consumer.Ready)
	start := time.Now()
	if err := r.Stop(); err != nil || time.Since(start) > 2*time.Second {
		t.Errorf("Run = %v after %v", err, time.Since(start))
	}
}

func TestConsumerOutlivesItsBroker(t *testing.T) {
	b, cfg := startKafka(t)
	l := &ledger{}
	consumer, _ := consume(t, cfg, l)
	publishAll(t, cfg, 0, 1)
	wait.Until(t, patience, "the first record", func() bool { return len(l.applied()) == 1 })
	b.kill()
	b.revive()
	publishAll(t, cfg, 1, 2)
	wait.Until(t, patience, "a record after the restart", func() bool { return len(l.applied()) >= 2 })
	wait.Until(t, patience, "membership", consumer.Ready)
}

func TestRunWithACancelledContext(t *testing.T) {
	_, cfg := startKafka(t)
	consumer, err := NewConsumer(cfg, &ledger{}, &ledger{}, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := consumer.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, end := context.WithCancel(t.Context())
		ctx, cancel := linger(parent, time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Fatal("the context ended before its parent")
		}
		end()
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("the context ended with its parent")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("the context did not end after the grace")
		}
	})
}

// stubClaim is a partition with the records of a test.
type stubClaim struct {
	sarama.ConsumerGroupClaim
	messages chan *sarama.ConsumerMessage
}

func (s stubClaim) Messages() <-chan *sarama.ConsumerMessage { return s.messages }
func (s stubClaim) Topic() string                            { return "webhooks.orders" }
func (s stubClaim) Partition() int32                         { return 0 }
func (s stubClaim) InitialOffset() int64                     { return sarama.OffsetOldest }
func (s stubClaim) HighWaterMarkOffset() int64               { return 7 }

func TestBatchesAreBounded(t *testing.T) {
	records := func(n, size int) stubClaim {
		messages := make(chan *sarama.ConsumerMessage, n)
		for range n {
			messages <- &sarama.ConsumerMessage{Value: make([]byte, size)}
		}
		close(messages)
		return stubClaim{messages: messages}
	}
	for _, test := range []struct {
		name    string
		unary   bool
		n, size int
		want    []int
	}{
		{"by number", false, 1025, 10, []int{512, 512, 1}},
		{"by size", false, 10, 1 << 20, []int{4, 4, 2}},
		{"unary", true, 3, 10, []int{1, 1, 1}},
		{"no records", false, 0, 0, nil},
	} {
		c := newClaim(&Consumer{cfg: Config{Unary: test.unary}}, records(test.n, test.size))
		var got []int
		for batch := range c.batches(t.Context()) {
			got = append(got, len(batch))
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: batches of %v, want %v", test.name, got, test.want)
		}
	}
}

func TestClaimEndsWithItsSession(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	messages := make(chan *sarama.ConsumerMessage)
	for range newClaim(&Consumer{}, stubClaim{messages: messages}).batches(ctx) {
		t.Error("batches yields after the end of the session")
	}
}

func TestLagOfAFreshClaim(t *testing.T) {
	at := topicPartition{"webhooks.orders", 0}
	for want, oldest := range map[int64]map[topicPartition]int64{
		7: {at: 0}, 2: {at: 5}, 0: {at: 7}, UnknownOffset: nil,
	} {
		if lag := newClaim(&Consumer{oldest: oldest}, stubClaim{}).lag(); lag != want {
			t.Errorf("with the oldest offsets %v: lag() = %d, want %d", oldest, lag, want)
		}
	}
}

// The first record makes an unknown lag known.
func TestLagWithoutTheOldestOffsets(t *testing.T) {
	messages := make(chan *sarama.ConsumerMessage, 1)
	messages <- &sarama.ConsumerMessage{Offset: 4}
	c := newClaim(&Consumer{}, stubClaim{messages: messages})
	for range c.batches(t.Context()) {
		break
	}
	if c.lag() != 3 {
		t.Errorf("lag() = %d, want 3", c.lag())
	}
}

// Records that expired before the group existed do not count.
func TestLagOfANewGroup(t *testing.T) {
	cfg := onePartition(t)
	publishAll(t, cfg, 0, 10)
	err := WithAdmin(t.Context(), cfg.ClusterConfig, func(admin sarama.ClusterAdmin) error {
		return admin.DeleteRecords(cfg.OrdersTopic, map[int32]int64{0: 10})
	})
	if err != nil {
		t.Fatal(err)
	}
	consumer, _ := consume(t, cfg, &ledger{})
	wait.Until(t, patience, "no lag", func() bool { return lagIs(consumer, 0) })
}

// The lag of a partition that is not consumed is unknown.
func TestLagWithoutAClaim(t *testing.T) {
	c := &Consumer{}
	if _, known := c.Lag(); known {
		t.Error("the lag is known before the group was joined")
	}
	c.joined.Store(true)
	if !lagIs(c, 0) {
		t.Error("the lag is not 0 without any partition")
	}
	c.assigned.Store(2)
	claimed := newClaim(&Consumer{oldest: map[topicPartition]int64{{"webhooks.orders", 0}: 0}}, stubClaim{})
	c.claims.Store(claimed, nil)
	if _, known := c.Lag(); known {
		t.Error("the lag is known although a partition is not consumed")
	}
	c.assigned.Store(1)
	if !lagIs(c, 7) {
		t.Error("the lag is unknown although all partitions are consumed")
	}
}

// Of two processes with one instance ID the older one is fenced. It logs that once, not
// at each attempt, and takes over when the other one has stopped.
func TestFencedMemberTakesOver(t *testing.T) {
	_, cfg := startKafka(t)
	fencedMemberTakesOver(t, cfg)
}

func fencedMemberTakesOver(t *testing.T, cfg Config) {
	cfg.InstanceID = "payrelay-0"
	older, newer := &ledger{}, &ledger{}
	first := watch(t, cfg, older)
	wait.Until(t, patience, "the older member to join", first.Ready)
	second := watch(t, cfg, newer)
	wait.Until(t, patience, "the older member to be fenced", func() bool { return second.Ready() && !first.Ready() })
	publishAll(t, cfg, 0, 10)
	wait.Until(t, patience, "all records at the newer member", func() bool { return len(newer.applied()) == 10 })
	if log := second.stop(t); strings.Contains(log, "ERROR") {
		t.Errorf("the newer member logs %s", log)
	}
	publishAll(t, cfg, 10, 20)
	wait.Until(t, patience, "the older member to take over", func() bool { return first.Ready() && len(older.applied()) == 10 })
	log := first.stop(t)
	if strings.Count(log, "KAFKA_INSTANCE_ID") != 1 || strings.Contains(log, "cannot join") {
		t.Errorf("the older member logs %s", log)
	}
}

// An error that needs an operator ends the process, so that a supervisor reports
// it.
func TestFatalErrorEndsTheConsumer(t *testing.T) {
	_, cfg := startKafka(t)
	errRights := errors.New("the database says permission denied")
	cfg.Fatal = func(err error) bool { return errors.Is(err, errRights) }
	publishAll(t, cfg, 0, 5)
	publishRaw(t, cfg, []byte("garbage"))
	l := &ledger{failing: true, failure: fmt.Errorf("apply: %w", errRights)}
	consumer, err := NewConsumer(cfg, l, l, transporttest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	r := transporttest.Start(consumer.Run)
	select {
	case err := <-r.Done:
		if !errors.Is(err, errRights) || !strings.Contains(err.Error(), "none is lost or skipped") {
			t.Errorf("Run = %v, want %v", err, errRights)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Run does not return")
	}
	if l.tried() != 1 || len(l.letters) != 0 || consumer.Ready() {
		t.Errorf("%d attempts, %d dead letters, Ready() = %v, want 1, 0, false", l.tried(), len(l.letters), consumer.Ready())
	}
	next := &ledger{}
	consume(t, cfg, next)
	wait.Until(t, patience, "all records", func() bool { return len(next.applied()) == 5 })
}

// An operator may fix the cause, or another connection may work, before the consumer
// gives up.
func TestFatalErrorHasToLast(t *testing.T) {
	errRights, errAway := errors.New("permission denied"), errors.New("connection refused")
	const (
		grace = 30 * time.Second
		wait  = time.Duration(float64(retryMaxDelay) * 1.25) // until an attempt sees a change
	)
	for name, test := range map[string]struct {
		failing func(since time.Duration) error
		want    error
		within  [2]time.Duration
	}{
		"always": {func(time.Duration) error { return errRights }, errRights, [2]time.Duration{grace, grace + wait}},
		"fixed": {func(since time.Duration) error {
			if since < 20*time.Second {
				return errRights
			}
			return nil
		}, nil, [2]time.Duration{20 * time.Second, 20*time.Second + wait}},
		"with an outage": {func(since time.Duration) error {
			if since > 20*time.Second && since < 30*time.Second {
				return errAway
			}
			return errRights
		}, errRights, [2]time.Duration{30*time.Second + grace, 30*time.Second + wait + grace + wait}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fatal := func(err error) bool { return errors.Is(err, errRights) }
				c := newClaim(&Consumer{cfg: Config{Fatal: fatal, FatalAfter: grace}, log: transporttest.Quiet()}, stubClaim{})
				begin := time.Now()
				err := c.retry(t.Context(), "apply", func(context.Context) error { return test.failing(time.Since(begin)) })
				if took := time.Since(begin); !errors.Is(err, test.want) || took < test.within[0] || took > test.within[1] {
					t.Errorf("retry = %v after %v, want %v within %v", err, took, test.want, test.within)
				}
			})
		})
	}
}
