package payments_test

import (
	"crypto/sha256"
	"math"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Short names for the values of the contract.
const (
	orderNone    = payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED
	orderCreated = payrelayv1.OrderStatus_ORDER_STATUS_CREATED
	orderUpdated = payrelayv1.OrderStatus_ORDER_STATUS_UPDATED
	orderSuccess = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	orderFailed  = payrelayv1.OrderStatus_ORDER_STATUS_FAILED

	disputeNone      = payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED
	disputeOpen      = payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN
	disputeReview    = payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW
	disputeSubmitted = payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED
	disputeWon       = payrelayv1.DisputeStatus_DISPUTE_STATUS_WON
	disputeLost      = payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST
	disputeClosed    = payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED
	disputeCanceled  = payrelayv1.DisputeStatus_DISPUTE_STATUS_CANCELED

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
	unstorable       = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE
)

// noon is the start of the histories in tests, and today the time of the ledger's clock.
var (
	noon  = time.Date(2026, 1, 4, 12, 0, 0, 0, time.UTC)
	today = noon.Add(time.Hour)
)

// change modifies an update.
type change func(*payrelayv1.Update)

// order returns a well-formed update of order "o1" that occurred at noon plus the
// seconds. Its body is unique to its provider and event id.
func order(eventID string, second int, status payrelayv1.OrderStatus, changes ...change) *payrelayv1.Update {
	return update(eventID, second, changes, func(u *payrelayv1.Update) {
		u.Subject = &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: status}}
	})
}

// dispute returns a well-formed update of the dispute without an id of order "o1".
func dispute(eventID string, second int, status payrelayv1.DisputeStatus, changes ...change) *payrelayv1.Update {
	return update(eventID, second, changes, func(u *payrelayv1.Update) {
		u.Subject = &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{Status: status}}
	})
}

func update(eventID string, second int, changes []change, subject change) *payrelayv1.Update {
	u := &payrelayv1.Update{
		Provider: "generic", EventId: eventID, OrderId: "o1",
		OccurredAt: at(second), ReceivedAt: timestamppb.New(today),
	}
	subject(u)
	for _, change := range changes {
		change(u)
	}
	if u.RawBody == nil {
		body(u.Provider + " " + eventID)(u)
	}
	return u
}

func at(second int) *timestamppb.Timestamp {
	return timestamppb.New(noon.Add(time.Duration(second) * time.Second))
}

func body(text string) change {
	return func(u *payrelayv1.Update) {
		sum := sha256.Sum256([]byte(text))
		u.RawBody, u.BodySha256 = []byte(text), sum[:]
	}
}

func from(provider string) change { return func(u *payrelayv1.Update) { u.Provider = provider } }
func of(orderID string) change    { return func(u *payrelayv1.Update) { u.OrderId = orderID } }
func user(id string) change       { return func(u *payrelayv1.Update) { u.UserId = id } }
func disputeID(id string) change  { return func(u *payrelayv1.Update) { u.GetDispute().DisputeId = id } }
func schema(v uint32) change      { return func(u *payrelayv1.Update) { u.SchemaVersion = v } }

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

// providerStatus sets a status that is not in the contract.
func providerStatus(word string) change {
	return func(u *payrelayv1.Update) {
		if d := u.GetDispute(); d != nil {
			d.Status, d.ProviderStatus = disputeNone, word
			return
		}
		u.GetOrder().Status, u.GetOrder().ProviderStatus = orderNone, word
	}
}

func keyOf(u *payrelayv1.Update) payments.Key {
	return payments.Key{Provider: u.GetProvider(), EventID: u.GetEventId()}
}

func verdict(v payrelayv1.Verdict) *payrelayv1.Outcome { return &payrelayv1.Outcome{Verdict: v} }

func refused(r payrelayv1.DeadLetterReason) *payrelayv1.Outcome {
	return &payrelayv1.Outcome{Verdict: dead, Reason: r}
}

func wantOutcomes(t *testing.T, got []*payrelayv1.Outcome, want ...*payrelayv1.Outcome) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d outcomes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].GetVerdict() != want[i].GetVerdict() || got[i].GetReason() != want[i].GetReason() {
			t.Errorf("outcome %d = %v %v, want %v %v", i,
				got[i].GetVerdict(), got[i].GetReason(), want[i].GetVerdict(), want[i].GetReason())
		}
	}
}

// A body of MaxBodyBytes fits an update whose other fields have their largest size.
func TestMaxBodyFitsAnUpdate(t *testing.T) {
	id := strings.Repeat("i", payments.MaxIDBytes)
	text := strings.Repeat("t", payments.MaxTextBytes)
	raw := make([]byte, payments.MaxBodyBytes)
	digest := sha256.Sum256(raw)
	end := timestamppb.New(time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC))
	u := &payrelayv1.Update{
		SchemaVersion: payments.SchemaVersion, Provider: id, EventId: id, OrderId: id, UserId: id,
		OccurredAt: end, ReceivedAt: end, RawBody: raw, BodySha256: digest[:],
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: id, ProviderStatus: text, Reason: text, EvidenceDueAt: end,
			Amount: &payrelayv1.Money{MinorUnits: math.MaxInt64, Currency: "USD"},
		}},
	}
	if err := payments.Validate(u); err != nil {
		t.Fatal(err)
	}
	if size := proto.Size(u); size > payments.MaxUpdateBytes {
		t.Errorf("size of the update = %d bytes, want at most %d", size, payments.MaxUpdateBytes)
	}
}
