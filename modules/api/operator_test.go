package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	conflict      = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT
	contradiction = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION
)

// decider is a Decider that keeps what it is asked, and answers applied.
type decider struct {
	ids      []int64
	decision payments.Decision
	rederive payments.Rederivation
	calls    int
	// results, if it is not nil, replaces the answer of Decide.
	results []payments.Decided
	next    int64
	fail    func(context.Context) error
}

func (d *decider) Decide(ctx context.Context, ids []int64, asked payments.Decision) ([]payments.Decided, error) {
	d.ids, d.decision = ids, asked
	d.calls++
	if d.fail != nil {
		if err := d.fail(ctx); err != nil {
			return nil, err
		}
	}
	if d.results != nil {
		return d.results, nil
	}
	var results []payments.Decided
	for _, id := range ids {
		results = append(results, payments.Decided{ID: id, Outcome: &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_APPLIED}})
	}
	return results, nil
}

func (d *decider) Rederive(ctx context.Context, _ payments.SubjectReader, asked payments.Rederivation) (*payments.Rederived, error) {
	d.rederive = asked
	d.calls++
	if d.fail != nil {
		if err := d.fail(ctx); err != nil {
			return nil, err
		}
	}
	return &payments.Rederived{Orders: 1, Disputes: 2, Events: 3, Next: d.next, Differences: []payments.Difference{
		{Of: payments.Subject{Order: "o"}, Field: "status", Stored: "created", Derived: "success"},
		{Of: payments.Subject{Dispute: payments.DisputeKey{Source: "s", ID: "d"}}, Field: "stage", Derived: "arbitration"},
	}}, nil
}

// lettersOf returns a memory with n open dead letters of two sources.
func lettersOf(n int) *memory {
	m := &memory{bodies: make(map[payments.Key][]byte)}
	for i := range n {
		u := orderUpdate(fmt.Sprintf("e%d", i+1))
		u.RawBody, u.BodySha256 = []byte("secret body"), []byte(strings.Repeat("s", 32))
		payload, err := proto.Marshal(u)
		if err != nil {
			panic(err)
		}
		letter := &payments.DeadLetter{
			ID: int64(i + 1), Key: payments.Key{Source: "generic", Kind: payments.KindOrder, EventID: u.GetEventId()}, Reason: contradiction,
			Detail: "it contradicts", OrderID: "order-1", Payload: payload, CreatedAt: noon, Deliveries: 2, LastAt: noon.Add(time.Second),
		}
		if i%2 == 1 {
			letter.Key.Source, letter.Reason = "shop", conflict
		}
		m.letters = append(m.letters, letter)
	}
	return m
}

// operatorOf returns an Operator with a token's name, which may be empty.
func operatorOf(m *memory, d *decider, token string) *Operator {
	return NewOperator(OperatorConfig{Store: m, Ledger: d, Caller: func(context.Context) string { return token }, Log: quiet()})
}

// wantRefusal checks the code of an error, in the table of codes and in that of Connect,
// and that it has a sentence.
func wantRefusal(t *testing.T, what string, err error, code string) {
	t.Helper()
	got := describe(err)
	if err == nil || got.code != code || connect.CodeOf(err) != rpcCode(code) || len(got.message) < 20 {
		t.Errorf("%s = %v (%s), want %s with a sentence", what, err, got.code, code)
	}
}

