package storetest

import (
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// firstRelease holds the rows that the first release stored for updates in and out of
// order, refusals for every reason, disputes of two sources with one id, conflicts,
// dead letters that were discarded, and random histories.
//
//go:embed testdata/first_release.json
var firstRelease []byte

// OldTable holds rows of the first release. A value is an int64, a string, a bool, a
// []byte, a time.Time, or nil for NULL.
type OldTable struct {
	Name    string
	Columns []string
	Rows    [][]any
}

// OldTables returns tables of the first release, each after the ones that its rows refer
// to. A test inserts them into a database with the schema of that release, migrates it,
// and calls [CheckMigrated].
func OldTables(t *testing.T) []OldTable {
	t.Helper()
	var read []struct {
		Table   string
		Columns []string
		Rows    [][]json.RawMessage
	}
	if err := json.Unmarshal(firstRelease, &read); err != nil {
		t.Fatal(err)
	}
	tables := make([]OldTable, len(read))
	for i, table := range read {
		tables[i] = OldTable{Name: table.Table, Columns: table.Columns}
		for _, row := range table.Rows {
			values := make([]any, len(row))
			for j, data := range row {
				values[j] = oldValue(t, data)
			}
			tables[i].Rows = append(tables[i].Rows, values)
		}
	}
	return tables
}

func oldValue(t *testing.T, data json.RawMessage) (value any) {
	t.Helper()
	var number int64
	var text string
	var object struct {
		Bytes  []byte
		Micros *int64
	}
	var err error
	switch data[0] {
	case 'n':
	case 't', 'f':
		value = data[0] == 't'
	case '"':
		err = json.Unmarshal(data, &text)
		value = text
	case '{':
		err = json.Unmarshal(data, &object)
		if value = object.Bytes; object.Micros != nil {
			value = time.UnixMicro(*object.Micros).UTC()
		}
	default:
		err = json.Unmarshal(data, &number)
		value = number
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// UnclearDatabaseURLs are texts that a user could give for a database URL and in which
// it is not certain which part is the password. Each contains pieces of a password
// that [WantNoPassword] finds.
var UnclearDatabaseURLs = []string{
	"host=h user=u password=hunter2 dbname=db",
	"password=hunter2",
	"host=/var/run/postgresql password='hunter2'",
	"postgres:/u:hunter2@h/db",
	"postgres:u:hunter2@h/db",
	"postgres//u:hunter2@h/db",
	"postgres:///u:hunter2@h/db",
	"postgres:/h/db?password=hunter2",
	"u:hunter2@h/db",
	"//u:hunter2@h/db",
	"postgres://u:hunter2/db",
	"postgres://u:hun/ter2@h/db",
	"postgres://u:47/11@h/db",
	"postgres://u:47/11?x=hunter2@h/db",
	"postgres://u:47@11/x?y=hunter2@h/db",
	"postgres://u:hun%ter2@h/db",
	"postgres://u:hun%2@h/db",
	"postgres://u password=hunter2@h/db",
	"postgres://host=h password=hunter2",
	"postgres://h/db password=hunter2",
	"postgres://h/password=hunter2",
	"postgres://u@h:hunter2/db",
	"postgres://a@u:hun:ter2@h/db",
	"u:hunter2@postgres://h/db",
	"password=hunter2 postgres://h/db",
}

// WantNoPassword checks that a message does not contain a piece of the passwords in
// [UnclearDatabaseURLs].
func WantNoPassword(t *testing.T, databaseURL, message string) {
	t.Helper()
	for _, piece := range []string{"hun", "ter2", "47", "11"} {
		if strings.Contains(message, piece) {
			t.Errorf("for %q the message %q shows the password", databaseURL, message)
		}
	}
}

// Short names for values of the contract.
const (
	orderNone     = payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED
	orderCreated  = payrelayv1.OrderStatus_ORDER_STATUS_CREATED
	orderUpdated  = payrelayv1.OrderStatus_ORDER_STATUS_UPDATED
	orderSuccess  = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	orderFailed   = payrelayv1.OrderStatus_ORDER_STATUS_FAILED
	orderReversed = payrelayv1.OrderStatus_ORDER_STATUS_REVERSED

	disputeNone = payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED
	disputeOpen = payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN
	disputeWon  = payrelayv1.DisputeStatus_DISPUTE_STATUS_WON
	disputeLost = payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST

	applied   = payrelayv1.Verdict_VERDICT_APPLIED
	duplicate = payrelayv1.Verdict_VERDICT_DUPLICATE
	stale     = payrelayv1.Verdict_VERDICT_STALE
	dead      = payrelayv1.Verdict_VERDICT_DEAD_LETTERED

	noReason         = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSPECIFIED
	illegal          = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION
	contradiction    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION
	conflict         = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
	futureTime       = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME
	unknownStatus    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS
	unknownSchema    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA
	currencyMismatch = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
	orderMismatch    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH
	undecodable      = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE
	wrongEnvironment = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_WRONG_ENVIRONMENT
)

// noon is the time at which the tests' history begins, in the past of every clock.
var noon = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

func after(second int) time.Time { return noon.Add(time.Duration(second) * time.Second) }

// change changes an update.
type change func(*payrelayv1.Update)

// order returns a valid update of order "o1" that happened this many seconds after
// noon. Every event has its own body.
func order(eventID string, second int, status payrelayv1.OrderStatus, changes ...change) *payrelayv1.Update {
	subject := &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: status}}
	return update(&payrelayv1.Update{EventId: eventID, Subject: subject}, second, changes)
}

// dispute returns a valid update of the one dispute of order "o1".
func dispute(eventID string, second int, status payrelayv1.DisputeStatus, changes ...change) *payrelayv1.Update {
	subject := &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{Status: status}}
	return update(&payrelayv1.Update{EventId: eventID, Subject: subject}, second, changes)
}

