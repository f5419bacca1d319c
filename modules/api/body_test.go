package api

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestGetBody(t *testing.T) {
	m := lettersOf(4)
	event := payments.Key{Source: "generic", Kind: payments.KindOrder, EventID: "e3"}
	m.bodies[event] = []byte("body of the event")
	bare, err := proto.Marshal(orderUpdate("e3"))
	if err != nil {
		t.Fatal(err)
	}
	m.letters[2].Payload = bare
	m.letters[3].Payload = bare
	m.letters[3].Key.EventID = "e4"
	m.letters[1].Payload, m.letters[1].Key = []byte("\xff not an update"), payments.Key{Source: "topic/3", EventID: "17"}
	for name, test := range map[string]struct {
		req          *payrelayv1.GetBodyRequest
		body, target string
	}{
		"in the letter":    {&payrelayv1.GetBodyRequest{DeadLetterId: 1}, "secret body", `dead letter 1, order event "e1" of generic`},
		"a record":         {&payrelayv1.GetBodyRequest{DeadLetterId: 2}, "\xff not an update", `dead letter 2, "17" of topic/3`},
		"in the event":     {&payrelayv1.GetBodyRequest{DeadLetterId: 3}, "body of the event", `dead letter 3, order event "e3" of generic`},
		"nowhere":          {&payrelayv1.GetBodyRequest{DeadLetterId: 4}, "", `dead letter 4, order event "e4" of shop`},
		"by the event key": {&payrelayv1.GetBodyRequest{Source: "generic", Kind: "order", EventId: "e3"}, "body of the event", `order event "e3" of generic`},
	} {
		m.audit = nil
		test.req.Decision = because
		got, err := operatorOf(m, nil, "ops").GetBody(t.Context(), test.req)
		if err != nil || string(got.GetBody()) != test.body {
			t.Errorf("%s: GetBody() = %q, %v, want %q", name, got.GetBody(), err, test.body)
		}
		if len(m.audit) != 1 {
			t.Fatalf("%s: audit = %+v, want one entry", name, m.audit)
		}
		entry := m.audit[0]
		if entry.Who != "ops (ann)" || entry.Action != payments.ActionReadBody || entry.Target != test.target || entry.Why != because.GetReason() || entry.At.IsZero() {
			t.Errorf("%s: audit = %+v, want the target %q", name, entry, test.target)
		}
		if entry.OrderID != "order-1" {
			t.Errorf("%s: order of the audit = %q, want order-1", name, entry.OrderID)
		}
	}
}

// Without a record of who read it, the body is not returned.
func TestBodyIsNotReadWithoutAudit(t *testing.T) {
	m := lettersOf(1)
	m.fail = func(context.Context) error {
		if _, commits := m.asked.(*payments.Changes); commits {
			return errors.New("the database is gone")
		}
		return nil
	}
	got, err := operatorOf(m, nil, "ops").GetBody(t.Context(), &payrelayv1.GetBodyRequest{DeadLetterId: 1, Decision: because})
	wantRefusal(t, "GetBody()", err, "unavailable")
	if got != nil || len(m.audit) != 0 {
		t.Errorf("GetBody() = %v, audit = %v, want none", got, m.audit)
	}
}

// A database that does not answer holds the call no longer than any other action.
func TestReadingABodyHasADeadline(t *testing.T) {
	m := lettersOf(1)
	m.fail = func(ctx context.Context) error {
		if _, has := ctx.Deadline(); !has {
			t.Errorf("%T has no deadline", m.asked)
		}
		return nil
	}
	if _, err := operatorOf(m, nil, "ops").GetBody(t.Context(), &payrelayv1.GetBodyRequest{DeadLetterId: 1, Decision: because}); err != nil {
		t.Error(err)
	}
}

func TestMistakesInGetBody(t *testing.T) {
	for name, test := range map[string]struct {
		req  *payrelayv1.GetBodyRequest
		code string
	}{
		"nothing":     {&payrelayv1.GetBodyRequest{Decision: because}, "invalid_id"},
		"negative id": {&payrelayv1.GetBodyRequest{DeadLetterId: -1, Decision: because}, "invalid_id"},
		"both":        {&payrelayv1.GetBodyRequest{DeadLetterId: 1, Source: "s", Kind: "order", EventId: "e", Decision: because}, "invalid_selection"},
		"no source":   {&payrelayv1.GetBodyRequest{Kind: "order", EventId: "e", Decision: because}, "field_required"},
		"no event":    {&payrelayv1.GetBodyRequest{Source: "s", Kind: "order", Decision: because}, "field_required"},
		"no kind":     {&payrelayv1.GetBodyRequest{Source: "s", EventId: "e", Decision: because}, "field_required"},
		"bad kind":    {&payrelayv1.GetBodyRequest{Source: "s", Kind: "x", EventId: "e", Decision: because}, "unknown_kind"},
		"no decision": {&payrelayv1.GetBodyRequest{DeadLetterId: 1}, "reason_required"},
		"no letter":   {&payrelayv1.GetBodyRequest{DeadLetterId: 9, Decision: because}, "not_found"},
		"no such key": {&payrelayv1.GetBodyRequest{Source: "s", Kind: "order", EventId: "e", Decision: because}, "not_found"},
	} {
		m := lettersOf(1)
		_, err := operatorOf(m, nil, "ops").GetBody(t.Context(), test.req)
		wantRefusal(t, fmt.Sprintf("GetBody with %s", name), err, test.code)
		if len(m.audit) != 0 {
			t.Errorf("%s: audit = %v, want none", name, m.audit)
		}
	}
}
