package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// AwaitTopics waits until the brokers answer and both topics exist. When ctx ends it
// returns the last error together with the cause. It creates no topics, because an
// operator decides how many partitions and replicas they have.
//
// It fails at once if waiting does not help: if the brokers refuse this process, or
// if a topic acknowledges a record in fewer copies than cfg.MinCopies. The warnings
// are about other settings that can lose or refuse updates.
func AwaitTopics(ctx context.Context, cfg Config) (warnings []string, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var last error
	for {
		warnings, err := checkTopics(ctx, cfg)
		if err == nil || errors.Is(err, errFewCopies) || errors.Is(err, errRefused) {
			return warnings, err
		}
		if last == nil || !over(ctx) { // the error of an interrupted check says little
			last = err
		}
		pause := 100 * time.Millisecond
		if errors.Is(err, errLogin) { // too many attempts may lock the user out
			pause = 2 * time.Second
		}
		sleep(ctx, pause)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		}
	}
}

// over reports whether ctx has ended or its deadline has passed. A dial with that
// deadline can fail a moment before ctx ends.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

func checkTopics(ctx context.Context, cfg Config) (warnings []string, err error) {
	err = WithAdmin(ctx, cfg.ClusterConfig, func(admin sarama.ClusterAdmin) error {
		for _, name := range cfg.Names() {
			about, err := cfg.checkTopic(admin, name)
			if err != nil {
				return err
			}
			warnings = append(warnings, about...)
		}
		return nil
	})
	return warnings, err
}

func (c CopiesConfig) checkTopic(admin sarama.ClusterAdmin, name string) (warnings []string, err error) {
	topic, err := describeTopic(admin, name)
	if err != nil {
		return nil, err
	}
	switch err := topic.readSettings(admin); {
	case unreadable(err) && c.MinCopies > 1:
		return nil, fmt.Errorf("%w: the copies of topic %q are not known, and kafka-min-copies (KAFKA_MIN_COPIES) is %d: %w", errFewCopies, name, c.MinCopies, err)
	case unreadable(err):
		return []string{fmt.Sprintf("it is not known how safe acknowledged records are in topic %q: %v", name, err)}, nil
	case err != nil:
		return nil, err
	}
	if err := c.Check(topic); err != nil {
		return nil, err
	}
	warnings = topic.Weaknesses()
	if topic.Copies() < 2 {
		warnings = append(warnings, fmt.Sprintf("topic %q acknowledges a record once one broker has it, and loses it with that broker's disk: give it more replicas and %s 2", name, SettingMinInSyncReplicas))
	}
	return warnings, nil
}

// unreadable reports whether err means that this user cannot read all settings of
// the topics on these brokers.
func unreadable(err error) bool {
	return errors.Is(err, errNoSetting) || errors.Is(err, sarama.ErrTopicAuthorizationFailed) || errors.Is(err, sarama.ErrClusterAuthorizationFailed) || errors.Is(err, sarama.ErrUnsupportedVersion)
}
