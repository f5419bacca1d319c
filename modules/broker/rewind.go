package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rewind resets groups that have committed an offset beyond the end of the log. This
// happens when the log has lost its newest records, because commits are in another
// file. New records get the offsets of the lost ones, and such a group would skip them.
// It starts again at the beginning of the log, because the broker does not know which
// records it has consumed under these offsets; consumers tolerate duplicates.
//
// rewind must run before any client is served: new records would hide the gap.
func (b *Broker) rewind() error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.Dialer(b.gate.dial))
	if err != nil {
		return fmt.Errorf("connecting to check the committed offsets: %w", err)
	}
	defer client.Close()
	groups, err := b.groups(ctx, client)
	if err != nil {
		return err
	}
	for _, g := range groups {
		ahead := b.ahead(g)
		if len(ahead) == 0 {
			continue
		}
		if err := reset(ctx, client, g, ahead); err != nil {
			return fmt.Errorf("resetting group %q, which is ahead of a log that lost its newest records: %w", g.Group, err)
		}
		for topic, log := range ahead {
			b.log.Warn("the broker's log has lost its newest records: a group that had consumed them starts from the beginning",
				"group", g.Group, "topic", topic, "committed", g.Commits[topic][0].Offset,
				"log_end", log.HighWatermark, "set_back_to", log.LogStartOffset)
		}
	}
	return nil
}

// ahead returns, by topic, the logs that end before the offset that the group has
// committed.
func (b *Broker) ahead(g *kfake.GroupInfo) map[string]*kfake.PartitionInfo {
	logs := make(map[string]*kfake.PartitionInfo)
	for topic, commits := range g.Commits {
		commit, committed := commits[0]
		log := b.cluster.PartitionInfo(topic, 0)
		if committed && log != nil && commit.Offset > log.HighWatermark {
			logs[topic] = log
		}
	}
	return logs
}

// reset commits the start of the logs for the group. kfake stores the members of a
// group when it stops. They have to leave first, because only they may commit, and
// they would continue at their old offsets.
func reset(ctx context.Context, client *kgo.Client, g *kfake.GroupInfo, logs map[string]*kfake.PartitionInfo) error {
	if len(g.Members) > 0 {
		if err := dismiss(ctx, client, g); err != nil {
			return err
		}
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = g.Group
	for topic, log := range logs {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset = log.LogStartOffset
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("committing for topic %q: %w", t.Topic, err)
			}
		}
	}
	return nil
}

// dismiss removes all members from the group. Those that are running join again.
func dismiss(ctx context.Context, client *kgo.Client, g *kfake.GroupInfo) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = g.Group
	for _, member := range g.Members {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = member.MemberID
		req.Members = append(req.Members, m)
	}
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("removing its members: %w", err)
	}
	return nil
}
