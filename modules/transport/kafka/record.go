package kafka

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"github.com/IBM/sarama"
	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// A Kafka record is one update: the value is the binary message, and the key is the
// order id, so that one partition holds an order's updates in sequence, or the event
// id of an update that has no order because it cannot be read. The headers help a person to find a record with kcat; no code reads them.

func (c Config) encode(update *payrelayv1.Update) (*sarama.ProducerMessage, error) {
	value, err := proto.Marshal(update)
	if err != nil {
		return nil, fmt.Errorf("encode update: %w", err)
	}
	if len(value) > payments.MaxUpdateBytes {
		return nil, fmt.Errorf("update has %d bytes: %w", len(value), payments.ErrTooLarge)
	}
	topic := c.OrdersTopic
	if update.GetDispute() != nil {
		topic = c.DisputesTopic
	}
	message := &sarama.ProducerMessage{
		Topic: topic,
		Key:   sarama.StringEncoder(cmp.Or(update.GetOrderId(), update.GetEventId())),
		Value: sarama.ByteEncoder(value),
		Headers: []sarama.RecordHeader{
			header("content_type", "application/protobuf"),
			header("schema_version", strconv.FormatUint(uint64(max(update.GetSchemaVersion(), 1)), 10)),
			header("provider", update.GetProvider()),
			header("event_id", update.GetEventId()),
		},
	}
	// Other consumers of the topic find the trace here. The value has it too.
	if parent := update.GetTraceparent(); parent != "" {
		message.Headers = append(message.Headers, header("traceparent", parent))
	}
	return message, nil
}

func header(key, value string) sarama.RecordHeader {
	return sarama.RecordHeader{Key: []byte(key), Value: []byte(value)}
}

// decode returns the update in a record's value. Because unknown fields are legal in
// Protobuf, some text parses as a message, so decode also refuses a message without
// the ids of an event and an order, unless it is an unreadable body. It does not validate the update.
func decode(value []byte) (*payrelayv1.Update, error) {
	update := new(payrelayv1.Update)
	if err := proto.Unmarshal(value, update); err != nil {
		return nil, err
	}
	if update.GetProvider() == "" || update.GetEventId() == "" || update.GetOrderId() == "" && !payments.IsUnreadable(update) {
		return nil, errors.New("it has no provider, event_id or order_id")
	}
	return update, nil
}

// undecodable returns a record that is not an update, for the dead letters.
func undecodable(record *sarama.ConsumerMessage, reason error) *payrelayv1.UndecodableRecord {
	return &payrelayv1.UndecodableRecord{
		Topic:     record.Topic,
		Partition: record.Partition,
		Offset:    record.Offset,
		Key:       record.Key,
		Value:     record.Value,
		Detail:    reason.Error(),
	}
}