func TestListDeadLetters(t *testing.T) {
	o := operatorOf(lettersOf(120), nil, "")
	for _, ascending := range []bool{true, false} {
		req := &payrelayv1.ListDeadLettersRequest{Page: &payrelayv1.Page{Ascending: ascending}, Filter: &payrelayv1.DeadLetterFilter{Sources: []string{"shop"}}}
		var ids []int64
		for pages := 1; ; pages++ {
			page, err := o.ListDeadLetters(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if page.GetTotal() != 60 {
				t.Errorf("page %d: total = %d, want 60, the number on all pages", pages, page.GetTotal())
			}
			for _, letter := range page.GetDeadLetters() {
				if letter.GetUpdate() != nil || letter.GetSource() != "shop" || letter.GetReason() != conflict {
					t.Fatalf("item = %v, want a conflict of shop without its update", letter)
				}
				ids = append(ids, letter.GetId())
			}
			if req.Page.Cursor = page.GetNextCursor(); req.Page.Cursor == "" {
				break
			}
		}
		first, last := int64(2), int64(120)
		if !ascending {
			first, last = last, first
		}
		if len(ids) != 60 || ids[0] != first || ids[59] != last {
			t.Errorf("ascending=%t: ids = %v, want 60 from %d to %d", ascending, ids, first, last)
		}
	}
}

func TestFilterOfDeadLettersBecomesTheQuery(t *testing.T) {
	m := lettersOf(0)
	from := time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	_, err := operatorOf(m, nil, "").CountDeadLetters(t.Context(), &payrelayv1.CountDeadLettersRequest{Filter: &payrelayv1.DeadLetterFilter{
		Reasons: []payrelayv1.DeadLetterReason{conflict}, Sources: []string{"s"}, Kinds: []string{"note"}, OrderIds: []string{"o"},
		TimeFrom: timestamppb.New(from), TimeTo: timestamppb.New(from.Add(time.Nanosecond)), Text: "Evt", Settled: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%+v", payments.DeadLetterQuery{
		Reasons: []payrelayv1.DeadLetterReason{conflict}, Sources: []string{"s"}, Kinds: []payments.Kind{"note"}, OrderIDs: []string{"o"},
		From: from, To: from.Add(time.Microsecond), Text: "Evt", Settled: true,
	})
	if got := fmt.Sprintf("%+v", m.counted); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

func TestCountDeadLetters(t *testing.T) {
	m := lettersOf(5)
	m.letters[4].Resolution = payments.Accepted
	got, err := operatorOf(m, nil, "").CountDeadLetters(t.Context(), new(payrelayv1.CountDeadLettersRequest))
	want := &payrelayv1.CountDeadLettersResponse{Total: 4, Counts: []*payrelayv1.DeadLetterCount{
		{Reason: conflict, Source: "shop", Count: 2}, {Reason: contradiction, Source: "generic", Count: 2},
	}}
	if conflict > contradiction {
		want.Counts[0], want.Counts[1] = want.Counts[1], want.Counts[0]
	}
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("CountDeadLetters() = %v, %v, want %v", got, err, want)
	}
}

// The update of a dead letter is shown without the body, which may have personal data.
func TestGetDeadLetter(t *testing.T) {
	m := lettersOf(2)
	m.letters[1].Payload = []byte("\xff")
	m.letters[1].Resolution, m.letters[1].ResolvedAt, m.letters[1].By, m.letters[1].Why = payments.Accepted, noon, "ops (ann)", "the bank confirms it"
	o := operatorOf(m, nil, "")
	got, err := o.GetDeadLetter(t.Context(), &payrelayv1.GetDeadLetterRequest{Id: 1})
	if err != nil {
		t.Fatal(err)
	}
	update := got.GetDeadLetter().GetUpdate()
	if update.GetEventId() != "e1" || update.GetRawBody() != nil || len(update.GetBodySha256()) != 32 {
		t.Errorf("update = %v, want e1 without a body, with its digest", update)
	}
	got, err = o.GetDeadLetter(t.Context(), &payrelayv1.GetDeadLetterRequest{Id: 2})
	if d := got.GetDeadLetter(); err != nil || d.GetUpdate() != nil || d.GetResolution() != "accepted" || d.GetResolvedBy() != "ops (ann)" || d.GetResolvedWhy() != "the bank confirms it" || d.GetResolvedAt().AsTime() != noon {
		t.Errorf("GetDeadLetter(2) = %v, %v, want an accepted one without an update", got, err)
	}
	_, err = o.GetDeadLetter(t.Context(), &payrelayv1.GetDeadLetterRequest{Id: 3})
	wantRefusal(t, "GetDeadLetter(3)", err, "not_found")
}

// A field that only a later release knows may have a body, and text in a Kafka record can
// parse as such a field.
func TestGetDeadLetterShowsNoUnknownFields(t *testing.T) {
	m := lettersOf(2)
	later := protowire.AppendString(protowire.AppendTag(nil, 100, protowire.BytesType), "secret body")
	m.letters[0].Payload = append(m.letters[0].Payload, later...)
	m.letters[1].Key, m.letters[1].Payload = payments.Key{Source: "topic/3", EventID: "17"}, later
	for id, wantUpdate := range map[int64]bool{1: true, 2: false} {
		got, err := operatorOf(m, nil, "").GetDeadLetter(t.Context(), &payrelayv1.GetDeadLetterRequest{Id: id})
		if err != nil || (got.GetDeadLetter().GetUpdate() != nil) != wantUpdate {
			t.Errorf("GetDeadLetter(%d) = %v, %v, want an update: %t", id, got, err, wantUpdate)
		}
		if sent, err := proto.Marshal(got); err != nil || bytes.Contains(sent, []byte("secret body")) {
			t.Errorf("GetDeadLetter(%d) sends %q, %v, which has the body", id, sent, err)
		}
	}
	got, err := operatorOf(m, nil, "ops").GetBody(t.Context(), &payrelayv1.GetBodyRequest{DeadLetterId: 2, Decision: because})
	if err != nil || !bytes.Equal(got.GetBody(), later) {
		t.Errorf("GetBody(2) = %q, %v, want the value of the record", got.GetBody(), err)
	}
}

func TestListSources(t *testing.T) {
	verified := int64(7)
	m := &memory{activity: []payments.SourceActivity{{Source: "b", OpenDeadLetters: 2, LastEventAt: noon}, {Source: "gone", OpenDeadLetters: 1}}}
	for _, ingest := range []bool{true, false} {
		cfg := OperatorConfig{Store: m, Log: quiet()}
		if ingest {
			cfg.Sources = func() []*payrelayv1.Source {
				return []*payrelayv1.Source{
					{Name: "b", Provider: "stripe", Environment: "live", Verified: &verified, Refused: map[string]int64{"signature_mismatch": 3}, LastSeenAt: timestamppb.New(noon)},
					{Name: "a", Provider: "generic", Verified: new(int64)},
				}
			}
		}
		got, err := NewOperator(cfg).ListSources(t.Context(), new(payrelayv1.ListSourcesRequest))
		if err != nil {
			t.Fatal(err)
		}
		want := []*payrelayv1.Source{{Name: "b", OpenDeadLetters: proto.Int64(2), LastEventAt: timestamppb.New(noon)}, {Name: "gone", OpenDeadLetters: proto.Int64(1)}}
		if ingest {
			b := want[0]
			b.Provider, b.Environment, b.Verified, b.Refused, b.LastSeenAt = "stripe", "live", &verified, map[string]int64{"signature_mismatch": 3}, timestamppb.New(noon)
			want = append([]*payrelayv1.Source{{Name: "a", Provider: "generic", Verified: new(int64), OpenDeadLetters: new(int64)}}, want...)
		}
		if !proto.Equal(got, &payrelayv1.ListSourcesResponse{Sources: want}) {
			t.Errorf("with ingest = %t: sources = %v, want %v", ingest, got.GetSources(), want)
		}
	}
}

func TestListAudit(t *testing.T) {
	m := new(memory)
	for i := range 3 {
		m.audit = append(m.audit, payments.AuditEntry{ID: int64(i + 1), At: noon, Who: "ops (ann)", Action: payments.ActionAccept, Target: "dead letter 1", OrderID: "o", Why: "y", Before: "open: conflict", After: "accepted: applied"})
	}
	o := operatorOf(m, nil, "")
	req := &payrelayv1.ListAuditRequest{Actions: []string{"accept", "erase"}, Page: &payrelayv1.Page{Limit: 2}}
	first, err := o.ListAudit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	req.Page.Cursor = first.GetNextCursor()
	second, err := o.ListAudit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := &payrelayv1.AuditEntry{Id: 1, At: timestamppb.New(noon), Who: "ops (ann)", Action: "accept", Target: "dead letter 1", OrderId: "o", Why: "y", Before: "open: conflict", After: "accepted: applied"}
	if len(first.GetEntries()) != 2 || first.GetEntries()[0].GetId() != 3 || len(second.GetEntries()) != 1 || !proto.Equal(second.GetEntries()[0], want) || second.GetNextCursor() != "" {
		t.Errorf("pages = %v and %v, want entries 3, 2 and %v", first, second, want)
	}
}

// An error of the database is logged with its cause, which the client does not get, and a
// slow database ends with its own code.
func TestOperatorsReadsFail(t *testing.T) {
	calls := map[string]func(context.Context, *Operator) error{
		"ListDeadLetters":  func(ctx context.Context, o *Operator) error { return errorOf(o.ListDeadLetters(ctx, nil)) },
		"CountDeadLetters": func(ctx context.Context, o *Operator) error { return errorOf(o.CountDeadLetters(ctx, nil)) },
		"GetDeadLetter": func(ctx context.Context, o *Operator) error {
			return errorOf(o.GetDeadLetter(ctx, &payrelayv1.GetDeadLetterRequest{Id: 1}))
		},
		"ListSources": func(ctx context.Context, o *Operator) error { return errorOf(o.ListSources(ctx, nil)) },
		"ListAudit":   func(ctx context.Context, o *Operator) error { return errorOf(o.ListAudit(ctx, nil)) },
	}
	for name, call := range calls {
		var log strings.Builder
		m := &memory{fail: func(context.Context) error { return errors.New("dial postgres://user:secret@db") }}
		o := NewOperator(OperatorConfig{Store: m, Log: slog.New(slog.NewTextHandler(&log, nil))})
		err := call(t.Context(), o)
		wantRefusal(t, name, err, "unavailable")
		if strings.Contains(err.Error(), "secret") || !strings.Contains(log.String(), "dial") || !strings.Contains(log.String(), name) {
			t.Errorf("%s: error = %v, log = %s, want the cause in the log only", name, err, log.String())
		}
		synctest.Test(t, func(t *testing.T) {
			m.fail = func(ctx context.Context) error { <-ctx.Done(); return errors.New("interrupted") }
			start := time.Now()
			wantRefusal(t, name, call(t.Context(), o), "deadline_exceeded")
			if took := time.Since(start); took != queryTimeout {
				t.Errorf("%s took %v, want %v", name, took, queryTimeout)
			}
		})
	}
}

// errorOf returns the error of a call.
func errorOf[A any](_ A, err error) error { return err }
