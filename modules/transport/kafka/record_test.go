package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

var kafkaNames = Config{TopicConfig: TopicConfig{OrdersTopic: "orders", DisputesTopic: "disputes", Group: "group"}}

func TestRecordIsReadable(t *testing.T) {
	update := orderUpdate("event-1")
	record, err := kafkaNames.encode(update)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := record.Key.Encode()
	if record.Topic != "orders" || string(key) != "order-1" {
		t.Errorf("topic %s, key %s, want orders, order-1", record.Topic, key)
	}
	var headers []string
	for _, h := range record.Headers {
		headers = append(headers, string(h.Key)+"="+string(h.Value))
	}
	if got := strings.Join(headers, " "); got != "content_type=application/protobuf schema_version=1 provider=generic event_id=event-1" {
		t.Errorf("headers = %s", got)
	}
	value, _ := record.Value.Encode()
	if decoded, err := decode(value); err != nil || !proto.Equal(decoded, update) {
		t.Errorf("decode = %v, %v, want %v", decoded, err, update)
	}
}

// Operators read topics with other programs, so the test reads it with another client.
func TestTopicIsReadable(t *testing.T) {
	_, cfg := startKafka(t)
	topicIsReadable(t, cfg)
}

func topicIsReadable(t *testing.T, cfg Config) {
	t.Helper()
	client, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Apply(t.Context(), written()); err != nil {
		t.Fatal(err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ConsumeTopics(cfg.Names()...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	read := make(map[string]*kgo.Record)
	for len(read) < len(written()) && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { read[string(r.Key)] = r })
	}
	for _, update := range written() {
		key := cmp.Or(update.GetOrderId(), update.GetEventId())
		record := read[key]
		if record == nil {
			t.Fatalf("no record has the key %s", key)
		}
		var headers []string
		for _, h := range record.Headers {
			headers = append(headers, h.Key+"="+string(h.Value))
		}
		want := []string{"content_type=application/protobuf", "schema_version=1", "provider=generic", "event_id=" + update.GetEventId()}
		if parent := update.GetTraceparent(); parent != "" {
			want = append(want, "traceparent="+parent)
		}
		if !slices.Equal(headers, want) {
			t.Errorf("headers of %s are %q, want %q", key, headers, want)
		}
		if decoded, err := decode(record.Value); err != nil || !proto.Equal(decoded, update) {
			t.Errorf("the value of %s = %v, %v, want %v", key, decoded, err, update)
		}
	}
}

func TestTopicBySubject(t *testing.T) {
	update := orderUpdate("event-1")
	update.SchemaVersion = 0 // counts as 1
	update.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{}}
	record, err := kafkaNames.encode(update)
	if err != nil || record.Topic != "disputes" || string(record.Headers[1].Value) != "1" {
		t.Errorf("encode = %v, %v, want the topic disputes and schema version 1", record, err)
	}
}

// An update that cannot be read has no order, so its event id is the key.
func TestUnreadableUpdateHasAKey(t *testing.T) {
	update := payments.NewWrongEnvironment("shop", []byte("\xff"), time.Now())
	record, err := kafkaNames.encode(update)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := record.Key.Encode(); err != nil || string(key) != update.GetEventId() {
		t.Errorf("key = %q, %v, want %q", key, err, update.GetEventId())
	}
	value, err := record.Value.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if decoded, err := decode(value); err != nil || !proto.Equal(decoded, update) {
		t.Errorf("decode = %v, %v, want %v", decoded, err, update)
	}
}

func TestEncodeRefuses(t *testing.T) {
	large := orderUpdate("event-1")
	large.RawBody = make([]byte, payments.MaxUpdateBytes)
	if _, err := kafkaNames.encode(large); !errors.Is(err, payments.ErrTooLarge) {
		t.Errorf("encode of a large update = %v, want %v", err, payments.ErrTooLarge)
	}
	broken := orderUpdate("\xff")
	if _, err := kafkaNames.encode(broken); err == nil {
		t.Error("encode of invalid UTF-8 = nil, want an error")
	}
}

func TestDecodeRefusesOtherValues(t *testing.T) {
	nameless := func(spoil func(*payrelayv1.Update)) []byte {
		update := orderUpdate("event-1")
		spoil(update)
		value, err := proto.Marshal(update)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	for name, value := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "JSON": []byte(`{"provider":"generic"}`), "random": {0xff, 0xfe, 0},
		"no provider": nameless(func(u *payrelayv1.Update) { u.Provider = "" }),
		"no event":    nameless(func(u *payrelayv1.Update) { u.EventId = "" }),
		"no order":    nameless(func(u *payrelayv1.Update) { u.OrderId = "" }),
	} {
		if update, err := decode(value); err == nil {
			t.Errorf("decode of %s = %v, want an error", name, update)
		}
	}
}

func FuzzDecode(f *testing.F) {
	value, err := proto.Marshal(orderUpdate("event-1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, value []byte) {
		update, err := decode(value)
		if err != nil {
			return
		}
		again, err := kafkaNames.encode(update)
		if err != nil && !errors.Is(err, payments.ErrTooLarge) {
			t.Fatalf("encode of a decoded update: %v", err)
		}
		if err == nil && again.Key.Length() == 0 {
			t.Fatal("a record without a key was decoded")
		}
	})
}

func TestUndecodableKeepsThePlace(t *testing.T) {
	record := &sarama.ConsumerMessage{Topic: "orders", Partition: 3, Offset: 42, Key: []byte("k"), Value: []byte("v"), Timestamp: time.Now()}
	got := undecodable(record, errors.New("why"))
	want := &payrelayv1.UndecodableRecord{Topic: "orders", Partition: 3, Offset: 42, Key: []byte("k"), Value: []byte("v"), Detail: "why"}
	if !proto.Equal(got, want) {
		t.Errorf("undecodable = %v, want %v", got, want)
	}
}
