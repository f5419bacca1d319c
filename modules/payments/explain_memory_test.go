package payments_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// hugeReader has an order with disputes, each with more events than an explanation reads,
// and of dead letters. All are as large as they can be.
type hugeReader struct {
	disputes int
	letter   []byte
	base     uint64
	// events is the number of events that were read about the order or one dispute, peak
	// is the largest heap at the begin of a call.
	events int
	peak   uint64
	calls  int
}

// long returns a text of n bytes that begins with a number.
func long(i, n int) string { return fmt.Sprint(i, strings.Repeat("x", n))[:n] }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (r *hugeReader) measure() {
	now := heap()
	r.peak = max(r.peak, now-min(r.base, now))
}

// called measures at some of the calls.
func (r *hugeReader) called() {
	if r.calls++; r.calls%16 == 0 {
		r.measure()
	}
}

func (r *hugeReader) Order(_ context.Context, id string) (payments.Order, error) {
	return payments.Order{ID: id, Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED}, nil
}

func (r *hugeReader) Dispute(_ context.Context, key payments.DisputeKey) (payments.Dispute, error) {
	return payments.Dispute{DisputeKey: key, OrderID: "o1"}, nil
}

func (r *hugeReader) Disputes(context.Context, payments.DisputeQuery) (page payments.Page[payments.Dispute], err error) {
	for i := range r.disputes {
		page.Items = append(page.Items, payments.Dispute{DisputeKey: payments.DisputeKey{Source: "shop", ID: fmt.Sprint("d", i)}, OrderID: "o1"})
	}
	return page, nil
}

func (r *hugeReader) Events(_ context.Context, q payments.EventQuery) (page payments.Page[payments.RecordedEvent], err error) {
	r.called()
	last := int64(1 << 40)
	if q.Page.After != nil {
		last = q.Page.After.Sequence
	}
	for range q.Page.Limit {
		last--
		u := order(long(int(last), payments.MaxIDBytes), int(last%1_000_000), orderUpdated, user(long(0, payments.MaxIDBytes)), providerStatus(long(0, payments.MaxIDBytes)))
		if q.Disputes {
			id := "d0"
			if len(q.DisputeIDs) > 0 {
				id = q.DisputeIDs[0]
			}
			u = dispute(u.GetEventId(), int(last%1_000_000), disputeOpen, disputeID(id), user(u.GetUserId()), reasonOf(long(0, payments.MaxTextBytes)))
		}
		if !q.Disputes || len(q.DisputeIDs) > 0 {
			r.events++
		}
		page.Items = append(page.Items, payments.RecordedEvent{Sequence: last, Event: payments.Event{Key: keyOf(u), Update: u, Verdict: applied}})
	}
	page.More = true
	return page, nil
}

func (r *hugeReader) DeadLetters(_ context.Context, q payments.DeadLetterQuery) (letters []*payments.DeadLetter, err error) {
	r.called()
	for i := range q.Limit {
		l := &payments.DeadLetter{ID: q.AfterID + int64(i) + 1, OrderID: "o1", Reason: contradiction, Detail: long(0, payments.MaxTextBytes)}
		if len(q.Reasons) > 0 {
			l.ID += 1000
		}
		if q.WithPayload {
			l.Payload = append([]byte(nil), r.letter...)
		}
		letters = append(letters, l)
	}
	return letters, nil
}

// TestMemoryOfAnExplanation checks the number of events, and the memory while they and the
// dead letters are read. Readers may ask for several explanations at once.
func TestMemoryOfAnExplanation(t *testing.T) {
	u := order("e1", 1, orderCreated)
	u.RawBody = make([]byte, payments.MaxUpdateBytes-1024)
	letter, err := proto.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	const most = 64 << 20
	for name, explain := range map[string]func(payments.ExplainReader) (*payments.Explanation, error){
		"order": func(r payments.ExplainReader) (*payments.Explanation, error) {
			return payments.ExplainOrder(t.Context(), r, "o1")
		},
		"dispute": func(r payments.ExplainReader) (*payments.Explanation, error) {
			return payments.ExplainDispute(t.Context(), r, payments.DisputeKey{Source: "shop", ID: "d0"})
		},
	} {
		r := &hugeReader{disputes: 20, letter: letter, base: heap()}
		x, err := explain(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.measure()
		if r.events != 10_000 || len(x.Timeline) != payments.TimelineLimit {
			t.Errorf("%s: an explanation of %d entries reads %d events, want 10000", name, len(x.Timeline), r.events)
		}
		if r.peak > most || len(x.DeadLetters) < 200 {
			t.Errorf("%s: an explanation with %d dead letters needs %d MiB, want at most %d", name, len(x.DeadLetters), r.peak>>20, most>>20)
		}
		t.Logf("%s: %d MiB", name, r.peak>>20)
		if text := strings.Join(x.Sentences, "\n"); !strings.Contains(text, "Only the newest 10000 events") {
			t.Errorf("%s: the explanation does not say that there are more events: %.200s", name, text)
		}
		runtime.KeepAlive(x)
	}
}
