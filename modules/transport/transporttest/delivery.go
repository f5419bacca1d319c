package transporttest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// The tests of delivery: updates arrive completely, in order and unchanged.

func oneOutcomePerUpdate(t *testing.T, l *link) {
	if outcomes, err := l.Client.Apply(t.Context(), nil); err != nil || len(outcomes) != 0 {
		t.Errorf("Apply(nil) = %v, %v, want no outcome", outcomes, err)
	}
	for _, n := range []int{1, 2, 300} {
		l.mustApply(t, batch(fmt.Sprintf("batch-%d", n), n)...)
	}
	if got := len(l.far.arrived()); got != 303 {
		t.Errorf("%d updates were applied, want 303", got)
	}
}

// orderPerKey tests orders and disputes separately, because a mode may carry the two
// kinds over different topics.
func orderPerKey(t *testing.T, l *link) {
	var sent []*payrelayv1.Update
	for i := range 20 {
		updates := batch(fmt.Sprintf("batch-%02d", i), 28)
		if err := l.apply(t, patience, updates...); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, updates...)
	}
	l.far.waitApplied(t, ids(sent)...)
	wantSameOrder(t, sent, l.far.arrived())
}

func wantSameOrder(t *testing.T, sent, applied []*payrelayv1.Update) {
	t.Helper()
	key := func(u *payrelayv1.Update) string { return fmt.Sprintf("%s %v", u.GetOrderId(), u.GetDispute() != nil) }
	want := make(map[string][]*payrelayv1.Update)
	for _, update := range sent {
		want[key(update)] = append(want[key(update)], update)
	}
	for i, update := range applied {
		queue := want[key(update)]
		if len(queue) == 0 || queue[0].GetEventId() != update.GetEventId() {
			t.Fatalf("update %d, %s of %s, is out of order", i, update.GetEventId(), key(update))
		}
		want[key(update)] = queue[1:]
	}
}

func duplicatesPass(t *testing.T, l *link) {
	update := Order("order-1", "event-1")
	l.mustApply(t, update, update)
	l.mustApply(t, update)
	wait(t, "all three copies", func() bool { return l.far.count()["event-1"] == 3 })
}

func contentArrivesUnchanged(t *testing.T, l *link) {
	sent := dispute("order-ü", "event-<&>\"'")
	sent.RawBody = []byte("{\"a\":\"\x00\xff\"}")
	sent.BodySha256 = nil
	sent.ReceivedAt = timestamppb.New(time.Unix(1_767_000_001, 123_456_000))
	sent.GetDispute().EvidenceDueAt = timestamppb.New(time.Unix(1_768_000_000, 0))
	sent.GetDispute().Amount = &payrelayv1.Money{MinorUnits: 1<<63 - 1, Currency: "JPY"}
	l.mustApply(t, sent)
	if got := l.far.arrived()[0]; !proto.Equal(got, sent) {
		t.Errorf("the update arrived as %v, want %v", got, sent)
	}
}

func concurrency(t *testing.T, l *link) {
	const callers, each = 64, 10
	var all sync.WaitGroup
	var sent []*payrelayv1.Update
	for caller := range callers {
		var updates []*payrelayv1.Update
		for i := range each {
			updates = append(updates, Order(fmt.Sprintf("order-%d", caller), fmt.Sprintf("event-%d-%d", caller, i)))
		}
		sent = append(sent, updates...)
		all.Go(func() {
			for _, update := range updates {
				if err := l.apply(t, patience, update); err != nil {
					t.Errorf("caller %d: %v", caller, err)
				}
			}
		})
	}
	all.Wait()
	l.far.waitApplied(t, ids(sent)...)
	wantSameOrder(t, sent, l.far.arrived())
}

// coded is an error with a code for the sender of the webhook.
type coded interface{ Code() string }

func oversized(t *testing.T, l *link) {
	l.mustApply(t, Order("order-1", "before"))
	calls := l.far.calls()
	large := Order("order-1", "large")
	large.RawBody = make([]byte, 1<<20)
	for _, updates := range [][]*payrelayv1.Update{{large}, {Order("order-1", "first"), large}} {
		err := l.apply(t, time.Second, updates...)
		var refusal coded
		if !errors.As(err, &refusal) || refusal.Code() != "body_too_large" {
			t.Errorf("Apply of an update that is too large = %v, want the code body_too_large", err)
		}
	}
	if got := l.far.calls(); got != calls {
		t.Error("an update that is too large was sent")
	}
	l.mustApply(t, Order("order-1", "after"))
}

// largeBatch sends more than one call or request can carry.
func largeBatch(t *testing.T, l *link) {
	updates := batch("large", 12)
	for _, update := range updates {
		update.RawBody = make([]byte, 500<<10)
	}
	l.mustApply(t, updates...)
	wantSameOrder(t, updates, l.far.arrived())
}

func garbage(t *testing.T, l *link) {
	if l.Garbage == nil {
		return
	}
	l.mustApply(t, Order("order-1", "before"))
	pieces := [][]byte{{0xff, 0xfe, 0x00, 0x13, 0x37}, []byte("hello"), {}}
	for _, piece := range pieces {
		l.Garbage(piece)
	}
	l.mustApply(t, Order("order-1", "after"), dispute("order-1", "dispute"))
	if !l.WantLetters {
		return
	}
	wait(t, "dead letters", func() bool { return len(l.far.deadLetters()) >= len(pieces) })
	letters := l.far.deadLetters()
	if len(letters) != len(pieces) {
		t.Fatalf("%d dead letters, want %d", len(letters), len(pieces))
	}
	for i, letter := range letters {
		if string(letter.GetValue()) != string(pieces[i]) || letter.GetTopic() == "" || letter.GetDetail() == "" || letter.GetOffset() != letters[0].GetOffset()+int64(i) {
			t.Errorf("dead letter %d = %v, want the value %q with topic, detail and offset", i, letter, pieces[i])
		}
	}
}
