package sabotage

import (
	"fmt"
	"strings"

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
	onTwoGRPC       = history.Cell{Mode: payments.GRPC, Store: history.Postgres, Processes: 2}
	onTwoProtobuf   = history.Cell{Mode: payments.Protobuf, Store: history.Postgres, Processes: 2}
)

// The directories of the swaps.
const (
	inModules   = "modules"
	inTransport = "modules/transport"
	inProvider  = "modules/ingest/provider"
	inSQLite    = "modules/store/sqlite"
	inPostgres  = "modules/store/postgres"
)

// Without the unique key of the events, only the ledger's own lookup is left to
// find duplicates.
const (
	dropKeySQLite = `
import "context"

func (s *Store) Migrate(ctx context.Context) error {
	if err := s.originalMigrate(ctx); err != nil {
		return err
	}
	_, err := s.writer.ExecContext(ctx, "DROP INDEX events_by_key; CREATE INDEX events_by_key ON events (event_id, provider, " +
		"(CASE WHEN note THEN 'note' WHEN dispute_id <> '' THEN 'dispute' ELSE 'order' END))")
	return err
}
`
	dropKeyPostgres = `
import "context"

func (s *Store) Migrate(ctx context.Context) error {
	if err := s.originalMigrate(ctx); err != nil {
		return err
	}
	_, err := s.ledger.Exec(ctx, "DROP INDEX IF EXISTS events_by_key")
	if err == nil {
		_, err = s.ledger.Exec(ctx, "CREATE INDEX events_by_key ON events (event_id, provider)")
	}
	return err
}
`
)

// writeOrdersOfAnyVersion writes orders without a look at the version in the database.
// Those with version 0 only lend their number to events.
const writeOrdersOfAnyVersion = `
var writeOrders = newStatement(wholeOrder, "WITH written AS (INSERT INTO orders ("+wholeOrder.names()+") SELECT * FROM @rows"+
	" ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, "+orderState.assignments("excluded")+
	" WHERE excluded.version > 0) SELECT (@count = @count)::all_written")
`

// table is one of the tables of the rules.
type table struct{ name, status, prefix string }

var (
	orderMoves        = table{"orderMoves", "OrderStatus", "ORDER_STATUS_"}
	disputeMovesLevel = table{"disputeMovesLevel", "DisputeStatus", "DISPUTE_STATUS_"}
	disputeMovesUp    = table{"disputeMovesUp", "DisputeStatus", "DISPUTE_STATUS_"}
)

// cell returns a build in which one cell of a table has another move.
func cell(name string, runs history.Cell, t table, from, to, move string) Sabotage {
	status := func(name string) string { return "payrelayv1." + t.status + "_" + t.prefix + strings.ToUpper(name) }
	return Sabotage{Name: name, Cell: runs, Only: []string{"kill ingest", "kill api"}, Violates: []string{checker.Convergence},
		Swaps: []Swap{{inModules, fmt.Sprintf(`
import (
	"maps"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

var %[1]s = func() moves[payrelayv1.%[2]s] {
	changed := maps.Clone(original%[3]s)
	changed[[2]payrelayv1.%[2]s{%[4]s, %[5]s}] = %[6]s
	return changed
}()
`, t.name, t.status, strings.ToUpper(t.name[:1])+t.name[1:], status(from), status(to), move)}}}
}

// seeded returns a build with the seed of its run.
func seeded(seed uint64, s Sabotage) Sabotage {
	s.Seed = seed
	return s
}

// smallLimits make histories long, and their folds pending, that would not be.
const smallLimits = `
var defaultLimits = limits{whole: 128, interval: 64, page: 64, commit: 128}
`

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
		Swaps: []Swap{{inPostgres, dropKeyPostgres + writeOrdersOfAnyVersion}},
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
func (h *history[S]) record(e *entry) {
	h.Head = Position{} // so that every event is newer
	h.originalRecord(e)
}
`}},
	},
	{
		Name: "update lost between two writers", Cell: onTwoGRPC, Only: []string{"kill ingest"}, Violates: []string{checker.Convergence},
		Swaps: []Swap{{inPostgres, writeOrdersOfAnyVersion}},
	},
	cell("a failed payment is final", onHTTP, orderMoves, "failed", "success", "contradict"),
	cell("a cancellation is final", onGRPC, orderMoves, "canceled", "success", "keep"),
	cell("canceled after a success without a contradiction", onKafka, orderMoves, "success", "canceled", "set"),
	cell("a reversal takes nothing back", onHTTP, orderMoves, "success", "reversed", "keep"),
	cell("a reversal is final", onGRPC, orderMoves, "reversed", "success", "keep"),
	cell("no second chargeback after won", onGRPC, disputeMovesLevel, "won", "open", "keep"),
	cell("an appeal is not a new round", onHTTP, disputeMovesUp, "lost", "open", "set"),
	seeded(87, cell("two outcomes of one instant", onGRPC, disputeMovesLevel, "lost", "won", "set")),
	{
		Name: "digest of the body", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.NoPhantom},
		Swaps: []Swap{{inModules, `
