package broker

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// trimInterval bounds the log, and what the next start has to read, to about the
	// traffic of this time.
	trimInterval = time.Minute
	adminTimeout = 10 * time.Second // for the broker's requests to itself
)

// trim deletes the records that the broker's group and all other consumer groups of
// their topic have committed. While the broker's group has no committed offset for a
// topic, because it never joined, ended before its first commit or was absent until
// its offsets expired, nothing of the topic is deleted: what other groups have
// consumed may not have been applied.
//
// Consumed records are kept for a time, as [retention] has it.
//
// The newest record is always kept. kfake derives the next offset from the records on
// disk, so an empty log starts at 0 after a restart, and a group that has committed
// 1000 would skip the next 1000 records.
func (b *Broker) trim(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr))
	if err != nil {
		return fmt.Errorf("connecting to list consumer groups: %w", err)
	}
	defer client.Close()
	groups, err := b.groups(ctx, client)
	if err != nil {
		return err
	}
	for _, topic := range b.topics {
		upTo, ok := consumed(groups, b.group, topic)
		part := b.cluster.PartitionInfo(topic, 0)
		if !ok || part == nil {
			continue
		}
		if upTo, err = b.keep.limit(partitionDir(b.dir, topic), min(upTo, part.HighWatermark-1), time.Now()); err != nil {
			return err
		}
		if upTo <= part.LogStartOffset {
			continue
		}
		if err := b.cluster.DeleteRecords(topic, 0, upTo); err != nil {
			return fmt.Errorf("deleting records of %q before offset %d: %w", topic, upTo, err)
		}
		b.log.Debug("trimmed the broker's log", "topic", topic, "from", part.LogStartOffset, "to", upTo)
	}
	return nil
}

// consumed returns the lowest offset that a group has committed for the topic. All
// groups have consumed the records below it. ok is false, and the offset meaningless,
// if the group that applies the records has not committed, or if another group that
// reads the topic has not.
func consumed(groups []*kfake.GroupInfo, applying, topic string) (low int64, ok bool) {
	low = math.MaxInt64
	for _, g := range groups {
		commit, committed := g.Commits[topic][0]
		switch {
		case committed:
			low = min(low, commit.Offset)
			ok = ok || g.Group == applying
		case reads(g, topic):
			return 0, false
		}
	}
	return low, ok
}

// reads reports whether a member of the group has subscribed to the topic.
func reads(g *kfake.GroupInfo, topic string) bool {
	return slices.ContainsFunc(g.Members, func(m kfake.GroupMember) bool {
		return slices.Contains(m.SubscribedTopics, topic)
	})
}

// groups returns all consumer groups. Only a request lists their names; kfake then
// returns their offsets directly.
func (b *Broker) groups(ctx context.Context, client *kgo.Client) ([]*kfake.GroupInfo, error) {
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("listing consumer groups: %w", err)
	}
	var groups []*kfake.GroupInfo
	for _, g := range resp.Groups {
		if info := b.cluster.GroupInfo(g.Group); info != nil {
			groups = append(groups, info)
		}
	}
	return groups, nil
}
