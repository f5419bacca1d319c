package kafka

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// shaped returns a topic of the default shape, changed by spoil.
func shaped(spoil func(*Topic)) Topic {
	t := Topic{Name: "webhooks.orders", MinInSync: 2, CleanupPolicy: "delete", Retention: 30 * 24 * time.Hour, RetentionBytes: -1, MaxMessageBytes: MinMessageBytes}
	for range 2 {
		t.Partitions = append(t.Partitions, Partition{Leader: 1, Replicas: []int32{1, 2, 3}, InSync: []int32{1, 2, 3}})
	}
	spoil(&t)
	return t
}

func TestCopies(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Topic)
		want  int
	}{
		"as created":              {func(*Topic) {}, 2},
		"one in sync suffices":    {func(t *Topic) { t.MinInSync = 1 }, 1},
		"more in sync than exist": {func(t *Topic) { t.MinInSync = 4 }, 3},
		"unclean election":        {func(t *Topic) { t.UncleanElection = true }, 0},
		"one partition with one replica": {func(t *Topic) {
			t.Partitions[1].Replicas = []int32{2}
		}, 1},
		"one replica has no replacement": {func(t *Topic) {
			t.Partitions[0].Replicas, t.Partitions[1].Replicas, t.UncleanElection = []int32{1}, []int32{2}, true
		}, 1},
		"no partition": {func(t *Topic) { t.Partitions = nil }, 0},
	} {
		if got := shaped(c.spoil).Copies(); got != c.want {
			t.Errorf("%s: Copies() = %d, want %d", name, got, c.want)
		}
	}
}

func TestTopicSettings(t *testing.T) {
	settings := safe()
	settings[SettingRetentionTime] = "-1"
	topic := Topic{Name: "webhooks.orders"}
	if err := topic.parseSettings(settings); err != nil || topic.Retention >= 0 || topic.compacted() {
		t.Errorf("parseSettings(safe) = %+v, %v", topic, err)
	}
	settings[SettingRetentionTime], settings[SettingCleanupPolicy] = "9223372036854775807", "compact,delete"
	if err := topic.parseSettings(settings); err != nil || topic.Retention >= 0 || !topic.compacted() {
		t.Errorf("parseSettings of the largest retention = %+v, %v, want no limit", topic, err)
	}
	settings[SettingMinInSyncReplicas] = "two"
	if err := topic.parseSettings(settings); err == nil || errors.Is(err, errNoSetting) {
		t.Errorf("parseSettings of a text = %v, want an error", err)
	}
	delete(settings, SettingMinInSyncReplicas)
	if err := topic.parseSettings(settings); !errors.Is(err, errNoSetting) || !strings.Contains(err.Error(), SettingMinInSyncReplicas) {
		t.Errorf("parseSettings without a setting = %v, want %v", err, errNoSetting)
	}
}
