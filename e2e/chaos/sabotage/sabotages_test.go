package sabotage

import (
	"github.com/payrelay/payrelay/e2e/chaos/checker"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/modules/payments"
)

// Sabotage is a broken build, and the run that must reveal it.
type Sabotage struct {
	Name  string
	Swaps []Swap
	Cell  history.Cell
	// Only restricts the faults; see chaos.Options.
	Only []string
	// Seed is the seed of the run, if 1 does not reveal the defect.
	Seed uint64
	// Violates are invariants of which the run must violate one.
	Violates []string
}

// The cells of the runs.
var (
	onKafka         = history.Cell{Mode: payments.Kafka, Store: history.SQLite, Broker: history.Embedded, Processes: 1}
	onKafkaPostgres = history.Cell{Mode: payments.Kafka, Store: history.Postgres, Broker: history.Embedded, Processes: 1}
	onHTTP          = history.Cell{Mode: payments.HTTP, Store: history.SQLite, Processes: 1}
	onGRPC          = history.Cell{Mode: payments.GRPC, Store: history.SQLite, Processes: 1}
	onTwoProtobuf   = history.Cell{Mode: payments.Protobuf, Store: history.Postgres, Processes: 2}
)

// The directories of the swaps.
const (
	inModules   = "modules"
	inTransport = "modules/transport"
	inSQLite    = "modules/store/sqlite"
	inPostgres  = "modules/store/postgres"
)

// Without the unique key of the events, only the ledger's own lookup is left to
// find duplicates.
const (
	dropKeySQLite = `
import (
	"context"
	"regexp"
)

func (s *Store) Migrate(ctx context.Context) error {
	if err := s.originalMigrate(ctx); err != nil {
		return err
	}
	var schema string // of the table and its indexes
	err := s.writer.QueryRowContext(ctx, "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE tbl_name = 'events'").Scan(&schema)
	if keyless := sabotagedKey.ReplaceAllString(schema, ""); err == nil && keyless != schema {
		_, err = s.writer.ExecContext(ctx, "DROP TABLE events; "+keyless+"; CREATE INDEX events_by_key ON events (event_id, provider)")
	}
	return err
}

var sabotagedKey = regexp.MustCompile(` + "`(?i),\\s*UNIQUE\\s*\\([^)]*\\)`" + `)
`
	dropKeyPostgres = `
import "context"

func (s *Store) Migrate(ctx context.Context) error {
	if err := s.originalMigrate(ctx); err != nil {
		return err
	}
	_, err := s.ledger.Exec(ctx, "ALTER TABLE events DROP CONSTRAINT IF EXISTS events_event_id_provider_key")
	if err == nil {
		_, err = s.ledger.Exec(ctx, "CREATE INDEX IF NOT EXISTS events_by_key ON events (event_id, provider)")
	}
	return err
}
`
)

