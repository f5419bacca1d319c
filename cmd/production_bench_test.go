package cmd

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

// These benchmarks run the serve commands in this process, with PostgreSQL and
// Apache Kafka. Each alternates between the program and a control: go run ./e2e/servers/with go test -run - -bench Production -benchtime 3x ./cmd

// production is the database and the topics of one benchmark.
type production struct {
	b                 *testing.B
	database, brokers string
	topics            program.Topics
}

func newProduction(b *testing.B) *production {
	b.Helper()
	needed := servers.Need(b, servers.PostgresVariable, servers.KafkaVariable)
	database, drop, err := servers.CreateDatabase(b.Context(), needed[0])
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := drop(); err != nil {
			b.Error(err)
		}
	})
	p := &production{b, database, needed[1], program.NewTopics()}
	p.run(p.topics.CreateArgs(p.brokers, 12, 1)...)
	return p
}

// run runs a command to its end.
func (p *production) run(args ...string) {
	p.b.Helper()
	command := newRoot()
	command.SetArgs(args)
	command.SetOut(io.Discard)
	if err := command.ExecuteContext(p.b.Context()); err != nil {
		p.b.Fatal(err)
	}
}

// serve runs a role until stop is called. It returns the URLs of its listeners by
// their names.
func (p *production) serve(role string, args ...string) (urls map[string]string, stop func()) {
	p.b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	printed, out := io.Pipe()
	command := newRoot()
	command.SetArgs(slices.Concat([]string{"serve", role, "--log-level", "error", "--admin-addr", "127.0.0.1:0"}, []string{"--kafka-brokers", p.brokers}, p.topics.Flags(), args))
	command.SetOut(out)
	ended := make(chan error, 1)
	go func() {
		err := command.ExecuteContext(ctx)
		_ = out.CloseWithError(io.EOF) // ends the reader
		ended <- err
	}()
	urls = readURLs(printed)
	return urls, func() {
		cancel()
		if err := <-ended; err != nil {
			p.b.Error(err)
		}
	}
}

func (p *production) api() (urls map[string]string, stop func()) {
	return p.serve("api", "--database-url", p.database, "--data-dir", p.b.TempDir(), "--api-addr", "127.0.0.1:0", "--internal-addr", "127.0.0.1:0")
}

func (p *production) ingest() (url string, stop func()) {
	urls, stop := p.serve("ingest", "--ingest-addr", "127.0.0.1:0")
	return urls["ingest"], stop
}

var listening = regexp.MustCompile(`^\s+(\w+)\s+(http://\S+)`)

// readURLs reads the listeners from what a role prints at its start, and discards
// the rest of its output.
func readURLs(printed io.Reader) map[string]string {
	urls := make(map[string]string)
	lines := bufio.NewScanner(printed)
	for lines.Scan() {
		found := listening.FindStringSubmatch(lines.Text())
		if found != nil {
			urls[found[1]] = found[2]
		} else if len(urls) > 0 && lines.Text() == "" {
			break
		}
	}
	go func() { _, _ = io.Copy(io.Discard, printed) }()
	return urls
}

// BenchmarkProductionPublish compares the rate at which ingest accepts in mode
// kafka, over 64 connections, with that of an echo handler that only decodes the
// same body.
func BenchmarkProductionPublish(b *testing.B) {
	p := newProduction(b)
	url, stop := p.ingest()
	defer stop()
	e := echo.New()
	e.POST("/*", decodeOnly)
	control := httptest.NewServer(e)
	defer control.Close()
	contenders := []*sender{newSender(b, "ingest", url), newSender(b, "decode-only", control.URL)}
	for b.Loop() {
		for _, c := range contenders {
			c.turn(b)
		}
	}
	for _, c := range contenders {
		b.ReportMetric(c.rate(), c.name+"/s")
	}
	b.ReportMetric(contenders[0].rate()/contenders[1].rate(), "x-control")
}

func decodeOnly(c echo.Context) error {
	var webhook struct {
		ProviderEventID string          `json:"provider_event_id"`
		OrderID         string          `json:"order_id"`
		UserID          string          `json:"user_id"`
		Status          string          `json:"status"`
		CreatedAt       time.Time       `json:"created_at"`
		UpdatedAt       time.Time       `json:"updated_at"`
		Meta            json.RawMessage `json:"meta"`
	}
	if err := json.NewDecoder(c.Request().Body).Decode(&webhook); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"verdict": "queued", "request_id": webhook.ProviderEventID})
}

