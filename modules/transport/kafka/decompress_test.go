package kafka

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// A batch that decompresses to more than the limit is neither read nor skipped: its
// partition waits for an operator.
func TestDecompressionIsBounded(t *testing.T) {
	_, cfg := startKafka(t)
	log := make(logged, 100)
	l := &ledger{}
	consumer, err := NewConsumer(cfg, l, l, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r := transporttest.Start(consumer.Run)
	publishAll(t, cfg, 0, 1)
	wait.Until(t, patience, "the first record", func() bool { return len(l.applied()) == 1 })
	publishBomb(t, cfg, 8<<20+1)
	publishAll(t, cfg, 1, 2)
	for range 2 {
		log.await(t, "decompressed to more than 8388608 bytes")
	}
	if err := r.Stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if at := committed(t, cfg); len(l.applied()) != 1 || len(l.letters) != 0 || at != 1 {
		t.Errorf("%d applied, %d dead letters, committed up to %d, want 1, 0, 1", len(l.applied()), len(l.letters), at)
	}
}

// publishBomb publishes one record that decompresses to size bytes.
func publishBomb(t *testing.T, cfg Config, size int) {
	t.Helper()
	config := must(producerConfig(cfg))
	config.Producer.Compression, config.Producer.MaxMessageBytes = sarama.CompressionGZIP, 2*size
	producer, err := sarama.NewSyncProducer(cfg.Brokers, config)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	message := &sarama.ProducerMessage{Topic: cfg.OrdersTopic, Key: sarama.StringEncoder("order-1"), Value: sarama.ByteEncoder(make([]byte, size))}
	if _, _, err := producer.SendMessage(message); err != nil {
		t.Fatal(err)
	}
}

// committed returns the committed offset of the group.
func committed(t *testing.T, cfg Config) int64 {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(cfg.Brokers, must(newSaramaConfig(t.Context(), cfg.ClusterConfig, "test")))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	offsets, err := admin.ListConsumerGroupOffsets(cfg.Group, map[string][]int32{cfg.OrdersTopic: {0}})
	if err != nil {
		t.Fatal(err)
	}
	return offsets.GetBlock(cfg.OrdersTopic, 0).Offset
}

// logged receives the lines of a log. It drops lines while it is full.
type logged chan string

func (l logged) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default:
	}
	return len(line), nil
}

func (l logged) await(t *testing.T, text string) {
	t.Helper()
	for late := time.After(10 * time.Second); ; {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				return
			}
		case <-late:
			t.Fatalf("the log does not contain %q", text)
		}
	}
}