// Sabotages lists all broken builds.
var Sabotages = []Sabotage{
	{
		Name: "2xx before the broker's ack", Cell: onKafka, Only: []string{"kill broker", "kill ingest"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inTransport, `
import "context"

func await(context.Context, <-chan error, int) error { return nil }
`}},
	},
	{
		Name: "acks=0", Cell: onKafka, Only: []string{"kill broker"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inTransport, `
import "github.com/IBM/sarama"

func producerConfig(cfg Config) (*sarama.Config, error) {
	c, err := originalProducerConfig(cfg)
	if err == nil {
		c.Producer.RequiredAcks, c.Producer.Idempotent = sarama.NoResponse, false
	}
	return c, err
}
`}},
	},
	{
		Name: "2xx before the commit", Cell: onHTTP, Only: []string{"kill api", "kill ingest"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inModules, `
import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func (b *Batcher) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	go b.originalApply(context.WithoutCancel(ctx), updates)
	outcomes := make([]*payrelayv1.Outcome, len(updates))
	for i := range outcomes {
		outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}
	}
	return outcomes, nil
}
`}},
	},
	{
		Name: "offset marked before the commit", Cell: onKafka, Only: []string{"lock database"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inTransport, `
import "github.com/IBM/sarama"

func (s sessions) ConsumeClaim(session sarama.ConsumerGroupSession, partition sarama.ConsumerGroupClaim) error {
	c := newClaim(s.Consumer, partition)
	for batch := range c.batches(session.Context()) {
		c.mark(session, batch)
		if err := c.process(session.Context(), batch); err != nil {
			return nil
		}
	}
	return nil
}
`}},
	},
	{
		Name: "no idempotency key", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.ExactlyOnce},
		Swaps: []Swap{{inSQLite, dropKeySQLite}, {inModules, `
func (b *batch) judgeEvent(e *Event) {
	delete(b.recorded, e.Key)
	b.originalJudgeEvent(e)
}
`}},
	},
	{
		Name: "keys forgotten after a second", Cell: onGRPC, Only: []string{"kill api"}, Violates: []string{checker.ExactlyOnce},
		Swaps: []Swap{{inSQLite, dropKeySQLite}, {inModules, `
import (
	"sync"
	"time"
)

func (b *batch) judgeEvent(e *Event) {
	if at, seen := sabotagedSeen.LoadOrStore(e.Key, b.now); seen && b.now.Sub(at.(time.Time)) > time.Second {
		delete(b.recorded, e.Key)
	}
	b.originalJudgeEvent(e)
}

var sabotagedSeen sync.Map // the time of the first judgement by key
`}},
	},
	{
		Name: "check, then insert", Cell: onTwoProtobuf, Only: []string{"kill ingest"}, Violates: []string{checker.ExactlyOnce},
		Swaps: []Swap{{inPostgres, dropKeyPostgres + `
var writeOrders = newStatement(wholeOrder, "WITH written AS (INSERT INTO orders ("+wholeOrder.names()+") SELECT * FROM @rows"+
	" ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, "+orderState.assignments("excluded")+")"+
	" SELECT (@count = @count)::first_writer")
`}},
	},
	{
		// The poison records come first: after the updates of their batch, which wait
		// for the database, they would rarely meet one that is down.
		Name: "error of a dead letter swallowed", Cell: onKafkaPostgres, Only: []string{"kill postgres"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inTransport, `
import (
	"context"

	"github.com/IBM/sarama"
)

func (c *claim) process(ctx context.Context, batch []*sarama.ConsumerMessage) error {
	updates, garbage := split(batch)
	for _, record := range garbage {
		_ = c.deadLetters.DeadLetter(ctx, record)
	}
	if len(updates) == 0 {
		return nil
	}
	return c.retry(ctx, "apply batch", func(ctx context.Context) error { return c.apply(ctx, updates) })
}
`}},
	},
	{
		Name: "batch skipped after a failure", Cell: onKafkaPostgres, Only: []string{"kill postgres"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inTransport, `
import "context"

func (c *claim) retry(ctx context.Context, _ string, attempt func(context.Context) error) error {
	_ = attempt(ctx)
	return nil
}
`}},
	},
	{
		Name: "newest offset", Cell: onKafka, Only: []string{"kill api"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inTransport, `
import "github.com/IBM/sarama"

func consumerConfig(cfg Config) (*sarama.Config, error) {
	c, err := originalConsumerConfig(cfg)
	if err == nil {
		c.Consumer.Offsets.Initial = sarama.OffsetNewest
	}
	return c, err
}
`}},
	},
	{
		// A topic that a client's request creates is lost when the broker is killed.
		Name: "topics created by accident", Cell: onKafka, Only: []string{"kill broker"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{"modules/broker", `
import (
	"context"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (b *Broker) options(cfg Config, dir string) []kfake.Opt {
	return append(b.originalOptions(cfg, dir), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1))
}

func (b *Broker) createTopics() error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.Dialer(b.gate.dial))
	if err != nil {
		return err
	}
	defer client.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = true
	for _, topic := range b.topics {
		named := kmsg.NewMetadataRequestTopic()
		named.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, named)
	}
	_, err = req.RequestWith(context.Background(), client)
	return err
}
`}},
	},
	{
		Name: "closed instead of drained", Cell: onKafka, Only: []string{"terminate ingest"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{"cmd", `
import "slices"

func (s *supervisor) stop() error {
	slices.Reverse(s.parts)
	return s.originalStop()
}
`}, {inTransport, `
import (
	"context"
	"errors"

	"github.com/IBM/sarama"
)

func (p *Producer) publish(ctx context.Context, messages []*sarama.ProducerMessage) error {
	err := p.originalPublish(ctx, messages)
	if !errors.Is(err, errClosed) {
		return err
	}
	for _, message := range messages {
		message.Metadata.(delivery).result <- nil
	}
	return nil
}
`}},
	},
	{
		Name: "retried with another key", Cell: onHTTP, Only: []string{"reset ingest", "blackhole ingest", "kill api"}, Violates: []string{checker.NoPhantom},
		Swaps: []Swap{{inModules, `
import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

func retry(next payments.Applier, cfg RetryConfig) payments.Applier {
	return payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		attempts := 0
		return originalRetry(payments.ApplierFunc(func(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			if attempts++; attempts > 1 {
				for i, u := range updates {
					updates[i] = proto.CloneOf(u)
					updates[i].EventId += "-again"
				}
			}
			return next.Apply(ctx, updates)
		}), cfg).Apply(ctx, updates)
	})
}
`}},
	},
	{
		Name: "last to arrive wins", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.Convergence},
		Swaps: []Swap{{inModules, `
func (h *history[S]) add(e *entry, complete bool) bool {
	h.Head = Position{} // so that every event is newer
	return h.originalAdd(e, complete)
}
`}},
	},
	{
		Name: "update lost between two writers", Cell: onKafka, Only: []string{"kill ingest"}, Violates: []string{checker.Convergence},
		Swaps: []Swap{{inSQLite, `
import "github.com/payrelay/payrelay/modules/payments"

func (tx transaction) writeOrders(use *statements, aggregates []*payments.Aggregate) error {
	for _, a := range aggregates {
		if a.Version == 0 {
			continue
		}
		stored := tx.tx.QueryRowContext(tx.ctx, "SELECT version FROM orders WHERE order_id = ?", a.OrderID)
		if err := stored.Scan(&a.Version); err != nil {
			return err
		}
	}
	return tx.originalWriteOrders(use, aggregates)
}
`}},
	},
	{
		Name: "refused, but stored", Cell: onGRPC, Only: []string{"kill ingest"}, Violates: []string{checker.DefiniteFailure},
		Swaps: []Swap{{"modules/ingest", `
import (
	"net/http"

	"github.com/labstack/echo/v4"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func checkHeaders(http.Header) error { return nil }

func (s *Server) answer(c echo.Context, update *payrelayv1.Update, outcome *payrelayv1.Outcome) error {
	if err := originalCheckHeaders(c.Request().Header); err != nil {
		return err
	}
	return s.originalAnswer(c, update, outcome)
}
`}},
	},
	{
		Name: "500 instead of 503", Cell: onHTTP, Only: []string{"kill api"}, Violates: []string{checker.BoundedAnswers},
		Swaps: []Swap{{"modules/ingest", `
import "net/http"

var errUnavailable = &refusal{http.StatusInternalServerError, originalErrUnavailable.code, originalErrUnavailable.message}
`}},
	},
	{
		Name: "no deadline", Cell: onGRPC, Only: []string{"blackhole ingest", "freeze api"}, Seed: 2, Violates: []string{checker.BoundedAnswers},
		Swaps: []Swap{{"modules/ingest", `
import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func (s *Server) apply(ctx context.Context, update *payrelayv1.Update) (*payrelayv1.Outcome, error) {
	return s.originalApply(context.WithoutCancel(ctx), update)
}
`}, {inModules, `
import (
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

func Deadline(next payments.Applier, _ time.Duration) payments.Applier { return next }
`}, {"cmd", `
import (
	"time"

	"github.com/payrelay/payrelay/modules/batch"
)

func laneBatch(time.Duration) batch.Config { return originalLaneBatch(time.Hour) }
`}},
	},
	{
		Name: "a goroutine leaks with each webhook", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.Liveness},
		Swaps: []Swap{{inModules, `
import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func (b *Batcher) Apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	go func() { select {} }()
	return b.originalApply(ctx, updates)
}
`}},
	},
}