// sender is one side of a comparison.
type sender struct {
	name     string
	provider *load.Provider
	accepted int64
	took     time.Duration
}

func newSender(b *testing.B, name, url string) *sender {
	b.Helper()
	target, err := load.NewTarget(url)
	if err != nil {
		b.Fatal(err)
	}
	script := load.NewScript(load.Workload{Kind: "orders", BodyBytes: load.MinBodyBytes}, strings.ToLower(rand.Text()), time.Now())
	s := &sender{name: name, provider: load.NewProvider(script, target, 10*time.Second)}
	b.Cleanup(s.provider.Close)
	return s
}

func (s *sender) turn(b *testing.B) {
	result := s.provider.Run(b.Context(), load.Shape{Connections: 64, Duration: 2 * time.Second})
	if len(result.Errors) > 0 {
		b.Fatalf("%s: %v", s.name, result.Errors)
	}
	s.accepted += result.Accepted
	s.took += result.Elapsed
}

func (s *sender) rate() float64 { return float64(s.accepted) / s.took.Seconds() }

// backlog is the number of updates that a benchmark drains.
const backlog = 40_000

// BenchmarkProductionDrain compares the rate at which an api process applies a
// backlog with the rate at which pgx alone inserts the same events, in batches
// of 500.
func BenchmarkProductionDrain(b *testing.B) {
	var applied, inserted time.Duration
	for b.Loop() {
		p := newProduction(b)
		p.run("migrate", "up", "--database-url", p.database)
		p.publish(backlog)
		begin := time.Now()
		_, stop := p.api()
		p.awaitEvents(backlog)
		applied += time.Since(begin)
		stop()
		inserted += p.insertAgain()
	}
	rate := func(took time.Duration) float64 { return float64(b.N*backlog) / took.Seconds() }
	b.ReportMetric(rate(applied), "applied/s")
	b.ReportMetric(rate(inserted), "inserted/s")
	b.ReportMetric(rate(applied)/rate(inserted), "x-control")
}

// publish publishes count updates of orders with three updates each.
func (p *production) publish(count int) {
	p.b.Helper()
	client := p.producer()
	defer client.Close()
	const batch = 500
	for n := 0; n < count; n += batch {
		updates := make([]*payrelayv1.Update, batch)
		for i := range updates {
			updates[i] = backlogUpdate(n + i)
		}
		if _, err := client.Apply(p.b.Context(), updates); err != nil {
			p.b.Fatal(err)
		}
	}
}

func (p *production) producer() *kafka.Producer {
	p.b.Helper()
	cfg := kafka.Config{TopicConfig: kafka.TopicConfig{OrdersTopic: p.topics.Orders, DisputesTopic: p.topics.Disputes, Group: p.topics.Group}}
	cfg.Brokers = strings.Split(p.brokers, ",")
	client, err := kafka.NewProducer(cfg)
	if err != nil {
		p.b.Fatal(err)
	}
	return client
}

func backlogUpdate(n int) *payrelayv1.Update {
	statuses := []payrelayv1.OrderStatus{payrelayv1.OrderStatus_ORDER_STATUS_CREATED, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS}
	// A thousand orders are interleaved at a time, and their IDs are not sequential.
	lane, round := n%1000, n/1000
	order := uint64(round/3*1000+lane) * 0x9e3779b97f4a7c15
	at := timestamppb.New(time.Date(2026, 1, 4, 10, 0, 0, n*1000, time.UTC))
	body := fmt.Appendf(make([]byte, 0, 400), "%-400d", n)
	return &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: fmt.Sprintf("evt-%016x", uint64(n)*0x9e3779b97f4a7c15), OrderId: fmt.Sprintf("order-%016x", order),
		UserId: fmt.Sprintf("user-%016x", order), OccurredAt: at, ReceivedAt: at, RawBody: body,
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: statuses[round%3], CreatedAt: at, Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	}
}

