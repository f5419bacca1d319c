package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

func TestRelayKeepsTheOrderOfUpdates(t *testing.T) {
	next := &recorder{}
	relay := NewRelay(next, quiet())
	updates := []*payrelayv1.Update{orderUpdate("e1"), disputeUpdate("e2"), orderUpdate("e3")}
	answer, err := relay.ApplyUpdates(t.Context(), &payrelayv1.ApplyUpdatesRequest{Updates: updates})
	if err != nil || len(answer.GetOutcomes()) != 3 {
		t.Fatalf("ApplyUpdates() = %v, %v, want 3 outcomes", answer, err)
	}
	for i, update := range next.last() {
		if update.GetEventId() != updates[i].GetEventId() {
			t.Errorf("update %d = %s, want %s", i, update.GetEventId(), updates[i].GetEventId())
		}
	}
}

func TestEmptyBatchDoesNothing(t *testing.T) {
	next := &recorder{}
	answer, err := NewRelay(next, quiet()).ApplyUpdates(t.Context(), &payrelayv1.ApplyUpdatesRequest{})
	if err != nil || len(answer.GetOutcomes()) != 0 || next.calls() != 0 {
		t.Errorf("ApplyUpdates() of no updates = %v, %v after %d calls of Apply, want nothing", answer, err, next.calls())
	}
}

func TestOneMalformedUpdateRefusesTheCall(t *testing.T) {
	nameless := orderUpdate("e2")
	nameless.OrderId = ""
	tampered := orderUpdate("e2")
	tampered.RawBody, tampered.BodySha256 = []byte("body"), make([]byte, 32)
	for want, bad := range map[string]*payrelayv1.Update{
		"field_required": nameless, "digest_mismatch": tampered, "updates[1]": nil,
	} {
		next := &recorder{}
		relay := NewRelay(next, quiet())
		_, err := relay.ApplyUpdates(t.Context(), &payrelayv1.ApplyUpdatesRequest{Updates: []*payrelayv1.Update{orderUpdate("e1"), bad}})
		if connect.CodeOf(err) != connect.CodeInvalidArgument || next.calls() != 0 {
			t.Errorf("%s: error = %v after %d calls of Apply, want invalid_argument after 0", want, err, next.calls())
		}
		answer := describe(err)
		if answer.code != want && !strings.Contains(answer.message, want) {
			t.Errorf("error = %s %s, want %s", answer.code, answer.message, want)
		}
	}
}

// The update of an unreadable body has no order. The ledger makes it a dead letter.
func TestUnreadableBodyIsAccepted(t *testing.T) {
	next := &recorder{}
	update := payments.NewWrongEnvironment("shop", []byte("\xff"), time.Now())
	for protocol, client := range clients(startInternal(t, next, "")) {
		if _, err := client.ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: update}); err != nil || !proto.Equal(next.last()[0], update) {
			t.Errorf("%s: ApplyUpdate() = %v and applies %v, want nil and %v", protocol, err, next.last(), update)
		}
	}
}

func TestNewerSchemaIsAccepted(t *testing.T) {
	next := &recorder{}
	update := orderUpdate("e1")
	update.SchemaVersion = 999
	if _, err := NewRelay(next, quiet()).ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: update}); err != nil {
		t.Errorf("ApplyUpdate() with a newer schema = %v, want nil", err)
	}
}

func TestErrorOfApplyMeansSendAgain(t *testing.T) {
	failures := map[string]struct {
		answer []*payrelayv1.Outcome
		err    error
		want   connect.Code
	}{
		"database down":   {nil, errors.New("dial tcp: secret-host refused"), connect.CodeUnavailable},
		"too slow":        {nil, fmt.Errorf("commit: %w", context.DeadlineExceeded), connect.CodeDeadlineExceeded},
		"outcome missing": {[]*payrelayv1.Outcome{}, nil, connect.CodeUnavailable},
	}
	for name, failure := range failures {
		next := &recorder{answer: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			return failure.answer, failure.err
		}}
		_, err := NewRelay(next, quiet()).ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")})
		if connect.CodeOf(err) != failure.want || strings.Contains(err.Error(), "secret-host") {
			t.Errorf("%s: error = %v, want %v without its cause", name, err, failure.want)
		}
	}
}

func TestCallWithoutDeadlineGetsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &recorder{answer: func(ctx context.Context, _ []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
			<-ctx.Done()
			return nil, errors.New("stopped")
		}}
		_, err := NewRelay(next, quiet()).ApplyUpdate(t.Context(), &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")})
		if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
			t.Errorf("ApplyUpdate() = %v, want deadline_exceeded", err)
		}
	})
}
