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
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// ledger is the far side of the consumer: it remembers, fails while failing is
// set, and lets a call pass only when it finds room in gate (nil: always).
type ledger struct {
	mu      sync.Mutex
	batches [][]string
	letters []*payrelayv1.UndecodableRecord
	tries   int
	failing bool
	failure error // nil is an outage
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
		return cmp.Or(failure, errors.New("the database is away"))
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
	eventually(t, "all records", func() bool { return len(l.applied()) == 2000 })
	eventually(t, "no lag", func() bool { return lagIs(consumer, 0) })
	for i, id := range l.applied() {
		if id != fmt.Sprintf("event-%d", i) {
			t.Fatalf("record %d is %s", i, id)
		}
	}
	if len(l.batches) > 200 {
		t.Errorf("2000 waiting records came in %d batches", len(l.batches))
	}
	for _, batch := range l.batches {
		if len(batch) > maxBatchRecords {
			t.Errorf("a batch has %d records", len(batch))
		}
	}
}

func TestUnaryConsumerTakesOneRecordAtATime(t *testing.T) {
	_, cfg := startKafka(t)
	cfg.Unary = true
	publishAll(t, cfg, 0, 20)
	l := &ledger{}
	consume(t, cfg, l)
	eventually(t, "all records", func() bool { return len(l.applied()) == 20 })
	if len(l.batches) != 20 {
		t.Errorf("20 records came in %d batches", len(l.batches))
	}
}

// The batch in hand is applied and committed, so that nobody gets it again.
func TestStoppingFinishesTheBatchInHand(t *testing.T) {
	for _, instance := range []string{"", "payrelay-0"} {
		_, cfg := startKafka(t)
		cfg.InstanceID = instance
		publishAll(t, cfg, 0, 10)
		l := &ledger{gate: make(chan struct{})}
		consumer, r := consume(t, cfg, l)
		eventually(t, "a batch in hand", func() bool { return l.tried() == 1 })
		r.Cancel()
		select {
		case err := <-r.Done:
			t.Fatalf("Run returned %v with a batch in hand", err)
		case <-time.After(100 * time.Millisecond): // Apply goes on although its session has ended
		}
		select {
		case l.gate <- struct{}{}:
		case err := <-r.Done:
			t.Fatalf("Run returned %v and dropped the batch in hand", err)
		}
		if err := r.Stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		done := len(l.applied())
		if done == 0 || consumer.Ready() {
			t.Fatalf("%d records were applied, ready is %v", done, consumer.Ready())
		}
		next := &ledger{}
		publishAll(t, cfg, 10, 11)
		consume(t, cfg, next)
		eventually(t, "the last record", func() bool { return len(next.applied()) == 11-done })
		if first := next.applied()[0]; first != fmt.Sprintf("event-%d", done) {
			t.Errorf("after %d applied records the next member starts with %s", done, first)
		}
	}
}

func TestFailingLedgerIsWaitedFor(t *testing.T) {
	_, cfg := startKafka(t)
	publishAll(t, cfg, 0, 5)
	publishRaw(t, cfg, []byte("garbage"))
	l := &ledger{failing: true}
	consumer, _ := consume(t, cfg, l)
	eventually(t, "a few attempts", func() bool { return l.tried() >= 4 })
	consumer.PartitionLags(func(topic string, partition int32, records int64) {
		if want := map[string]int64{cfg.OrdersTopic: 6}[topic]; records != want || partition != 0 {
			t.Errorf("partition %d of %s lags by %d, want %d", partition, topic, records, want)
		}
	})
	if len(l.applied()) != 0 || len(l.letters) != 0 || !lagIs(consumer, 6) {
		t.Errorf("%d applied, %d dead letters, or the lag is wrong", len(l.applied()), len(l.letters))
	}
	l.heal()
	eventually(t, "all of it", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.letters) == 1
	})
	if got := len(l.applied()); got != 5 {
		t.Errorf("%d updates were applied", got)
	}
	letter := l.letters[0]
	if letter.GetTopic() != cfg.OrdersTopic || letter.GetPartition() != 0 || letter.GetOffset() != 5 || string(letter.GetValue()) != "garbage" {
		t.Errorf("the dead letter is %v", letter)
	}
}

// What was not applied is not committed: the next member gets it.
func TestStoppingWhileTheLedgerFails(t *testing.T) {
	_, cfg := startKafka(t)
	publishAll(t, cfg, 0, 5)
	l := &ledger{failing: true}
	_, r := consume(t, cfg, l)
	eventually(t, "an attempt", func() bool { return l.tried() >= 1 })
	start := time.Now()
	if err := r.Stop(); err != nil || time.Since(start) > 3*time.Second {
		t.Errorf("Run returned %v after %v", err, time.Since(start))
	}
	next := &ledger{}
	consume(t, cfg, next)
	eventually(t, "all records", func() bool { return len(next.applied()) == 5 })
}

func TestStoppingAnIdleConsumerIsQuick(t *testing.T) {
	_, cfg := startKafka(t)
	consumer, r := consume(t, cfg, &ledger{})
	eventually(t, "it to join", consumer.Ready)
	start := time.Now()
	if err := r.Stop(); err != nil || time.Since(start) > 2*time.Second {
		t.Errorf("Run returned %v after %v", err, time.Since(start))
	}
}