// connect opens a connection to the benchmark's database.
func (p *production) connect() *pgx.Conn {
	p.b.Helper()
	conn, err := pgx.Connect(p.b.Context(), p.database)
	if err != nil {
		p.b.Fatal(err)
	}
	p.b.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// awaitEvents waits until count events are recorded. It reads the sequence of the
// events, which costs the server next to nothing.
func (p *production) awaitEvents(count int) {
	p.b.Helper()
	conn := p.connect()
	deadline := time.Now().Add(2 * time.Minute)
	for recorded := 0; recorded < count; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.b.Fatalf("%d of %d events were recorded within 2 minutes", recorded, count)
		}
		if err := conn.QueryRow(p.b.Context(), "SELECT last_value FROM events_seq_seq").Scan(&recorded); err != nil {
			p.b.Fatal(err)
		}
	}
	if err := conn.QueryRow(p.b.Context(), "SELECT 1 / (count(*) = $1)::int FROM events WHERE verdict = 'applied'", count).Scan(new(int)); err != nil {
		p.b.Fatalf("some events were not applied: %v", err)
	}
}

// insertAgain inserts the recorded events into a copy of their table, and returns
// the time that this took.
func (p *production) insertAgain() time.Duration {
	p.b.Helper()
	conn := p.connect()
	if _, err := conn.Exec(p.b.Context(), "CREATE TABLE again (LIKE events INCLUDING ALL)"); err != nil {
		p.b.Fatal(err)
	}
	rows, err := conn.Query(p.b.Context(), "SELECT * FROM events ORDER BY seq")
	if err != nil {
		p.b.Fatal(err)
	}
	places := make([]string, len(rows.FieldDescriptions()))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	insert := "INSERT INTO again VALUES (" + strings.Join(places, ", ") + ")"
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		p.b.Fatal(err)
	}
	begin := time.Now()
	for values := range slices.Chunk(all, 500) {
		batch := new(pgx.Batch)
		for _, row := range values {
			batch.Queue(insert, row...)
		}
		if err := conn.SendBatch(p.b.Context(), batch).Close(); err != nil {
			p.b.Fatal(err)
		}
	}
	return time.Since(begin)
}

// BenchmarkProductionLone measures the latency of a lone webhook: until it is
// accepted, compared with the broker's acknowledgement of a record, and from there
// until it is applied.
func BenchmarkProductionLone(b *testing.B) {
	p := newProduction(b)
	_, stopAPI := p.api()
	defer stopAPI()
	url, stopIngest := p.ingest()
	defer stopIngest()
	client := p.producer()
	defer client.Close()
	conn := p.connect()
	var accept, broker, applied []time.Duration
	n := 0
	for b.Loop() {
		for range 100 {
			n++
			begin := time.Now()
			p.post(url, n)
			accepted := time.Now()
			p.awaitEvent(conn, fmt.Sprint("lone-", n))
			accept, applied = append(accept, accepted.Sub(begin)), append(applied, time.Since(accepted))
			begin = time.Now()
			if _, err := client.Apply(b.Context(), []*payrelayv1.Update{backlogUpdate(n)}); err != nil {
				b.Fatal(err)
			}
			broker = append(broker, time.Since(begin))
		}
	}
	b.ReportMetric(median(accept), "accept-p50-ms")
	b.ReportMetric(median(broker), "broker-p50-ms")
	b.ReportMetric(median(applied), "accept-to-applied-p50-ms")
}

func median(of []time.Duration) float64 {
	slices.Sort(of)
	return float64(of[len(of)/2].Microseconds()) / 1000
}

func (p *production) post(url string, n int) {
	body := fmt.Sprintf(`{"provider_event_id":"lone-%d","order_id":"lone-%[1]d","user_id":"u","status":"created",
		"created_at":"2026-01-04T10:00:00Z","updated_at":"2026-01-04T10:00:00Z","meta":{"amount":"100.50","currency":"USD"}}`, n)
	answer, err := http.Post(url+"/webhooks/payments/orders", "application/json", strings.NewReader(body))
	if err != nil {
		p.b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close() // the body was read
	if answer.StatusCode != http.StatusAccepted {
		p.b.Fatalf("webhook %d: status %s, want 202", n, answer.Status)
	}
}

func (p *production) awaitEvent(conn *pgx.Conn, event string) {
	for recorded := false; !recorded; {
		if err := conn.QueryRow(p.b.Context(), "SELECT EXISTS (SELECT FROM events WHERE event_id = $1)", event).Scan(&recorded); err != nil {
			p.b.Fatal(err)
		}
	}
}