// note returns a valid note about order "o1".
func note(eventID string, second int, text string, changes ...change) *payrelayv1.Update {
	subject := &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: "fraud_warning", Text: text}}
	return update(&payrelayv1.Update{EventId: eventID, Subject: subject}, second, changes)
}

func update(u *payrelayv1.Update, second int, changes []change) *payrelayv1.Update {
	u.SchemaVersion, u.Provider, u.OrderId = 1, "generic", "o1"
	u.OccurredAt, u.ReceivedAt = timestamppb.New(after(second)), timestamppb.New(after(second+1))
	for _, change := range changes {
		change(u)
	}
	if u.RawBody == nil {
		u.RawBody = []byte(u.GetProvider() + " " + u.GetEventId())
	}
	return u
}

func body(text string) change     { return func(u *payrelayv1.Update) { u.RawBody = []byte(text) } }
func from(provider string) change { return func(u *payrelayv1.Update) { u.Provider = provider } }
func of(orderID string) change    { return func(u *payrelayv1.Update) { u.OrderId = orderID } }
func user(id string) change       { return func(u *payrelayv1.Update) { u.UserId = id } }
func disputeID(id string) change  { return func(u *payrelayv1.Update) { u.GetDispute().DisputeId = id } }
func schema(v uint32) change      { return func(u *payrelayv1.Update) { u.SchemaVersion = v } }

func happened(at time.Time) change {
	return func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(at) }
}

func amount(minor int64, currency string) change {
	return func(u *payrelayv1.Update) {
		money := &payrelayv1.Money{MinorUnits: minor, Currency: currency}
		if d := u.GetDispute(); d != nil {
			d.Amount = money
			return
		}
		u.GetOrder().Amount = money
	}
}

func captured(minor int64, currency string) change {
	return func(u *payrelayv1.Update) {
		u.GetOrder().Captured = &payrelayv1.Money{MinorUnits: minor, Currency: currency}
	}
}

func refunded(minor int64, currency string) change {
	return func(u *payrelayv1.Update) {
		u.GetOrder().Refunded = &payrelayv1.Money{MinorUnits: minor, Currency: currency}
	}
}

// chargeback sets the stage of a dispute.
func chargeback(u *payrelayv1.Update) {
	u.GetDispute().Stage = payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK
}

func eventID(id string) change { return func(u *payrelayv1.Update) { u.EventId = id } }

// word sets the provider's status of an order, for one that is unknown.
func word(status string) change {
	return func(u *payrelayv1.Update) { u.GetOrder().ProviderStatus = status }
}

func keyOf(u *payrelayv1.Update) payments.Key {
	kind := payments.KindOrder
	switch {
	case u.GetDispute() != nil:
		kind = payments.KindDispute
	case u.GetNote() != nil:
		kind = payments.KindNote
	}
	return payments.Key{Source: u.GetProvider(), Kind: kind, EventID: u.GetEventId()}
}

// orderKey is the key of an event of an order of the source "generic".
func orderKey(eventID string) payments.Key {
	return payments.Key{Source: "generic", Kind: payments.KindOrder, EventID: eventID}
}

// disputeKey is the key of a dispute of the source "generic".
func disputeKey(id string) payments.DisputeKey {
	return payments.DisputeKey{Source: "generic", ID: id}
}

func disputeKeys(ids ...string) []payments.DisputeKey {
	keys := make([]payments.DisputeKey, len(ids))
	for i, id := range ids {
		keys[i] = disputeKey(id)
	}
	return keys
}

// event returns an event as the ledger would record it, for tests that commit without a
// ledger.
func event(u *payrelayv1.Update, verdict payrelayv1.Verdict, reason payrelayv1.DeadLetterReason) *payments.Event {
	return &payments.Event{
		Key: keyOf(u), Facts: payments.FactsDigest(u), Update: u, Verdict: verdict, Reason: reason, RecordedAt: after(3600),
	}
}

// letter returns the dead letter of an event.
func letter(e *payments.Event) *payments.DeadLetter {
	return &payments.DeadLetter{
		Key: e.Key, Digest: e.Facts, Reason: e.Reason, Detail: "why not",
		OrderID: e.Update.GetOrderId(), DisputeID: e.Dispute().ID, Payload: []byte("payload"),
		CreatedAt: e.RecordedAt, Deliveries: 1, LastAt: e.RecordedAt,
	}
}

func settlement(l *payments.DeadLetter, how payments.Resolution, at time.Time) payments.Settlement {
	return payments.Settlement{Key: l.Key, Digest: l.Digest, Resolution: how, At: at}
}

func verdict(v payrelayv1.Verdict) *payrelayv1.Outcome { return &payrelayv1.Outcome{Verdict: v} }

func refused(r payrelayv1.DeadLetterReason) *payrelayv1.Outcome {
	return &payrelayv1.Outcome{Verdict: dead, Reason: r}
}

func wantOutcomes(t *testing.T, got []*payrelayv1.Outcome, want ...*payrelayv1.Outcome) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d outcomes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].GetVerdict() != want[i].GetVerdict() || got[i].GetReason() != want[i].GetReason() {
			t.Errorf("outcome %d = %v %v, want %v %v", i,
				got[i].GetVerdict(), got[i].GetReason(), want[i].GetVerdict(), want[i].GetReason())
		}
	}
}
