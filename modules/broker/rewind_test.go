package broker

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"github.com/payrelay/payrelay/internal/wait"
)

// cutLog removes the last third of the topic's log, cutting a record batch, as a power
// failure may.
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

// segment returns the path of the topic's first segment.
func segment(dir, topic string) string {
	return filepath.Join(dir, "partitions", topic+"-0", "0.dat")
}

// wantAll checks that the first kept records are those from 0 on, and the others those
// from number from on.
func wantAll(t *testing.T, got []*sarama.ConsumerMessage, kept, from int) {
	t.Helper()
	wantValues(t, got[:kept], 0)
	wantValues(t, got[kept:], from)
}

func TestRecordsAfterALostTailReachAGroupThatWasAhead(t *testing.T) {
	for name, restart := range map[string]func(*testing.T, running, string) string{
		"kill": func(t *testing.T, _ running, dir string) string { return copyDir(t, dir) },
		"stop": func(_ *testing.T, b running, dir string) string { b.stop(); return dir },
		// A stop stores the members of a group, and after the next start only these
		// may commit.
		"stop under a member": func(t *testing.T, b running, dir string) string {
			join(t, b.Addr(), relayGroup, "orders", true)
			wait.Until(t, patience, "the member has joined", func() bool {
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

			var logged bytes.Buffer
			b = startLogging(t, slog.New(slog.NewTextHandler(&logged, nil)), dir, "orders", "disputes")
			if n := strings.Count(logged.String(), "the broker's log has lost its newest records"); n != 1 {
				t.Errorf("%d warnings about lost records, want 1:\n%s", n, &logged)
			}
			if last := produce(t, b.Addr(), "orders", 100, 110); last != 15 {
				t.Fatalf("the newest record has offset %d, want 15: cutLog has cut the log at another place", last)
			}
			wantAll(t, consume(t, b.Addr(), relayGroup, "orders", 16), 6, 100)
			// Groups that were not ahead continue where they were.
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

// The offsets that a start has reset are persisted: the next start resets nothing.
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
	var logged bytes.Buffer
	b = startLogging(t, slog.New(slog.NewTextHandler(&logged, nil)), copyDir(t, dir), "orders")
	if logged.Len() > 0 {
		t.Errorf("a start without damage logs %s", &logged)
	}
	if got := b.cluster.GroupInfo(relayGroup).Commits["orders"][0].Offset; got != 9 {
		t.Errorf("offset of the group = %d, want 9", got)
	}
}
