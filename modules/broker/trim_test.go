package broker

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
)

func trim(t *testing.T, b running) {
	t.Helper()
	if err := b.trim(context.Background()); err != nil {
		t.Fatalf("trim: %v", err)
	}
}

func TestTrimDeletesOnlyWhatEveryGroupHasCommitted(t *testing.T) {
	b := start(t, t.TempDir(), "orders", "disputes")
	produce(t, b.Addr(), "orders", 0, 10)
	produce(t, b.Addr(), "disputes", 0, 4)
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 0, 10) // no group has committed

	consume(t, b.Addr(), relayGroup, "orders", 9)
	consume(t, b.Addr(), "slow", "orders", 3)
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 3, 10)
	wantOffsets(t, b.Addr(), "disputes", 0, 4)
	wantValues(t, consume(t, b.Addr(), "slow", "orders", 7), 3)
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 9, 10)
	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 1), 9)
}

// The offsets of a group that only inspects the log do not show what has been applied.
func TestTrimWaitsForTheGroupThatAppliesTheRecords(t *testing.T) {
	b := start(t, t.TempDir(), "orders", "disputes")
	produce(t, b.Addr(), "orders", 0, 10)
	produce(t, b.Addr(), "disputes", 0, 4)
	consume(t, b.Addr(), "debug", "orders", 8)
	consume(t, b.Addr(), "debug", "disputes", 4)
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 0, 10)
	wantOffsets(t, b.Addr(), "disputes", 0, 4)

	messages, leave := join(t, b.Addr(), relayGroup, "orders", false)
	wantValues(t, []*sarama.ConsumerMessage{<-messages}, 0)
	leave() // as if it had been killed before its first commit
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 0, 10)

	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 5), 0)
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 5, 10)
	wantOffsets(t, b.Addr(), "disputes", 0, 4) // only debug has committed
	wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 5), 5)
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 8, 10)
}

func TestTrimWaitsForAGroupThatHasJoinedButNotCommitted(t *testing.T) {
	b := start(t, t.TempDir(), "orders")
	produce(t, b.Addr(), "orders", 0, 10)
	consume(t, b.Addr(), relayGroup, "orders", 10)
	messages, leave := join(t, b.Addr(), "undecided", "orders", false)
	wantValues(t, []*sarama.ConsumerMessage{<-messages}, 0)
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 0, 10)
	leave()
	trim(t, b)
	wantOffsets(t, b.Addr(), "orders", 9, 10)
}

// An empty log would start again at offset 0, below the group's committed offset, and
// the group would skip the next records.
func TestOffsetsContinueAfterEverythingWasConsumed(t *testing.T) {
	for name, restart := range map[string]func(*testing.T, running, string) string{
		"stop": func(_ *testing.T, b running, dir string) string { b.stop(); return dir },
		"kill": func(t *testing.T, _ running, dir string) string { return copyDir(t, dir) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := start(t, dir, "orders")
			produce(t, b.Addr(), "orders", 0, 6)
			consume(t, b.Addr(), relayGroup, "orders", 6)
			trim(t, b)
			wantOffsets(t, b.Addr(), "orders", 5, 6)

			b = start(t, restart(t, b, dir), "orders")
			trim(t, b)
			wantOffsets(t, b.Addr(), "orders", 5, 6)
			if last := produce(t, b.Addr(), "orders", 6, 9); last != 8 {
				t.Errorf("the newest record has offset %d, want 8", last)
			}
			wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 3), 6)
		})
	}
}

func TestTrimFreesDiskSpace(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "orders")
	producer := newProducer(t, b.Addr())
	const records, size = 40, 900_000 // over two segments
	for range records {
		msg := &sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder(strings.Repeat("x", size))}
		if _, _, err := producer.SendMessage(msg); err != nil {
			t.Fatal(err)
		}
	}
	before := diskUse(t, dir)
	if before < records*size {
		t.Fatalf("%d bytes on disk after producing %d, want at least as many", before, records*size)
	}
	consume(t, b.Addr(), relayGroup, "orders", records)
	trim(t, b)
	if after := diskUse(t, dir); after > before/2 {
		t.Errorf("%d of %d bytes on disk after trimming, want at most half", after, before)
	}
}

func diskUse(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func TestConsumed(t *testing.T) {
	group := func(name, topic string, offset int64) *kfake.GroupInfo {
		return &kfake.GroupInfo{Group: name, Commits: map[string]map[int32]kfake.GroupCommit{topic: {0: {Offset: offset}}}}
	}
	reader := func(name string) *kfake.GroupInfo {
		return &kfake.GroupInfo{Group: name, Members: []kfake.GroupMember{{SubscribedTopics: []string{"orders"}}}}
	}
	applying, debug := group(relayGroup, "orders", 5), group("debug", "orders", 9)
	tests := map[string]struct {
		groups []*kfake.GroupInfo
		low    int64
		ok     bool
	}{
		"no group":                 {nil, 0, false},
		"relay on another topic":   {[]*kfake.GroupInfo{group(relayGroup, "disputes", 5), debug}, 0, false},
		"relay alone":              {[]*kfake.GroupInfo{applying}, 5, true},
		"relay is the slowest":     {[]*kfake.GroupInfo{debug, applying}, 5, true},
		"another is the slowest":   {[]*kfake.GroupInfo{applying, group("slow", "orders", 2), debug}, 2, true},
		"another consumed nothing": {[]*kfake.GroupInfo{applying, group("slow", "orders", 0)}, 0, true},
		"only others committed":    {[]*kfake.GroupInfo{debug, group("slow", "orders", 2)}, 0, false},
		"relay lost its offsets":   {[]*kfake.GroupInfo{debug, {Group: relayGroup}}, 0, false},
		"relay has no offset yet":  {[]*kfake.GroupInfo{debug, reader(relayGroup)}, 0, false},
		"a reader has no offset":   {[]*kfake.GroupInfo{applying, reader("undecided")}, 0, false},
		"idle group without ties":  {[]*kfake.GroupInfo{{Group: "idle"}, applying}, 5, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			low, ok := consumed(tt.groups, relayGroup, "orders")
			if ok != tt.ok || ok && low != tt.low {
				t.Errorf("consumed() = %d, %t, want %d, %t", low, ok, tt.low, tt.ok)
			}
		})
	}
}