import (
	"crypto/sha256"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func FactsDigest(u *payrelayv1.Update) Digest {
	facts := originalFactsDigest(u)
	return sha256.Sum256(append(facts[:], u.GetRawBody()...))
}
`}},
	},
	{
		Name: "digest without the amount", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inModules, `
import (
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

func FactsDigest(u *payrelayv1.Update) Digest {
	silent := proto.CloneOf(u)
	if s := silent.GetOrder(); s != nil {
		s.Amount = nil
	}
	if s := silent.GetDispute(); s != nil {
		s.Amount = nil
	}
	return originalFactsDigest(silent)
}
`}},
	},
	{
		Name: "digest without the part", Cell: onGRPC, Only: []string{"kill ingest"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inModules, `
import (
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

func FactsDigest(u *payrelayv1.Update) Digest {
	silent := proto.CloneOf(u)
	if s := silent.GetOrder(); s != nil {
		s.Part = ""
	}
	return originalFactsDigest(silent)
}
`}},
	},
	{
		Name: "digest without the deadline", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{inModules, `
import (
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

func FactsDigest(u *payrelayv1.Update) Digest {
	silent := proto.CloneOf(u)
	if s := silent.GetDispute(); s != nil {
		s.EvidenceDueAt = nil
	}
	return originalFactsDigest(silent)
}
`}},
	},
	{
		Name: "accepted, but not by force", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.NoLoss, checker.Convergence},
		Swaps: []Swap{{inModules, `
import payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"

func stepOrder(o Order, u *payrelayv1.Update, _ bool) (Order, payrelayv1.DeadLetterReason) {
	return originalStepOrder(o, u, false)
}

func stepDispute(d Dispute, u *payrelayv1.Update, _ bool) (Dispute, payrelayv1.DeadLetterReason) {
	return originalStepDispute(d, u, false)
}
`}},
	},
	{
		Name: "accepted, which only settles", Cell: onGRPC, Only: []string{"kill api"}, Violates: []string{checker.NoLoss, checker.Convergence},
		Swaps: []Swap{{inModules, `
import (
	"context"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func (l *Ledger) Decide(ctx context.Context, ids []int64, d Decision) ([]Decided, error) {
	accepted := d.Resolution == Accepted
	if accepted {
		d.Resolution = Discarded
	}
	results, err := l.originalDecide(ctx, ids, d)
	for i := range results {
		if accepted {
			results[i].Outcome = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}
		}
	}
	return results, err
}
`}},
	},
	{
		Name: "accepted, and forgotten when it is folded again", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.NoLoss, checker.Convergence},
		Swaps: []Swap{{inModules, `
func recordedEntry(e *Event) *entry {
	recorded := originalRecordedEntry(e)
	recorded.Forced = false
	return recorded
}
`}},
	},
	{
		Name: "discarded, and back when it is folded again", Cell: onGRPC, Only: []string{"kill api"}, Violates: []string{checker.NoLoss, checker.NoPhantom},
		Swaps: []Swap{{inModules, `
func (e *Event) InHistory() bool {
	return e.Key.Kind != KindNote && (!e.refused() || reasons[e.Reason].inHistory)
}

func recordedEntry(e *Event) *entry {
	recorded := originalRecordedEntry(e)
	recorded.Discarded = false
	return recorded
}
`}},
	},
	{
		Name: "a late update is folded from a checkpoint without an earlier one", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.Convergence},
		Swaps: []Swap{{inModules, `
import "time"

func (f *refolding[S]) finish(converged time.Time) error {
	err := f.originalFinish(converged)
	f.checkpoints.Replace = false
	return err
}
`}},
	},
	{
		Name: "the fold of a late update ends too early", Cell: onGRPC, Only: []string{"kill api"}, Violates: []string{checker.Convergence},
		Swaps: []Swap{{inModules, `
func (f *refolding[S]) converged() bool { return f.comparable && f.inserted }
`}},
	},
	{
		Name: "a fold in several commits is never finished", Cell: onHTTP, Only: []string{"kill api"}, Violates: []string{checker.Convergence},
		Swaps: []Swap{{inModules, smallLimits + `
func (b *batch) unfinished() (of Subjects) { return of }

func (s *Snapshot) pending() (of Subjects) { return of }
`}},
	},
	{
		Name: "audit log written in the background", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.Audited},
		Swaps: []Swap{{inSQLite, `
import (
	"context"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

func (s *Store) Commit(ctx context.Context, changes *payments.Changes) error {
	rest := *changes
	rest.Audit = nil
	if err := s.originalCommit(ctx, &rest); err != nil || len(changes.Audit) == 0 {
		return err
	}
	time.AfterFunc(100*time.Millisecond, func() {
		_ = s.originalCommit(context.Background(), &payments.Changes{Audit: changes.Audit})
	})
	return nil
}
`}},
	},
	{
		Name: "no audit entries for bulk decisions", Cell: onGRPC, Only: []string{"kill ingest"}, Violates: []string{checker.Audited},
		Swaps: []Swap{{inModules, `
func (b *batch) audit() {
	if len(b.operations) == 1 {
		b.originalAudit()
	}
}
`}},
	},
	{
		Name: "a repeated discard adds another audit entry", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.Audited},
		Swaps: []Swap{{inModules, `
func (b *batch) audit() {
	for _, o := range b.operations {
		b.changes.Audit = append(b.changes.Audit, o.audit(b.now))
	}
}
`}},
	},
	{
		// No later update reads it but one with another outcome in the same second.
		Name: "stale time of a dispute's status", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.Derived},
		Swaps: []Swap{{inSQLite, `
import "github.com/payrelay/payrelay/modules/payments"

func appendDispute(values []any, a *payments.Aggregate[payments.Dispute]) []any {
	stale := *a
	stale.State.StatusAt = a.State.OpenedAt
	return originalAppendDispute(values, &stale)
}
`}},
	},
	{
		Name: "consumer group not reset after a restore", Cell: onKafka, Only: []string{"restore database"}, Violates: []string{checker.NoLoss},
		Swaps: []Swap{{"cmd", `
import (
	"context"

	"github.com/payrelay/payrelay/modules/transport/kafka"
)

func (r *apiRole) setBack(context.Context, *process, kafka.Config) error { return nil }
`}},
	},
	{
		Name: "listing sorted by the time of the last update", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.Listed},
		Swaps: []Swap{{"modules/store", `
import "github.com/payrelay/payrelay/modules/payments"

func (d Dialect) Orders(q payments.OrderQuery) *Selection {
	s := &Selection{dialect: d, text: "SELECT updated_at, order_id, " + OrderColumns + " FROM orders", where: []string{hasState}}
	s.page("updated_at", q.Page)
	return s
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
	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/ingest/source"
)

func checkHeaders(http.Header) error { return nil }

func (s *Server) answer(c echo.Context, from *source.Source, webhook provider.Webhook, outcomes []*payrelayv1.Outcome, seen *Observation) error {
	if err := originalCheckHeaders(c.Request().Header); err != nil {
		return err
	}
	return s.originalAnswer(c, from, webhook, outcomes, seen)
}
`}},
	},
	{
		Name: "any signature accepted", Cell: onHTTP, Only: []string{"kill ingest"}, Violates: []string{checker.NoForgery},
		Swaps: []Swap{{inProvider, `
import "time"

func (k keyring[K]) verify(time.Time, func(K) bool) (int, error) { return 0, nil }
`}},
	},
	{
		Name: "stale signature accepted", Cell: onKafka, Only: []string{"kill ingest"}, Violates: []string{checker.NoForgery},
		Swaps: []Swap{{inProvider, `
import "time"

func checkTime(time.Time, time.Time, time.Duration) error { return nil }
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

func (s *Server) apply(ctx context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
	return s.originalApply(context.WithoutCancel(ctx), updates)
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
