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

// Short names for the contract's long ones.
const (
	orderNone    = payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED
	orderCreated = payrelayv1.OrderStatus_ORDER_STATUS_CREATED
	orderUpdated = payrelayv1.OrderStatus_ORDER_STATUS_UPDATED
	orderSuccess = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	orderFailed  = payrelayv1.OrderStatus_ORDER_STATUS_FAILED

	orderAuthorized = payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED
	orderCanceled   = payrelayv1.OrderStatus_ORDER_STATUS_CANCELED
	orderReversed   = payrelayv1.OrderStatus_ORDER_STATUS_REVERSED
	orderRefunded   = payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED

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
	contradiction    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION
	conflict         = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
	futureTime       = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME
	unknownStatus    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS
	unknownSchema    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_SCHEMA
	currencyMismatch = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
	orderMismatch    = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH
	undecodable      = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE
	unstorable       = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE
	wrongEnvironment = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_WRONG_ENVIRONMENT
)

// noon is the start of the tests' history, and today is the time of the ledger's clock.
var (
	noon  = time.Date(2026, 1, 4, 12, 0, 0, 0, time.UTC)
	today = noon.Add(time.Hour)
)

// change modifies an update.
type change func(*payrelayv1.Update)

// order returns a well-formed update of order "o1", which happened a number of seconds
// after noon. Each source and event id has another body.
func order(eventID string, second int, status payrelayv1.OrderStatus, changes ...change) *payrelayv1.Update {
	return update(eventID, second, changes, func(u *payrelayv1.Update) {
		u.Subject = &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: status}}
	})
}

// dispute returns a well-formed update of the only dispute of order "o1".
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

func partOf(name string) change { return func(u *payrelayv1.Update) { u.GetOrder().Part = name } }

func authorized(minor int64, currency string) change {
	return func(u *payrelayv1.Update) {
		u.GetOrder().Authorized = &payrelayv1.Money{MinorUnits: minor, Currency: currency}
	}
}

func captured(minor int64, currency string) change {
	return func(u *payrelayv1.Update) {
		u.GetOrder().Captured = &payrelayv1.Money{MinorUnits: minor, Currency: currency}
	}
}

func refundedTotal(minor int64, currency string) change {
	return func(u *payrelayv1.Update) {
		u.GetOrder().Refunded = &payrelayv1.Money{MinorUnits: minor, Currency: currency}
	}
}

func outcomeAmount(minor int64, currency string) change {
	return func(u *payrelayv1.Update) {
		u.GetDispute().OutcomeAmount = &payrelayv1.Money{MinorUnits: minor, Currency: currency}
	}
}

// exponent sets the exponent of the amount of an order.
func exponent(digits int32) change {
	return func(u *payrelayv1.Update) { u.GetOrder().GetAmount().Exponent = &digits }
}

func stage(s payrelayv1.DisputeStage) change {
	return func(u *payrelayv1.Update) { u.GetDispute().Stage = s }
}

// providerStatus sets a status that this release does not know.
func providerStatus(word string) change {
	return func(u *payrelayv1.Update) {
		if d := u.GetDispute(); d != nil {
			d.Status, d.ProviderStatus = disputeNone, word
			return
		}
		u.GetOrder().Status, u.GetOrder().ProviderStatus = orderNone, word
	}
}

// note returns a well-formed note about order "o1".
func note(eventID string, second int, kind string, changes ...change) *payrelayv1.Update {
	return update(eventID, second, changes, func(u *payrelayv1.Update) {
		u.Subject = &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: kind}}
	})
}

func keyOf(u *payrelayv1.Update) payments.Key {
	key := payments.Key{Source: u.GetProvider(), Kind: payments.KindOrder, EventID: u.GetEventId()}
	if u.GetDispute() != nil {
		key.Kind = payments.KindDispute
	} else if u.GetNote() != nil {
		key.Kind = payments.KindNote
	}
	return key
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
			t.Errorf("outcome %d is %v %v, want %v %v", i,
				got[i].GetVerdict(), got[i].GetReason(), want[i].GetVerdict(), want[i].GetReason())
		}
	}
}

// A body of MaxBodyBytes fits an update whose other fields have their maximum length.
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
		t.Errorf("the update has %d bytes, want at most %d", size, payments.MaxUpdateBytes)
	}
}
