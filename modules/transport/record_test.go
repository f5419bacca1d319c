package transport

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

var kafkaNames = KafkaConfig{TopicConfig: TopicConfig{OrdersTopic: "orders", DisputesTopic: "disputes", Group: "group"}}

func TestRecordIsReadable(t *testing.T) {
	update := orderUpdate("event-1")
	record, err := kafkaNames.encode(update)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := record.Key.Encode()
	if record.Topic != "orders" || string(key) != "order-1" {
		t.Errorf("topic %s, key %s", record.Topic, key)
	}
	var headers []string
	for _, h := range record.Headers {
		headers = append(headers, string(h.Key)+"="+string(h.Value))
	}
	if got := strings.Join(headers, " "); got != "content_type=application/protobuf schema_version=1 provider=generic event_id=event-1" {
		t.Errorf("headers are %s", got)
	}
	value, _ := record.Value.Encode()
	if decoded, err := decode(value); err != nil || !proto.Equal(decoded, update) {
		t.Errorf("decoded to %v, %v", decoded, err)
	}
}

func TestTopicBySubject(t *testing.T) {
	update := orderUpdate("event-1")
	update.SchemaVersion = 0 // counts as 1
	update.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{}}
	record, err := kafkaNames.encode(update)
	if err != nil || record.Topic != "disputes" || string(record.Headers[1].Value) != "1" {
		t.Errorf("record is %v, %v", record, err)
	}
}

func TestWhatCannotBeARecord(t *testing.T) {
	large := orderUpdate("event-1")
	large.RawBody = make([]byte, maxUpdateBytes)
	if _, err := kafkaNames.encode(large); !errors.Is(err, errTooLarge) {
		t.Errorf("too large: %v", err)
	}
	broken := orderUpdate("\xff")
	if _, err := kafkaNames.encode(broken); err == nil {
		t.Error("invalid UTF-8 is encoded")
	}
}

func TestDecodeRefusesWhatIsNoUpdate(t *testing.T) {
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
			t.Errorf("%s is %v", name, update)
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
		if err != nil && !errors.Is(err, errTooLarge) {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if err == nil && again.Key.Length() == 0 {
			t.Fatal("a record without a key has no order")
		}
	})
}

func TestUndecodableKeepsThePlace(t *testing.T) {
	record := &sarama.ConsumerMessage{Topic: "orders", Partition: 3, Offset: 42, Key: []byte("k"), Value: []byte("v"), Timestamp: time.Now()}
	got := undecodable(record, errors.New("why"))
	want := &payrelayv1.UndecodableRecord{Topic: "orders", Partition: 3, Offset: 42, Key: []byte("k"), Value: []byte("v"), Detail: "why"}
	if !proto.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
