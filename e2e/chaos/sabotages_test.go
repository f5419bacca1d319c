//go:build sabotage

package chaos

// sabotage is a build of payrelay that is broken on purpose, as people have broken
// such programs by mistake, and the run that has to show it.
type sabotage struct {
	name  string
	edits []edit
	cell  Cell
	// only is what the nemesis does; see Options.
	only []string
	// seed is 1 if it is not said, where that does not show it.
	seed uint64
	// breaks are invariants of which the run has to breach one.
	breaks []string
}

// edit changes one place of a source file, which has to be there once.
type edit struct{ file, old, new string }

// The deployments that sabotage shows on.
var (
	onKafka         = Cell{Kafka, SQLite, Embedded, 1}
	onKafkaPostgres = Cell{Kafka, Postgres, Embedded, 1}
	onHTTP          = Cell{HTTP, SQLite, "", 1}
	onGRPC          = Cell{GRPC, SQLite, "", 1}
	onTwoProtobuf   = Cell{Protobuf, Postgres, "", 2}
)

// Without the unique key, what is left of idempotency is the ledger's own look.
var (
	noUniqueKeySQLite = edit{"modules/store/sqlite/migrations/00001_ledger.sql",
		"    body               BLOB,\n    UNIQUE (event_id, provider)\n) STRICT;",
		"    body               BLOB\n) STRICT;\nCREATE INDEX events_by_key ON events (event_id, provider);"}
	noUniqueKeyPostgres = edit{"modules/store/postgres/migrations/00001_ledger.sql",
		"    body               bytea,\n    UNIQUE (event_id, provider)\n);",
		"    body               bytea\n);\nCREATE INDEX events_by_key ON events (event_id, provider);"}
)

