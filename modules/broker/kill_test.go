package broker

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/internal/wait"
)

// childDir is an environment variable that makes the test binary run a broker on that
// directory instead of the tests.
const childDir = "BROKER_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		runChild(dir)
	}
	os.Exit(m.Run())
}

// runChild serves until the process is killed. It prints its address.
func runChild(dir string) {
	b, err := Open(Config{Addr: "127.0.0.1:0", SyncWrites: true}, dir, []string{"orders"}, relayGroup, discard)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(b.Addr())
	_ = b.Run(context.Background())
}

// startChild runs a broker in its own process.
func startChild(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read the address of the child: %q, %v", line, err)
	}
	return strings.TrimSpace(line), kill
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]bool{}
	for round := range 3 {
		addr, kill := startChild(t, dir)
		for _, v := range produceUntilKilled(t, addr, fmt.Sprintf("round-%d", round), kill) {
			acked[v] = true
		}
	}
	b := start(t, dir, "orders")
	stored := b.cluster.PartitionInfo("orders", 0)
	if stored.LogStartOffset != 0 || len(acked) == 0 {
		t.Fatalf("%d records acknowledged, log starts at %d, want some and 0", len(acked), stored.LogStartOffset)
	}
	for _, m := range consume(t, b.Addr(), relayGroup, "orders", int(stored.HighWatermark)) {
		delete(acked, string(m.Value))
	}
	for v := range acked {
		t.Errorf("%s was acknowledged and is lost", v)
	}
}

// produceUntilKilled runs several producers, kills the broker meanwhile and returns the
// acknowledged records.
func produceUntilKilled(t *testing.T, addr, prefix string, kill func()) []string {
	t.Helper()
	const producers, enough = 4, 100
	cfg := clientConfig()
	cfg.Producer.Retry.Max, cfg.Metadata.Retry.Max = 1, 0
	var (
		count atomic.Int64
		mu    sync.Mutex
		acked []string
		wg    sync.WaitGroup
	)
	for p := range producers {
		producer, err := sarama.NewSyncProducer([]string{addr}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		wg.Go(func() {
			for i := 0; ; i++ {
				v := fmt.Sprintf("%s-%d-%d", prefix, p, i)
				if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder(v)}); err != nil {
					return
				}
				mu.Lock()
				acked = append(acked, v)
				mu.Unlock()
				count.Add(1)
			}
		})
	}
	wait.Until(t, patience, "enough records are acknowledged", func() bool { return count.Load() >= enough })
	kill()
	wg.Wait()
	return acked
}
