package payments_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Deliveries of one unreadable body are one dead letter.
func TestUnreadableBodyIsOneDeadLetter(t *testing.T) {
	b := newFixture(t)
	const body = "{\"half\":\xff"
	for i := range 3 {
		b.now = today.Add(time.Duration(i) * time.Minute)
		first, second := payments.NewUnreadable("shop", []byte(body), b.now), payments.NewUnreadable("shop", []byte(body), b.now.Add(time.Second))
		second.SchemaVersion = uint32(i % 2)
		known := duplicate
		if i == 0 {
			known = applied
		}
		wantOutcomes(t, b.apply(first, order("e1", 0, orderCreated), second), refused(undecodable), verdict(known), refused(undecodable))
	}
	open := b.store.openLetters()
	if len(open) != 1 || open[0].Deliveries != 6 || !open[0].CreatedAt.Equal(today) || !open[0].LastAt.Equal(b.now) {
		t.Fatalf("open dead letters = %+v, want one with 6 deliveries", open)
	}
	letter, update := open[0], new(payrelayv1.Update)
	if letter.Key.Source != "shop" || letter.Digest != sha256.Sum256([]byte(body)) || !strings.Contains(letter.Detail, "cannot be read") || letter.OrderID != "" {
		t.Errorf("dead letter = %+v, want the source shop and the digest of the body", letter)
	}
	if err := proto.Unmarshal(letter.Payload, update); err != nil || string(update.GetRawBody()) != body {
		t.Errorf("payload = %v, %v, want the whole body", update, err)
	}
	b.apply(payments.NewUnreadable("shop", []byte("other"), b.now), payments.NewUnreadable("shop-2", []byte(body), b.now))
	b.wantOpen(3)
	if len(b.store.events) != 1 {
		t.Errorf("%d events, want only that of the order", len(b.store.events))
	}
	if _, err := b.Ledger.Replay(t.Context(), letter.ID, "ann", "again"); !errors.Is(err, payments.ErrNotJudgeable) {
		t.Errorf("Replay() = %v, want ErrNotJudgeable", err)
	}
	if err := b.Ledger.Discard(t.Context(), letter.ID, "ann", "read by hand"); err != nil {
		t.Errorf("Discard() = %v", err)
	}
	b.wantOpen(2)
}

// The reason of the ingest role becomes that of the dead letter. One that this release
// does not know is undecodable, as it is for a release that does not know the field.
func TestReasonOfAWholeBody(t *testing.T) {
	body := []byte(`{"livemode":false}`)
	for stated, want := range map[payrelayv1.DeadLetterReason]payrelayv1.DeadLetterReason{
		noReason: undecodable, undecodable: undecodable, wrongEnvironment: wrongEnvironment, 99: undecodable,
	} {
		b := newFixture(t)
		u := payments.NewWrongEnvironment("shop", body, b.now)
		if want := payments.NewUnreadable("shop", body, b.now); u.GetEventId() != want.GetEventId() || u.GetDeadLetterReason() != wrongEnvironment {
			t.Errorf("NewWrongEnvironment() = %v, want %v with a reason", u, want)
		}
		u.DeadLetterReason = stated
		wantOutcomes(t, b.apply(u, order("e1", 0, orderCreated), u), refused(want), verdict(applied), refused(want))
		open := b.store.openLetters()
		if len(open) != 1 || open[0].Reason != want || open[0].Deliveries != 2 || open[0].Digest != sha256.Sum256(body) {
			t.Fatalf("open dead letters of reason %v = %+v, want one of %v with 2 deliveries", stated, open, want)
		}
		if other := want == wrongEnvironment; strings.Contains(open[0].Detail, "environment") != other || strings.Contains(open[0].Detail, "%!") {
			t.Errorf("detail of %v = %q", want, open[0].Detail)
		}
		kept := new(payrelayv1.Update)
		if err := proto.Unmarshal(open[0].Payload, kept); err != nil || !proto.Equal(kept, u) {
			t.Errorf("payload = %v, %v, want %v", kept, err, u)
		}
		if _, err := b.Ledger.Replay(t.Context(), open[0].ID, "ann", "again"); !errors.Is(err, payments.ErrNotJudgeable) {
			t.Errorf("Replay() = %v, want ErrNotJudgeable", err)
		}
		if err := b.Ledger.Discard(t.Context(), open[0].ID, "ann", "a test payment"); err != nil {
			t.Errorf("Discard() = %v", err)
		}
		b.wantOpen(0)
	}
}

