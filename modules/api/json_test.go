package api

import (
	"encoding/json"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// TestJSONOfMessagesWithoutAPath checks the form of the messages that no REST path answers:
// a list is never null, and what is not known is absent.
func TestJSONOfMessagesWithoutAPath(t *testing.T) {
	event := &payrelayv1.Event{
		Sequence: 7, Outcome: &payrelayv1.Outcome{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION},
		Update: &payrelayv1.Update{
			Provider: "shop", EventId: "e", OrderId: "o", RequestId: "REQ", BodySha256: []byte{0xab},
			Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_FAILED}},
		},
	}
	entry := &payrelayv1.TimelineEntry{Event: event, StatusBefore: "success", StatusAfter: "success", Late: true, Why: "W."}
	const entryText = `{"sequence":7,"provider":"shop","source":"shop","subject":"order","event_id":"e","order_id":"o","kind":"failed","occurred_at":"","request_id":"REQ",` +
		`"recorded_at":"","verdict":"dead_lettered","reason":"contradiction","body_sha256":"ab","status_before":"success","status_after":"success","late":true,"why":"W."}`
	for want, form := range map[string]any{
		entryText: TimelineJSON(entry),
		`{"disputes":[],"sentences":[],"timeline":[],"earlier":0,"dead_letters":[]}`:                 ExplainedOrderJSON(new(payrelayv1.ExplainOrderResponse)),
		`{"sentences":["S."],"timeline":[` + entryText + `],"earlier":3000000000,"dead_letters":[]}`: ExplainedDisputeJSON(&payrelayv1.ExplainDisputeResponse{Sentences: []string{"S."}, Timeline: []*payrelayv1.TimelineEntry{entry}, Earlier: 3e9}),
		`{"id":1,"verdict":"dead_lettered","reason":"contradiction"}`:                                ResultJSON(&payrelayv1.ActionResult{Id: 1, Outcome: event.GetOutcome()}),
		`{"id":2}`:                           ResultJSON(&payrelayv1.ActionResult{Id: 2}),
		`{"id":3,"skipped":"it is settled"}`: ResultJSON(&payrelayv1.ActionResult{Id: 3, Skipped: "it is settled"}),
		`{"source":"shop","dispute_id":"d","field":"status","stored":"","derived":"open"}`: DifferenceJSON(&payrelayv1.Difference{Source: "shop", DisputeId: "d", Field: "status", Derived: "open"}),
	} {
		if got, err := json.Marshal(form); err != nil || string(got) != want {
			t.Errorf("the JSON form is %s, %v, want %s", got, err, want)
		}
	}
}
