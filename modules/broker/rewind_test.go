package broker

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

// cutLog takes the last third of what is stored of the topic, as a power loss
// may, in the middle of a record batch.
func cutLog(t *testing.T, dir, topic string) {
	t.Helper()
	path := segment(dir, topic)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()*2/3+1); err != nil {
		t.Fatal(err)
	}
}

// segment is the path of the topic's first segment.
func segment(dir, topic string) string {
	return filepath.Join(dir, "partitions", topic+"-0", "0.dat")
}

// wantAll checks that the values of both ranges come, and in order.
func wantAll(t *testing.T, got []*sarama.ConsumerMessage, kept, from int) {
	t.Helper()
	wantValues(t, got[:kept], 0)
	wantValues(t, got[kept:], from)
}

func TestRecordsAfterALostTailReachAGroupThatWasAhead(t *testing.T) {
	for name, restart := range map[string]func(*testing.T, running, string) string{
		"kill": func(t *testing.T, _ running, dir string) string { return copyDir(t, dir) },
		"stop": func(_ *testing.T, b running, dir string) string { b.stop(); return dir },
		// A stop remembers the members of its groups, and the next start lets
		// only these commit.
		"stop under a member": func(t *testing.T, b running, dir string) string {
			join(t, b.Addr(), relayGroup, "orders", true)
			eventually(t, "the member has joined", func() bool {
				g := b.cluster.GroupInfo(relayGroup)
				return g != nil && g.State == "Stable" && len(g.Members) == 1
			})
			b.stop()
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := start(t, dir, "orders", "disputes")
			produce(t, b.Addr(), "orders", 0, 9)
			produce(t, b.Addr(), "disputes", 0, 3)
			consume(t, b.Addr(), relayGroup, "orders", 9)
			consume(t, b.Addr(), relayGroup, "disputes", 2)
			consume(t, b.Addr(), "slow", "orders", 4)
			dir = restart(t, b, dir)
			cutLog(t, dir, "orders")

			var said bytes.Buffer
			b = startLogging(t, slog.New(slog.NewTextHandler(&said, nil)), dir, "orders", "disputes")
			if n := strings.Count(said.String(), "the broker's log has lost its newest records"); n != 1 {
				t.Errorf("%d warnings about the lost tail, want 1:\n%s", n, &said)
			}
			if last := produce(t, b.Addr(), "orders", 100, 110); last != 15 {
				t.Fatalf("the newest record has offset %d, want 15: the log was cut elsewhere than meant", last)
			}
			wantAll(t, consume(t, b.Addr(), relayGroup, "orders", 16), 6, 100)
			// Those that were not ahead go on where they were.
			got := consume(t, b.Addr(), "slow", "orders", 12)
			wantValues(t, got[:2], 4)
			wantValues(t, got[2:], 100)
			wantValues(t, consume(t, b.Addr(), relayGroup, "disputes", 1), 2)
		})
	}
}

func TestRecordsOfAnEmptiedLogReachAGroupThatWasAhead(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 0, 9)
	consume(t, b.Addr(), relayGroup, "orders", 9)
	dir = copyDir(t, dir)
	if err := os.Remove(segment(dir, "orders")); err != nil {
		t.Fatal(err)
	}
	b = start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 100, 112)
	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 12), 100)
}

// What a start has set back is written down: the next one finds nothing to mend.
func TestARewindSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 0, 9)
	consume(t, b.Addr(), relayGroup, "orders", 9)
	dir = copyDir(t, dir)
	cutLog(t, dir, "orders")
	b = start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 100, 110)
	b = start(t, copyDir(t, dir), "orders")
	wantAll(t, consume(t, b.Addr(), relayGroup, "orders", 16), 6, 100)
}

func TestGroupsAtTheEndOfTheLogAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 0, 9)
	consume(t, b.Addr(), relayGroup, "orders", 9)
	var said bytes.Buffer
	b = startLogging(t, slog.New(slog.NewTextHandler(&said, nil)), copyDir(t, dir), "orders")
	if said.Len() > 0 {
		t.Errorf("a start without damage says %s", &said)
	}
	if got := b.cluster.GroupInfo(relayGroup).Commits["orders"][0].Offset; got != 9 {
		t.Errorf("the group is at %d, want 9", got)
	}
}
