package kafka

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
)

// Kafka keeps the records of earlier releases, and during an upgrade the processes of
// two releases read each other's records. A file in testdata/records holds what one
// release wrote, and never changes. A release that writes other records adds a file:
//
//	go test ./modules/transport/kafka -run TestGoldenRecords -write NAME
var writeRecords = flag.String("write", "", "write the records of this release to testdata/records/`NAME`.json")

// future has the records of a later release: with unknown fields, and with and without
// another meaning of the known fields.
const future = "testdata/records/future.json"

// goldenRecord is a record in a topic of twelve partitions.
type goldenRecord struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Key       string          `json:"key"`
	Headers   []string        `json:"headers"` // name=value
	Value     []byte          `json:"value"`
	Update    json.RawMessage `json:"update"` // the decoded value
}

// written returns updates that together have each field of the contract.
func written() []*payrelayv1.Update {
	at := func(second int64) *timestamppb.Timestamp { return &timestamppb.Timestamp{Seconds: second, Nanos: 1000} }
	body := []byte(`{"status":"created"}`)
	digest := sha256.Sum256(body)
	order := &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: "event-1", OrderId: "order-1", UserId: "user-1",
		OccurredAt: at(1_767_520_800), ReceivedAt: at(1_767_520_801), RawBody: body, BodySha256: digest[:],
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED, CreatedAt: at(1_767_520_799), Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	}
	dispute := &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: "event-2", OrderId: "order-ü", UserId: "user-1",
		OccurredAt: at(1_767_607_200), RawBody: []byte("{}"),
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: "dispute-1", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, Reason: "fraud",
			Amount: &payrelayv1.Money{MinorUnits: 1<<63 - 1, Currency: "JPY"}, EvidenceDueAt: at(1_768_000_000),
		}},
	}
	unknown := &payrelayv1.Update{
		Provider: "generic", EventId: "event-3", OrderId: "4f6c2a9e-7e5b-4d38-9a3c-1f0d8f5f7b21", OccurredAt: at(1_767_607_201),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{ProviderStatus: "on_the_moon"}},
	}
	paid := &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: "event-4", OrderId: "order-4", OccurredAt: at(1_767_607_202),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, Part: "payment-1",
			Authorized: &payrelayv1.Money{MinorUnits: 3, Currency: "USD"}, Captured: &payrelayv1.Money{MinorUnits: 2, Currency: "USD"},
			Refunded: &payrelayv1.Money{MinorUnits: 10005, Currency: "USD", Exponent: proto.Int32(4)},
		}},
	}
	lost := &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: "event-5", OrderId: "order-5", OccurredAt: at(1_767_607_203),
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: "dispute-1", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST, Stage: payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION,
			OutcomeAmount: &payrelayv1.Money{MinorUnits: 1, Currency: "USD"},
		}},
	}
	note := &payrelayv1.Update{
		SchemaVersion: 1, Provider: "generic", EventId: "event-6", OrderId: "order-6", OccurredAt: at(1_767_607_204),
		Subject: &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: "comment", Text: "a comment", DisputeId: "dispute-1"}},
	}
	test := payments.NewWrongEnvironment("generic", []byte(`{"livemode":false}`), at(1_767_607_205).AsTime())
	traced := proto.CloneOf(order)
	traced.EventId, traced.OrderId = "event-8", "order-8"
	traced.RequestId, traced.Traceparent = "3QLXCVBK2SMHWQHY6J4ZFO5PDA", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	return []*payrelayv1.Update{order, dispute, unknown, paid, lost, note, test, traced}
}

func golden(t *testing.T, update *payrelayv1.Update) goldenRecord {
	t.Helper()
	message, err := Config{TopicConfig: topicNames}.encode(update)
	if err != nil {
		t.Fatal(err)
	}
	r := goldenRecord{Topic: message.Topic, Key: string(must(message.Key.Encode())), Value: must(message.Value.Encode())}
	r.Partition = must(must(producerConfig(Config{})).Producer.Partitioner(r.Topic).Partition(message, 12))
	for _, h := range message.Headers {
		r.Headers = append(r.Headers, string(h.Key)+"="+string(h.Value))
	}
	r.Update = must(protojson.Marshal(update))
	return r
}