var sabotages = []sabotage{
	{
		name: "2xx before the broker's ack", cell: onKafka, only: []string{"kill broker", "kill ingest"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/transport/kafka/producer.go", "if err := await(ctx, results, len(messages)); err != nil {", "if err := error(nil); err != nil {"}},
	},
	{
		name: "acks=0", cell: onKafka, only: []string{"kill broker"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/transport/kafka/sarama.go", "c.Producer.RequiredAcks = sarama.WaitForAll\n\tc.Producer.Idempotent = true", "c.Producer.RequiredAcks = sarama.NoResponse"}},
	},
	{
		name: "2xx before the commit", cell: onHTTP, only: []string{"kill api", "kill ingest"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/payments/batcher.go", "	for _, p := range parts {\n		if err := p.wait(); err != nil {",
			"	for i := range outcomes {\n		outcomes[i] = &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}\n	}\n	for _, p := range parts[:0] {\n		if err := p.wait(); err != nil {"},
			{"modules/payments/batcher.go", "byShard[n] = &part{ctx: ctx, shard: n,", "byShard[n] = &part{ctx: context.WithoutCancel(ctx), shard: n,"}},
	},
	{
		name: "offset marked before the commit", cell: onKafka, only: []string{"lock database"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/transport/kafka/consumer.go", "		if err := c.process(session.Context(), batch); err != nil {", "		c.mark(session, batch)\n		if err := c.process(session.Context(), batch); err != nil {"}},
	},
	{
		name: "no idempotency key", cell: onHTTP, only: []string{"kill ingest"}, breaks: []string{ExactlyOnce},
		edits: []edit{noUniqueKeySQLite, {"modules/payments/book.go", "	known, seen := b.recorded[e.Key]\n	switch {\n	case seen && known.Digest == e.Digest:", "	known, seen := b.recorded[e.Key]\n	seen = false\n	switch {\n	case seen && known.Digest == e.Digest:"}},
	},
	{
		name: "keys forgotten after a second", cell: onGRPC, only: []string{"kill api"}, breaks: []string{ExactlyOnce},
		edits: []edit{noUniqueKeySQLite, {"modules/store/sqlite/statements.go", "`SELECT event_id, digest, in_history FROM events WHERE provider = ? AND event_id` + inList}",
			"`SELECT event_id, digest, in_history FROM events WHERE recorded_at > 1000000 * (unixepoch('subsec') - 1) AND provider = ? AND event_id` + inList}"}},
	},
	{
		name: "check, then insert", cell: onTwoProtobuf, only: []string{"kill ingest"}, breaks: []string{ExactlyOnce},
		edits: []edit{noUniqueKeyPostgres,
			{"modules/store/postgres/statements.go", "	WHERE orders.version = excluded.version - 1\n", ""},
			{"modules/store/postgres/statements.go", "SELECT (count(*) = @count)::first_writer FROM written WHERE version = 1 OR (version > 1 AND NOT new)", "SELECT (count(*) >= 0 OR @count = 0)::first_writer FROM written"}},
	},
	{
		name: "error of a dead letter swallowed", cell: onKafkaPostgres, only: []string{"kill postgres"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/transport/kafka/claim.go", "	updates, garbage := split(batch)\n", "	updates, garbage := split(batch)\n	for _, record := range garbage {\n		_ = c.deadLetters.DeadLetter(ctx, record)\n	}\n	garbage = nil\n"}},
	},
	{
		name: "batch skipped after a failure", cell: onKafkaPostgres, only: []string{"kill postgres"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/transport/kafka/claim.go", "backoff.WithMaxElapsedTime(0), // no limit", "backoff.WithMaxTries(1),"},
			{"modules/transport/kafka/claim.go", "	)\n	return err\n}", "	)\n	_ = err\n	return nil\n}"}},
	},
	{
		name: "newest offset", cell: onKafka, only: []string{"kill api"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/transport/kafka/sarama.go", "sarama.OffsetOldest", "sarama.OffsetNewest"}},
	},
	{
		name: "topics created by accident", cell: onKafka, only: []string{"kill broker"}, breaks: []string{NoLoss},
		edits: []edit{{"modules/broker/broker.go", "		if err := b.cluster.CreateTopic(topic, 1, topicSettings); err != nil {", "		if err := b.mention(topic); err != nil {"},
			{"modules/broker/broker.go", "		kfake.NumBrokers(1),", "		kfake.NumBrokers(1),\n		kfake.AllowAutoTopicCreation(),\n		kfake.DefaultNumPartitions(1),"},
			{"modules/broker/broker.go", "\t\"github.com/twmb/franz-go/pkg/kfake\"\n", "\t\"github.com/twmb/franz-go/pkg/kfake\"\n\t\"github.com/twmb/franz-go/pkg/kgo\"\n\t\"github.com/twmb/franz-go/pkg/kmsg\"\n"},
			{"modules/broker/broker.go", "// logger hands", `// mention asks about a topic, which makes it spring up.
func (b *Broker) mention(topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.Dialer(b.gate.dial))
	if err != nil {
		return err
	}
	defer client.Close()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	req := kmsg.NewPtrMetadataRequest()
	req.Topics, req.AllowAutoTopicCreation = append(req.Topics, asked), true
	_, err = req.RequestWith(context.Background(), client)
	return err
}

// logger hands`}},
	},
	{
		name: "closed instead of drained", cell: onKafka, only: []string{"terminate ingest"}, breaks: []string{NoLoss},
		edits: []edit{{"cmd/run.go", "for _, p := range slices.Backward(c.parts) {", "for p := range slices.Values(c.parts) {"},
			{"modules/transport/kafka/producer.go", "	if p.closed {\n		return errClosed\n	}", "	if p.closed {\n		for _, message := range messages {\n			message.Metadata.(delivery).result <- nil\n		}\n		return nil\n	}"}},
	},
	{
		name: "retried with another key", cell: onHTTP, only: []string{"reset ingest", "blackhole ingest", "kill api"}, breaks: []string{NoPhantom},
		edits: []edit{{"modules/transport/resilient.go", "			outcomes, last = next.Apply(ctx, updates)", "			if last != nil {\n				for i, u := range updates {\n					again := proto.CloneOf(u)\n					again.EventId += \"-again\"\n					updates[i] = again\n				}\n			}\n			outcomes, last = next.Apply(ctx, updates)"},
			{"modules/transport/resilient.go", "\t\"github.com/cenkalti/backoff/v5\"\n", "\t\"github.com/cenkalti/backoff/v5\"\n\t\"google.golang.org/protobuf/proto\"\n"}},
	},
	{
		name: "last to arrive wins", cell: onHTTP, only: []string{"kill ingest"}, breaks: []string{Convergence},
		edits: []edit{{"modules/payments/history.go", "return e.at.After(t.Head)", "return true"}},
	},
	{
		name: "update lost between two writers", cell: onKafka, only: []string{"kill ingest"}, breaks: []string{Convergence},
		edits: []edit{{"modules/store/sqlite/statements.go", "WHERE order_id = ? AND version = ?`", "WHERE order_id = ? AND version >= 0 * ?`"}},
	},
	{
		name: "refused, but stored", cell: onGRPC, only: []string{"kill ingest"}, breaks: []string{DefiniteFailure},
		edits: []edit{{"modules/ingest/webhook.go", "		if err := checkHeaders(c.Request().Header); err != nil {\n			return err\n		}\n", ""},
			{"modules/ingest/webhook.go", "		return s.answer(c, update, outcome)", "		if err := checkHeaders(c.Request().Header); err != nil {\n			return err\n		}\n		return s.answer(c, update, outcome)"}},
	},
	{
		name: "500 instead of 503", cell: onHTTP, only: []string{"kill api"}, breaks: []string{BoundedAnswers},
		edits: []edit{{"modules/ingest/errors.go", "errUnavailable    = &refusal{http.StatusServiceUnavailable,", "errUnavailable    = &refusal{http.StatusInternalServerError,"}},
	},
	{
		name: "no deadline", cell: onGRPC, only: []string{"blackhole ingest", "freeze api"}, seed: 2, breaks: []string{BoundedAnswers},
		edits: []edit{{"modules/ingest/webhook.go", "ctx, cancel := context.WithTimeout(c.Request().Context(), s.cfg.Timeout)", "ctx, cancel := context.WithCancel(c.Request().Context())"},
			{"modules/transport/resilient.go", "		ctx, cancel := context.WithTimeout(ctx, timeout)\n		defer cancel()\n		return next.Apply(ctx, updates)", "		return next.Apply(ctx, updates)"},
			{"cmd/role_ingest.go", "timeout + time.Second,", "time.Hour,"}},
	},
	{
		name: "a goroutine leaks with each webhook", cell: onHTTP, only: []string{"kill ingest"}, breaks: []string{Liveness},
		edits: []edit{{"modules/payments/batcher.go", "	parts := b.split(ctx, updates)\n", "	parts := b.split(ctx, updates)\n	go func() { select {} }()\n"}},
	},
}
