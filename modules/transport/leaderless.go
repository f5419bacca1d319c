package transport

import (
	"errors"

	"github.com/IBM/sarama"
)

// patientClient lets a consumer go on with the partitions that have a leader. The
// library's own tells of a topic as of an error when a single partition lacks one,
// and then nobody can join the group, or follow another partition to its new
// leader.
type patientClient struct{ sarama.Client }

// RefreshMetadata takes what the brokers know for an answer. Who needs the leader
// of a partition asks for it, and is told.
func (c patientClient) RefreshMetadata(topics ...string) error {
	err := c.Client.RefreshMetadata(topics...)
	if errors.Is(err, sarama.ErrLeaderNotAvailable) {
		return nil
	}
	return err
}

// newGroup connects a member of the group. The client is to be closed after it.
func newGroup(cfg KafkaConfig) (sarama.ConsumerGroup, sarama.Client, error) {
	config, err := consumerConfig(cfg)
	if err != nil {
		return nil, nil, err
	}
	client, err := sarama.NewClient(cfg.Brokers, config)
	if err != nil {
		return nil, nil, err
	}
	group, err := sarama.NewConsumerGroupFromClient(cfg.Group, patientClient{client})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return group, client, nil
}