// Once the environment of a source is corrected, the same body is an update.
func TestABodyOfTheOtherEnvironmentCanBeSentAgain(t *testing.T) {
	b := newFixture(t)
	u := order("e1", 0, orderCreated)
	wantOutcomes(t, b.apply(payments.NewWrongEnvironment(u.GetProvider(), u.GetRawBody(), b.now)), refused(wrongEnvironment))
	wantOutcomes(t, b.apply(u), verdict(applied))
	b.wantOrder(orderCreated)
}

func TestValidateUnreadable(t *testing.T) {
	changed := func(change func(*payrelayv1.Update)) *payrelayv1.Update {
		u := payments.NewUnreadable("shop", []byte("x"), today)
		change(u)
		return u
	}
	for name, u := range map[string]*payrelayv1.Update{
		"as it was made":     changed(func(*payrelayv1.Update) {}),
		"without a receipt":  changed(func(u *payrelayv1.Update) { u.ReceivedAt = nil }),
		"of an older schema": changed(func(u *payrelayv1.Update) { u.SchemaVersion = 0 }),
		"undecodable":        changed(func(u *payrelayv1.Update) { u.DeadLetterReason = undecodable }),
		"wrong environment":  changed(func(u *payrelayv1.Update) { u.DeadLetterReason = wrongEnvironment }),
		"a newer reason":     changed(func(u *payrelayv1.Update) { u.DeadLetterReason = 99 }),
	} {
		if err := payments.Validate(u); err != nil || !payments.IsUnreadable(u) {
			t.Errorf("Validate(%s) = %v, IsUnreadable() = %t, want nil, true", name, err, payments.IsUnreadable(u))
		}
	}
	for name, test := range map[string]struct {
		u    *payrelayv1.Update
		code string
	}{
		"no provider":               {changed(func(u *payrelayv1.Update) { u.Provider = " " }), "field_required"},
		"another body":              {changed(func(u *payrelayv1.Update) { u.RawBody = []byte("y") }), "digest_mismatch"},
		"another id":                {changed(func(u *payrelayv1.Update) { u.EventId = "e1" }), "field_required"},
		"no body":                   {changed(func(u *payrelayv1.Update) { u.RawBody = nil }), "field_required"},
		"no digest":                 {changed(func(u *payrelayv1.Update) { u.BodySha256 = nil }), "field_required"},
		"a cut digest":              {changed(func(u *payrelayv1.Update) { u.BodySha256 = u.BodySha256[:31] }), "field_required"},
		"an order's id":             {changed(func(u *payrelayv1.Update) { u.OrderId = "o1" }), "field_required"},
		"a conflict":                {changed(func(u *payrelayv1.Update) { u.DeadLetterReason = conflict }), "invalid_field"},
		"unstorable":                {changed(func(u *payrelayv1.Update) { u.DeadLetterReason = unstorable }), "invalid_field"},
		"an order with a reason":    {order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.DeadLetterReason = wrongEnvironment }), "invalid_field"},
		"no body but a reason":      {changed(func(u *payrelayv1.Update) { u.RawBody, u.DeadLetterReason = nil, wrongEnvironment }), "invalid_field"},
		"a bad receipt":             {changed(func(u *payrelayv1.Update) { u.ReceivedAt = &timestamppb.Timestamp{Seconds: -1} }), "invalid_time"},
		"a request ID of two lines": {changed(func(u *payrelayv1.Update) { u.RequestId = "a\nb" }), "invalid_field"},
		"a long trace context":      {changed(func(u *payrelayv1.Update) { u.Traceparent = strings.Repeat("x", 256) }), "field_too_long"},
		"an order": {changed(func(u *payrelayv1.Update) {
			u.Subject = &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: orderCreated}}
		}), "field_required"},
	} {
		wantInvalid(t, name, payments.Validate(test.u), test.code)
	}
}
