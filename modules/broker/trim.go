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
	// trimInterval bounds the log to about this much traffic, and with it what
	// the next start has to read.
	trimInterval = time.Minute
	adminTimeout = 10 * time.Second // for all that the broker asks itself at once
)

// trim deletes the records that the broker's group and all other consumer
// groups of their topic have committed. As long as the broker's group has no
// commit for a topic, because it never came, died early or stayed away until its
// offsets expired, the topic keeps everything: what others have read need not
// have been applied.
//
// The newest record always stays: kfake derives the next offset from what is on
// disk, so an emptied log starts again at 0 after a restart, and a group that
// has committed 1000 skips the next 1000 records.
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
		upTo = min(upTo, part.HighWatermark-1)
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

// consumed returns the lowest offset that a group has committed for the topic's
// partition: the records below it have been consumed by all. It reports false,
// and the offset means nothing, when the group that applies the records has not
// committed, or when another group that reads the topic has not committed yet.
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

// groups returns all consumer groups. Their names are to be had over the wire
// only; the offsets then come from the cluster itself.
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