func TestConsumerOutlivesItsBroker(t *testing.T) {
	b, cfg := startKafka(t)
	l := &ledger{}
	consumer, _ := consume(t, cfg, l)
	publishAll(t, cfg, 0, 1)
	eventually(t, "the first record", func() bool { return len(l.applied()) == 1 })
	b.kill()
	b.revive()
	publishAll(t, cfg, 1, 2)
	eventually(t, "a record after the restart", func() bool { return len(l.applied()) >= 2 })
	eventually(t, "membership", consumer.Ready)
}

func TestRunReleasesAStartThatFailed(t *testing.T) {
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
			t.Fatal("it ended before its parent")
		}
		end()
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("it ended with its parent")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("it did not end after the grace")
		}
	})
}

// stubClaim is a partition that holds what the test puts in.
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
		t.Error("a batch after the end")
	}
}

func TestLagOfAFreshClaim(t *testing.T) {
	at := topicPartition{"webhooks.orders", 0}
	for want, oldest := range map[int64]map[topicPartition]int64{
		7: {at: 0}, 2: {at: 5}, 0: {at: 7}, UnknownOffset: nil,
	} {
		if lag := newClaim(&Consumer{oldest: oldest}, stubClaim{}).lag(); lag != want {
			t.Errorf("with %v lag is %d, want %d", oldest, lag, want)
		}
	}
}

// What is not known becomes known with the first record.
func TestLagWithoutALookAtTheLog(t *testing.T) {
	messages := make(chan *sarama.ConsumerMessage, 1)
	messages <- &sarama.ConsumerMessage{Offset: 4}
	c := newClaim(&Consumer{}, stubClaim{messages: messages})
	for range c.batches(t.Context()) {
		break
	}
	if c.lag() != 3 {
		t.Errorf("lag is %d", c.lag())
	}
}

// Records that expired before the group came do not wait for anybody.
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
	eventually(t, "no lag", func() bool { return lagIs(consumer, 0) })
}

// No claim, no lag: nobody knows what is in a partition that is not consumed.
func TestLagWithoutAClaim(t *testing.T) {
	c := &Consumer{}
	if _, known := c.Lag(); known {
		t.Error("it is known before the group was joined")
	}
	c.joined.Store(true)
	if !lagIs(c, 0) {
		t.Error("it is not 0 without any partition")
	}
	c.assigned.Store(2)
	claimed := newClaim(&Consumer{oldest: map[topicPartition]int64{{"webhooks.orders", 0}: 0}}, stubClaim{})
	c.claims.Store(claimed, nil)
	if _, known := c.Lag(); known {
		t.Error("it is known although a partition is not consumed")
	}
	c.assigned.Store(1)
	if !lagIs(c, 7) {
		t.Error("it is not known although all partitions are consumed")
	}
}

// Of two processes with one name the older one is shut out. It has to say so, once
// and not at each attempt, and to take over when the other one has gone.
func TestRivalsAreToldOfEachOther(t *testing.T) {
	_, cfg := startKafka(t)
	rivalsAreTold(t, cfg)
}

func rivalsAreTold(t *testing.T, cfg Config) {
	cfg.InstanceID = "payrelay-0"
	older, newer := &ledger{}, &ledger{}
	first := watch(t, cfg, older)
	eventually(t, "the older one to join", first.Ready)
	second := watch(t, cfg, newer)
	eventually(t, "the older one to be shut out", func() bool { return second.Ready() && !first.Ready() })
	publishAll(t, cfg, 0, 10)
	eventually(t, "all records at the newer one", func() bool { return len(newer.applied()) == 10 })
	if log := second.stop(t); strings.Contains(log, "ERROR") {
		t.Errorf("the newer one logs %s", log)
	}
	publishAll(t, cfg, 10, 20)
	eventually(t, "the older one to take over", func() bool { return first.Ready() && len(older.applied()) == 10 })
	log := first.stop(t)
	if strings.Count(log, "KAFKA_INSTANCE_ID") != 1 || strings.Contains(log, "cannot join") {
		t.Errorf("the older one logs %s", log)
	}
}

// What waiting does not mend is for a person to mend, who has to notice.
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
			t.Errorf("Run returned %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	if l.tried() != 1 || len(l.letters) != 0 || consumer.Ready() {
		t.Errorf("%d attempts, %d dead letters, ready %v", l.tried(), len(l.letters), consumer.Ready())
	}
	next := &ledger{}
	consume(t, cfg, next)
	eventually(t, "all records", func() bool { return len(next.applied()) == 5 })
}

// What is for a person to mend may be mended, or be gone on another connection,
// before the consumer gives up.
func TestWhatIsFatalHasToLast(t *testing.T) {
	errRights, errAway := errors.New("permission denied"), errors.New("connection refused")
	const (
		grace = 30 * time.Second
		wait  = time.Duration(float64(insistMaxDelay) * 1.25) // until an attempt sees a change
	)
	for name, test := range map[string]struct {
		failing func(since time.Duration) error
		want    error
		within  [2]time.Duration
	}{
		"always": {func(time.Duration) error { return errRights }, errRights, [2]time.Duration{grace, grace + wait}},
		"mended": {func(since time.Duration) error {
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
				err := c.insist(t.Context(), "apply", func(context.Context) error { return test.failing(time.Since(begin)) })
				if took := time.Since(begin); !errors.Is(err, test.want) || took < test.within[0] || took > test.within[1] {
					t.Errorf("error %v after %v, want %v within %v", err, took, test.want, test.within)
				}
			})
		})
	}
}
