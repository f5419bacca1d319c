package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func update(event string) *payrelayv1.Update {
	return &payrelayv1.Update{Provider: "shop", EventId: event, OrderId: "order-1", BodySha256: []byte{0xab, 0xcd}, RequestId: "request-" + event, Traceparent: parent}
}

func letter(event string, reason payrelayv1.DeadLetterReason, payload []byte) *payments.DeadLetter {
	return &payments.DeadLetter{
		Key: payments.Key{Source: "shop", Kind: payments.KindDispute, EventID: event}, OrderID: "order-1", DisputeID: "dispute-1",
		Digest: payments.Digest{1}, Reason: reason, Payload: payload,
	}
}

func TestEachDeadLetterIsLogged(t *testing.T) {
	out := new(output)
	whole, err := proto.Marshal(update("whole"))
	if err != nil {
		t.Fatal(err)
	}
	bare := update("event")
	bare.RequestId = "of the payload"
	payload, err := proto.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	record := letter("7", payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE, []byte("\xff"))
	record.Key, record.OrderID, record.DisputeID = payments.Key{Source: "orders/3", EventID: "7"}, "", ""
	DeadLetters(slog.New(slog.NewTextHandler(out, nil)), &payments.Changes{
		Events: []*payments.Event{
			{Key: payments.Key{Source: "shop", Kind: payments.KindDispute, EventID: "applied"}, Update: update("applied")},
			{Key: payments.Key{Source: "shop", Kind: payments.KindDispute, EventID: "event"}, Facts: payments.Digest{1}, Update: update("event")},
		},
		DeadLetters: []*payments.DeadLetter{
			letter("event", payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION, payload),
			letter("whole", payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT, whole), record,
		},
	})
	wantLines(t, out, 3)
	wantLines(t, out, 1, `level=WARN msg="dead letter opened" reason=contradiction source=shop kind=dispute event_id=event order_id=order-1 dispute_id=dispute-1 `+
		`body_sha256=abcd request_id=request-event trace_id=0af7651916cd43dd8448eb211c80319c`)
	wantLines(t, out, 1, "reason=conflict", "event_id=whole", "request_id=request-whole")
	wantLines(t, out, 1, "reason=undecodable source=orders/3 event_id=7\n")
	wantLines(t, out, 0, `=""`)
}

// A Kafka record that is not an update can parse as one.
func TestARecordThatParsesByAccidentHasNoRequestID(t *testing.T) {
	out := new(output)
	garbage, err := proto.Marshal(&payrelayv1.Update{RequestId: "garbage", BodySha256: []byte{1}, Traceparent: parent})
	if err != nil {
		t.Fatal(err)
	}
	record := letter("7", payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE, garbage)
	record.Key = payments.Key{Source: "orders/3", EventID: "7"}
	DeadLetters(slog.New(slog.NewTextHandler(out, nil)), &payments.Changes{DeadLetters: []*payments.DeadLetter{record}})
	wantLines(t, out, 1, "source=orders/3 event_id=7")
	for _, key := range []string{"request_id", "body_sha256", "trace_id"} {
		wantLines(t, out, 0, key+"=")
	}
}

func TestBatchesAreLogged(t *testing.T) {
	for name, test := range map[string]struct {
		outcomes []*payrelayv1.Outcome
		err      error
		want     string
	}{
		"applied":       {[]*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}}, nil, "level=DEBUG"},
		"a dead letter": {[]*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}, {Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED}}, nil, "level=INFO"},
		"an error":      {nil, errors.New("down"), ""},
	} {
		out := new(output)
		log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		applier := Batches(log, "ledger", payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			return test.outcomes, test.err
		}))
		outcomes, err := applier.Apply(t.Context(), make([]*payrelayv1.Update, 2))
		if len(outcomes) != len(test.outcomes) || !errors.Is(err, test.err) {
			t.Errorf("%s: Apply() = %v, %v, want %v, %v", name, outcomes, err, test.outcomes, test.err)
		}
		if test.want == "" {
			wantLines(t, out, 0)
		} else {
			wantLines(t, out, 1, test.want+` msg="batch applied" stage=ledger updates=2`, fmt.Sprintf("dead_letters=%d", len(test.outcomes)-1))
		}
	}
}

// A log at its usual level costs nothing.
func TestBatchesCostNothing(t *testing.T) {
	outcomes := []*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}}
	applier := Batches(slog.New(slog.NewTextHandler(new(output), nil)), "ledger", payments.ApplierFunc(func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return outcomes, nil
	}))
	if n := testing.AllocsPerRun(100, func() { _, _ = applier.Apply(context.Background(), nil) }); n != 0 {
		t.Errorf("a batch allocates %v objects, want 0", n)
	}
}

func TestTraceID(t *testing.T) {
	for text, want := range map[string]string{parent: "0af7651916cd43dd8448eb211c80319c", "": "", "00-0af7": ""} {
		if got := traceID(text); got != want {
			t.Errorf("traceID(%q) = %q, want %q", text, got, want)
		}
	}
}
