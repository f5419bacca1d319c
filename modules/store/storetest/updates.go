package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Short names for values of the contract.
const (
	orderNone    = payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED
	orderCreated = payrelayv1.OrderStatus_ORDER_STATUS_CREATED
	orderUpdated = payrelayv1.OrderStatus_ORDER_STATUS_UPDATED
	orderSuccess = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	orderFailed  = payrelayv1.OrderStatus_ORDER_STATUS_FAILED

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
	conflict         = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
	futureTime       = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME
	unknownStatus    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS
	unknownSchema    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA
	currencyMismatch = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
	orderMismatch    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH
	undecodable      = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE
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

// word sets the provider's status of an order, for one that is unknown.
func word(status string) change {
	return func(u *payrelayv1.Update) { u.GetOrder().ProviderStatus = status }
}

func keyOf(u *payrelayv1.Update) payments.Key {
	return payments.Key{Provider: u.GetProvider(), EventID: u.GetEventId()}
}

// digestOf returns the digest of an update with a body.
func digestOf(u *payrelayv1.Update) payments.Digest { return sha256.Sum256(u.GetRawBody()) }

// event returns an update as the ledger would record it, for tests that write around
// the ledger.
func event(u *payrelayv1.Update, verdict payrelayv1.Verdict, reason payrelayv1.DeadLetterReason) *payments.Event {
	return &payments.Event{
		Key: keyOf(u), Digest: digestOf(u), Update: u, Verdict: verdict, Reason: reason, RecordedAt: after(3600),
	}
}

// letter returns the dead letter of an event.
func letter(e *payments.Event) *payments.DeadLetter {
	return &payments.DeadLetter{
		Key: e.Key, Digest: e.Digest, Reason: e.Reason, Detail: "why not",
		OrderID: e.Update.GetOrderId(), DisputeID: e.DisputeID(), Payload: []byte("payload"), CreatedAt: e.RecordedAt,
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