func TestGoldenRecords(t *testing.T) {
	if *writeRecords != "" {
		writeGolden(t, *writeRecords, written())
	}
	files := must(filepath.Glob("testdata/records/*.json"))
	if len(files) < 2 {
		t.Fatalf("files = %v, want at least 2", files)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			for _, record := range readGolden(t, file) {
				record.check(t, file != future)
			}
		})
	}
}

// check fails unless this release reads the record as its decoded value and writes the
// same record. An incomplete record has fields that this release does not know.
func (r goldenRecord) check(t *testing.T, complete bool) {
	t.Helper()
	says := new(payrelayv1.Update)
	if err := protojson.Unmarshal(r.Update, says); err != nil {
		t.Fatal(err)
	}
	read, err := decode(r.Value)
	if err != nil {
		t.Fatalf("decode of event %s: %v", says.GetEventId(), err)
	}
	if !complete {
		read = proto.CloneOf(read)
		if len(read.ProtoReflect().GetUnknown()) == 0 {
			t.Errorf("event %s has lost its unknown fields", says.GetEventId())
		}
		read.ProtoReflect().SetUnknown(nil)
	}
	if !proto.Equal(read, says) {
		t.Errorf("decode of event %s = %v, want %v", says.GetEventId(), read, says)
	}
	wrote := golden(t, says)
	if again, err := decode(wrote.Value); err != nil || !proto.Equal(again, says) {
		t.Errorf("encode and decode of event %s = %v, %v, want %v", says.GetEventId(), again, err, says)
	}
	wrote.Value, wrote.Update = r.Value, r.Update
	if !reflect.DeepEqual(wrote, r) {
		t.Errorf("encode of event %s = %+v, want %+v", says.GetEventId(), wrote, r)
	}
}

func readGolden(t *testing.T, file string) (records []goldenRecord) {
	t.Helper()
	if err := json.Unmarshal(must(os.ReadFile(file)), &records); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return records
}

func writeGolden(t *testing.T, name string, updates []*payrelayv1.Update) {
	t.Helper()
	file := filepath.Join("testdata/records", name+".json")
	if _, err := os.Stat(file); err == nil {
		t.Fatalf("%s exists already and must not change", file)
	}
	var records []goldenRecord
	for _, update := range updates {
		records = append(records, golden(t, update))
	}
	if err := os.WriteFile(file, append(must(json.MarshalIndent(records, "", "  ")), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A record of a newer release is applied if its schema version is known. Otherwise the
// whole record is kept for a release that knows it.
func TestRecordsOfTheFuture(t *testing.T) {
	store, err := sqlite.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	records := readGolden(t, future)
	var updates []*payrelayv1.Update
	for _, r := range records {
		updates = append(updates, must(decode(r.Value)))
	}
	outcomes, err := payments.NewLedger(store).Apply(t.Context(), updates)
	if err != nil {
		t.Fatal(err)
	}
	want := []*payrelayv1.Outcome{
		{Verdict: payrelayv1.Verdict_VERDICT_APPLIED},
		{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA},
	}
	for i := range want {
		if !proto.Equal(outcomes[i], want[i]) {
			t.Errorf("outcome of record %d = %v, want %v", i, outcomes[i], want[i])
		}
	}
	letters, err := store.DeadLetters(t.Context(), payments.DeadLetterQuery{Limit: 10, WithPayload: true})
	if err != nil || len(letters) != 1 {
		t.Fatalf("DeadLetters = %v, %v, want one", letters, err)
	}
	kept := new(payrelayv1.Update)
	if err := proto.Unmarshal(letters[0].Payload, kept); err != nil || !proto.Equal(kept, updates[1]) {
		t.Errorf("the dead letter has %v, %v, want %v", kept, err, updates[1])
	}
}
