package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// fillSegments produces records of 900 kB each, 18 of which fill a segment.
func fillSegments(t *testing.T, addr, topic string, records int) {
	t.Helper()
	producer := newProducer(t, addr)
	for range records {
		msg := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(strings.Repeat("x", 900_000))}
		if _, _, err := producer.SendMessage(msg); err != nil {
			t.Fatal(err)
		}
	}
}

// Consumed records stay until they are old, or the log is too large.
func TestConsumedRecordsAreKept(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	fillSegments(t, b.Addr(), "orders", 60)
	consume(t, b.Addr(), relayGroup, "orders", 60)
	files, err := segments(partitionDir(dir, "orders"))
	if err != nil || len(files) < 4 {
		t.Fatalf("segments = %d files, %v, want at least 4", len(files), err)
	}
	second, third := firstOffset(files[1]), firstOffset(files[2])
	now := time.Now()
	for _, test := range []struct {
		name     string
		keep     retention
		consumed int64
		age      time.Duration // of the first segment
		want     int64
	}{
		{"nothing is kept", retention{}, 60, 0, 60},
		{"young and small", retention{time.Hour, 1 << 40}, 60, 0, 0},
		{"the first segment is old", retention{time.Hour, 1 << 40}, 60, 2 * time.Hour, second},
		{"old, but not consumed", retention{time.Hour, 1 << 40}, second - 1, 2 * time.Hour, 0},
		{"too large by a little", retention{time.Hour, 50 << 20}, 60, 0, second},
		{"too large by more", retention{time.Hour, 35 << 20}, 60, 0, third},
		{"too large, but not consumed", retention{time.Hour, 1}, second, 0, second},
		{"no size", retention{time.Hour, 0}, 60, 0, 60},
	} {
		check(t, os.Chtimes(files[0], now, now.Add(-test.age)))
		upTo, err := test.keep.limit(partitionDir(dir, "orders"), test.consumed, now)
		if err != nil || upTo != test.want {
			t.Errorf("%s: limit = %d, %v, want %d", test.name, upTo, err, test.want)
		}
	}
	b.keep = retention{time.Hour, 50 << 20}
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", second, 60)
	if _, err := os.Stat(files[0]); !os.IsNotExist(err) {
		t.Errorf("the first segment still exists: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(partitionDir(dir, "orders"), "*.dat")); len(found) != len(files)-1 {
		t.Errorf("%d segments are left of %d, want one less", len(found), len(files))
	}
	b.stop()
	again, err := Open(Config{Addr: "127.0.0.1:0"}, dir, []string{"orders"}, relayGroup, discard)
	check(t, err)
	defer again.cluster.Close()
	wantOffsets(t, again.Addr(), "orders", second, 60)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkStart measures how long a start takes by the size of the log, of records as
// the relay has them.
func BenchmarkStart(b *testing.B) {
	for _, mib := range []int{16, 64, 256} {
		b.Run(fmt.Sprintf("MiB=%d", mib), func(b *testing.B) {
			dir := b.TempDir()
			fillLog(b, dir, mib)
			for b.Loop() {
				broker, err := Open(Config{Addr: "127.0.0.1:0", SyncWrites: true}, dir, []string{"orders"}, relayGroup, discard)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				broker.cluster.Close()
				b.StartTimer()
			}
		})
	}
}

func fillLog(b *testing.B, dir string, mib int) {
	broker, err := Open(Config{Addr: "127.0.0.1:0"}, dir, []string{"orders"}, relayGroup, discard)
	if err != nil {
		b.Fatal(err)
	}
	defer broker.cluster.Close()
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer([]string{broker.Addr()}, cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer producer.Close()
	const size, batch = 600, 500
	for range mib << 20 / (size * batch) {
		messages := make([]*sarama.ProducerMessage, batch)
		for i := range messages {
			messages[i] = &sarama.ProducerMessage{Topic: "orders", Value: sarama.ByteEncoder(make([]byte, size))}
		}
		if err := producer.SendMessages(messages); err != nil {
			b.Fatal(err)
		}
	}
}
