package broker

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/payrelay/payrelay/internal/wait"
)

func TestRecordsAndOffsetsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 0, 20)
	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 8), 0)
	b.stop()

	b = start(t, dir, "orders")
	wait.Until(t, patience, "the start trims the records that the group has committed", func() bool {
		return b.cluster.PartitionInfo("orders", 0).LogStartOffset == 8
	})
	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 12), 8)
	if last := produce(t, b.Addr(), "orders", 20, 21); last != 20 {
		t.Errorf("the first record after the restart has offset %d, want 20", last)
	}
}

func TestUncommittedRecordsComeAgainAfterARestart(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 0, 5)
	messages, leave := join(t, b.Addr(), relayGroup, "orders", false)
	<-messages
	leave()
	b.stop()

	b = start(t, dir, "orders")
	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 5), 0)
}

func TestTopicsOfALaterStartExistAndPersist(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 0, 3)
	b.stop()

	b = start(t, dir, "orders", "disputes")
	produce(t, b.Addr(), "disputes", 0, 3)
	crashed := copyDir(t, dir) // as a kill would leave it
	b.stop()

	b = start(t, crashed, "orders", "disputes")
	for _, topic := range []string{"orders", "disputes"} {
		wantValues(t, consume(t, b.Addr(), relayGroup, topic, 3), 0)
	}
}

func TestTopicsHaveOnePartitionAndRequestsCreateNone(t *testing.T) {
	b := start(t, t.TempDir(), "orders", "disputes")
	cfg := clientConfig()
	cfg.Metadata.AllowAutoTopicCreation = true
	client, err := sarama.NewClient([]string{b.Addr()}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, topic := range []string{"orders", "disputes"} {
		if parts, err := client.Partitions(topic); err != nil || len(parts) != 1 {
			t.Errorf("Partitions(%q) = %v, %v, want one", topic, parts, err)
		}
	}
	if parts, err := client.Partitions("surprise"); err == nil {
		t.Errorf("Partitions of an unknown topic = %v, nil, want an error", parts)
	}
}

func TestClientsOfManyVersions(t *testing.T) {
	b := start(t, t.TempDir(), "orders")
	for i, version := range []sarama.KafkaVersion{sarama.V2_1_0_0, sarama.V2_8_0_0, sarama.V3_9_0_0, sarama.MaxVersion} {
		t.Run(version.String(), func(t *testing.T) {
			cfg := clientConfig()
			cfg.Version = version
			producer, err := sarama.NewSyncProducer([]string{b.Addr()}, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer producer.Close()
			_, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder(value(i))})
			if err != nil || offset != int64(i) {
				t.Fatalf("SendMessage() = offset %d, %v, want %d", offset, err, i)
			}
			messages, leave := joinAs(t, cfg, b.Addr(), relayGroup, "orders", true)
			defer leave()
			select {
			case m := <-messages:
				wantValues(t, []*sarama.ConsumerMessage{m}, i)
			case <-time.After(patience):
				t.Fatal("the record was not consumed")
			}
		})
	}
	t.Run("franz-go", func(t *testing.T) { // uses the newest versions of all requests
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumerGroup("franz"), kgo.ConsumeTopics("orders"))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		record := &kgo.Record{Topic: "orders", Value: []byte(value(4))}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < 5; {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				t.Fatalf("after %d records: %v", got, err)
			}
			got += fetches.NumRecords()
		}
	})
}

func TestOpenCreatesAPrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "broker")
	start(t, dir, "orders")
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode of %s = %o, want 700", dir, got)
	}
}

func TestOpenFailsAtOnceOnATakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := Open(Config{Addr: ln.Addr().String()}, t.TempDir(), nil, relayGroup, discard); err == nil {
		t.Fatal("Open() on a port in use = nil, want an error")
	}
}

func TestOpenReportsTopicsThatCannotBeCreated(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Config{Addr: "127.0.0.1:0"}, dir, []string{"orders.v1", "orders_v1"}, relayGroup, discard); err == nil {
		t.Fatal("Open() with two topics that Kafka cannot distinguish = nil, want an error")
	}
	start(t, dir, "orders") // the failed broker has released it
}

func TestRunWithAnEndedContextClosesTheBroker(t *testing.T) {
	b, err := Open(Config{Addr: "127.0.0.1:0"}, t.TempDir(), []string{"orders"}, relayGroup, discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
	if conn, err := net.Dial("tcp", b.Addr()); err == nil {
		conn.Close()
		t.Error("the broker listens after Run has returned")
	}
}

// copyDir returns a copy of the files of a running broker, which is the state that a
// kill of the process leaves behind.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}
