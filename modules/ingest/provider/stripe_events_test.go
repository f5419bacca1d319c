package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

const stripeExamples = "testdata/webhooks/stripe/"

// readStripe returns an example of an event.
func readStripe(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(stripeExamples + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// stripeWith returns an example with changes: pairs of the path of a member, such as
// "data.object.amount", and its value in JSON, or nothing to remove it.
func stripeWith(t testing.TB, name string, changes ...string) []byte {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal(readStripe(t, name), &event); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		object, path := event, strings.Split(changes[i], ".")
		for _, name := range path[:len(path)-1] {
			object = object[name].(map[string]any)
		}
		if last := path[len(path)-1]; changes[i+1] == "" {
			delete(object, last)
		} else {
			object[last] = json.RawMessage(changes[i+1])
		}
	}
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// decodeStripe returns the update of an event, as the caller of the adapter completes it.
func decodeStripe(a Adapter, body []byte) (*payrelayv1.Update, Webhook, error) {
	w, err := a.Decode(&Request{Body: body, ReceivedAt: stripeNow})
	if err != nil {
		return nil, w, err
	}
	if len(w.Updates) != 1 {
		return nil, w, fmt.Errorf("%d updates, want 1", len(w.Updates))
	}
	u := w.Updates[0]
	u.Provider, u.SchemaVersion, u.ReceivedAt = "shop", payments.SchemaVersion, timestamppb.New(stripeNow)
	u.BodySha256 = payments.BodyDigest(u)
	return u, w, payments.Validate(u)
}

// wantStripe decodes an event that must be accepted.
func wantStripe(t testing.TB, body []byte) *payrelayv1.Update {
	t.Helper()
	u, _, err := decodeStripe(newTestStripe(t, stripeSecret), body)
	if err != nil {
		t.Fatalf("Decode(%s) failed: %v", body, err)
	}
	if string(u.GetRawBody()) != string(body) {
		t.Errorf("RawBody = %q, want the body", u.GetRawBody())
	}
	return u
}

// TestStripeExamples checks the type and the environment of the examples, whose updates
// TestGoldenBodies checks.
func TestStripeExamples(t *testing.T) {
	files, err := filepath.Glob(stripeExamples + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if strings.HasSuffix(file, updateSuffix) {
			continue
		}
		_, w, err := decodeStripe(newTestStripe(t, stripeSecret), readStripe(t, name))
		if err != nil || w.Environment != Live || !strings.HasPrefix(name, w.Event) || len(w.Ignored) != 0 {
			t.Errorf("Decode(%s) = %q, %q, %q, %v, want the event of the file's name, live, nothing ignored", file, w.Event, w.Environment, w.Ignored, err)
		}
		shown[w.Event] = true
	}
	if len(shown) < 20 {
		t.Errorf("there are examples of %d types of events, want at least 20", len(shown))
	}
}

func TestStripeEnvironment(t *testing.T) {
	for livemode, want := range map[string]Environment{"true": Live, "false": Test, "null": "", "": "", `"true"`: "", "1": ""} {
		_, w, err := decodeStripe(newTestStripe(t, stripeSecret), stripeWith(t, "payment_intent.succeeded", "livemode", livemode))
		if err != nil || w.Environment != want {
			t.Errorf("Decode(livemode %s) = %q, %v, want %q", livemode, w.Environment, err, want)
		}
	}
}

// TestStripeDisputeStatuses maps each status in each event about disputes.
func TestStripeDisputeStatuses(t *testing.T) {
	for status, want := range map[string]string{
		"warning_needs_response": "open inquiry", "warning_under_review": "submitted inquiry", "warning_closed": "closed inquiry",
		"needs_response": "open chargeback", "under_review": "submitted chargeback",
		"appeal_needs_response": "open pre_arbitration", "appeal_under_review": "submitted pre_arbitration",
		"won": "won ", "lost": "lost ", "prevented": "closed ", "charge_refunded": "closed ",
		"a_new_status": " ", "7": " ",
	} {
		for _, event := range []string{"created", "updated", "closed", "funds_withdrawn", "funds_reinstated", "a_new_event"} {
			quoted := `"` + status + `"`
			if status == "7" {
				quoted = status
			}
			d := wantStripe(t, stripeWith(t, "charge.dispute.created", "data.object.status", quoted, "type", `"charge.dispute.`+event+`"`)).GetDispute()
			if got := payments.DisputeStatuses.Name(d.GetStatus()) + " " + payments.DisputeStages.Name(d.GetStage()); got != want {
				t.Errorf("status %s in %s = %q, want %q", status, event, got, want)
			}
			if unknown := strings.TrimSpace(want) == ""; unknown != (d.GetProviderStatus() == status) {
				t.Errorf("provider status of %s = %q", status, d.GetProviderStatus())
			}
		}
	}
	if len(stripeDisputeStatus) != 11 {
		t.Errorf("%d statuses are mapped, want the 11 of this test", len(stripeDisputeStatus))
	}
}

func TestStripeDisputeMembers(t *testing.T) {
	due := func(value string) *timestamppb.Timestamp {
		return wantStripe(t, stripeWith(t, "charge.dispute.created", "data.object.evidence_details.due_by", value)).GetDispute().GetEvidenceDueAt()
	}
	for _, none := range []string{"0", "null", "", `""`, "-1", "253402300800", `{"a":1}`} {
		if got := due(none); got != nil {
			t.Errorf("due_by %s = %v, want none", none, got)
		}
	}
	if got := due("1768730399").GetSeconds(); got != 1768730399 {
		t.Errorf("due_by 1768730399 = %d", got)
	}
	for _, test := range []struct{ path, value, want string }{
		{"data.object.reason", `"product_not_received"`, "product_not_received (10.4)"},
		{"data.object.payment_method_details", `null`, "fraudulent"},
		{"data.object.payment_method_details", `{"type":"paypal","paypal":{"reason_code":"x"}}`, "fraudulent"},
		{"data.object.payment_method_details.card", `{"network_reason_code":4853}`, "fraudulent (4853)"},
		{"data.object.payment_method_details", `{"card":{"network_reason_code":null}}`, "fraudulent"},
		{"data.object.reason", `"a\u0000\nb"`, "a  b (10.4)"},
		{"data.object.reason", `null`, "(10.4)"},
	} {
		if got := wantStripe(t, stripeWith(t, "charge.dispute.created", test.path, test.value)).GetDispute().GetReason(); got != test.want {
			t.Errorf("reason with %s = %s is %q, want %q", test.path, test.value, got, test.want)
		}
	}
	long := wantStripe(t, stripeWith(t, "charge.dispute.created", "data.object.reason", `"`+strings.Repeat("é", 2000)+`"`)).GetDispute().GetReason()
	if len(long) > payments.MaxTextBytes {
		t.Errorf("a long reason has %d bytes", len(long))
	}
	if amount := wantStripe(t, stripeWith(t, "charge.dispute.created", "data.object.amount", "0")).GetDispute().GetAmount(); amount.GetMinorUnits() != 0 {
		t.Errorf("amount = %v, want 0", amount)
	}
}

// TestStripeCharges has the totals of charges, and what charges and refunds do not state.
func TestStripeCharges(t *testing.T) {
	totals := func(captured, refunded string) []string {
		return []string{"data.object.amount_captured", captured, "data.object.amount_refunded", refunded}
	}
	updated := func(changes ...string) []string { return append(changes, "type", `"charge.updated"`) }
	for _, test := range []struct {
		example string
		changes []string
		want    string
	}{
		{"charge.succeeded", nil, "success captured 5000"},
		{"charge.succeeded", []string{"data.object.amount_captured", ""}, "success"}, // the amount implies it
		{"charge.succeeded", []string{"data.object.captured", ""}, "success captured 5000"},
		{"charge.succeeded_uncaptured", nil, "authorized authorized 5000"},
		{"charge.succeeded_uncaptured", []string{"data.object.amount_captured", "null"}, "authorized authorized 5000"},
		{"charge.succeeded_uncaptured", []string{"data.object.amount_captured", "2000"}, "success captured 2000"},
		{"charge.failed", []string{"type", `"charge.pending"`, "data.object.status", `"pending"`}, "updated"},
		{"charge.failed", []string{"data.object.failure_balance_transaction", `{"id":"txn_1"}`}, "reversed captured 0"},

		{"charge.refunded", totals("5000", "0"), "updated captured 5000 refunded 0"},
		{"charge.refunded", totals("5000", "5000"), "updated captured 5000 refunded 5000"},
		{"charge.refunded", totals("", "700"), "updated refunded 700"},
		{"charge.refunded", totals("3500", "1499"), "updated captured 3500 refunded 1499"}, // the rest is not in it
		{"charge.refunded", totals("3500", "1500"), "updated captured 3500 refunded 0"},
		{"charge.refunded", totals("3500", "5000"), "updated captured 3500 refunded 3500"},
		{"charge.refunded", totals("6000", "1000"), "updated captured 6000 refunded 1000"}, // more than was authorized
		{"charge.refunded", totals("5000", `"1500"`), "updated captured 5000 refunded 1500"},
		{"charge.refunded", totals("5000", ""), "note"},
		{"charge.refunded_uncaptured", nil, "canceled"},
		{"charge.refunded_uncaptured", []string{"data.object.amount_captured", ""}, "canceled"},
		{"charge.refunded_uncaptured", totals("2000", "3000"), "updated captured 2000 refunded 0"},

		{"charge.refunded", updated(), "updated captured 5000 refunded 1500"},
		{"charge.refunded_uncaptured", updated(), "note"},
		{"charge.failed_after_success", updated(), "note"},
		{"charge.refunded", updated("data.object.status", `"pending"`), "note"},

		{"refund.failed_expanded", nil, "updated captured 5000 refunded 0"},
		{"refund.failed_expanded", []string{"type", `"refund.created"`}, "updated captured 5000 refunded 0"},
		{"refund.failed_expanded", []string{"data.object.charge", `{"id":"ch_1","amount_refunded":70,"currency":"usd"}`}, "updated refunded 70"},
		{"refund.failed_expanded", []string{"data.object.charge", `{"id":"ch_1"}`}, "note re_3SmKp2L9xQbT5vWc0uV1wX2y failed lost_or_stolen_card"},
		{"refund.failed_expanded", []string{"data.object.charge", `null`}, "note re_3SmKp2L9xQbT5vWc0uV1wX2y failed lost_or_stolen_card"},
		{"charge.refund.updated", []string{"data.object.failure_reason", "", "type", `"refund.updated"`}, "note re_3SmKp2L9xQbT5vWc0uV1wX2y failed"},
	} {
		u := wantStripe(t, stripeWith(t, test.example, test.changes...))
		o := u.GetOrder()
		got := payments.OrderStatuses.Name(o.GetStatus())
		if n := u.GetNote(); n != nil {
			got = strings.TrimSpace("note " + n.GetText())
		}
		for _, total := range []struct {
			name  string
			money *payrelayv1.Money
		}{{"authorized", o.GetAuthorized()}, {"captured", o.GetCaptured()}, {"refunded", o.GetRefunded()}} {
			if total.money != nil {
				got += fmt.Sprint(" ", total.name, " ", total.money.GetMinorUnits())
			}
		}
		if got != test.want {
			t.Errorf("%s with %q = %q, want %q", test.example, test.changes, got, test.want)
		}
	}
	// A charge without an intent is a part of its own, and as old as the order.
	alone := wantStripe(t, stripeWith(t, "charge.succeeded", "data.object.payment_intent", "null")).GetOrder()
	if alone.GetPart() != "ch_3SmKp2L9xQbT5vWc0fG3hI4j" || alone.GetCreatedAt().GetSeconds() != 1767520800 {
		t.Errorf("charge without an intent = %v, want its id as the part, and its time", alone)
	}
}

// TestStripeOrderIDs looks for the order in the metadata, then in the related objects.
func TestStripeOrderIDs(t *testing.T) {
	const pi, ch = "pi_3SmKp2L9xQbT5vWc0aB1cD2e", "ch_3SmKp2L9xQbT5vWc0fG3hI4j"
	for _, test := range []struct {
		example string
		changes []string
		want    string
	}{
		{"payment_intent.succeeded", nil, "A-1001"},
		{"payment_intent.succeeded", []string{"data.object.metadata", `{}`}, pi},
		{"payment_intent.succeeded", []string{"data.object.metadata", `null`}, pi},
		{"payment_intent.succeeded", []string{"data.object.metadata", `[]`}, pi},
		{"payment_intent.succeeded", []string{"data.object.metadata", `{"order_id":""}`}, pi},
		{"payment_intent.succeeded", []string{"data.object.metadata", `{"order_id":" "}`}, pi},
		{"payment_intent.succeeded", []string{"data.object.metadata", `{"Order_ID":"1"}`}, pi},
		{"payment_intent.succeeded", []string{"data.object.metadata", `{"order_id":7}`}, "7"},
		{"payment_intent.succeeded", []string{"data.object.metadata", `{"a":"b","order\u005fid":"A/\u00e9"}`}, "A/é"},
		{"charge.refunded", nil, "A-1001"},
		{"charge.refunded", []string{"data.object.metadata", ""}, pi},
		{"charge.refunded", []string{"data.object.metadata", "", "data.object.payment_intent", "null"}, ch},
		{"charge.refunded", []string{"data.object.metadata", "", "data.object.payment_intent", `{"id":"pi_x","object":"payment_intent"}`}, "pi_x"},
		{"charge.refunded", []string{"data.object.metadata", "", "data.object.payment_intent", `{"id":"pi_x","metadata":{"order_id":"A-3"}}`}, "A-3"},
		{"charge.dispute.created", nil, pi},
		{"charge.dispute.created", []string{"data.object.metadata", `{"order_id":"A-2"}`}, "A-2"},
		{"charge.dispute.created", []string{"data.object.payment_intent", "null"}, ch},
		{"charge.dispute.created", []string{"data.object.payment_intent", "null", "data.object.charge", `{"id":"ch_x","payment_intent":"pi_y"}`}, "pi_y"},
		{"charge.dispute.created", []string{"data.object.charge", `{"id":"ch_x","metadata":{"order_id":"A-4"}}`}, "A-4"},
		{"radar.early_fraud_warning.created", nil, pi},
		{"radar.early_fraud_warning.created", []string{"data.object.payment_intent", ""}, ch},
		{"checkout.session.completed", []string{"data.object.metadata", ""}, pi},
		{"checkout.session.completed", []string{"data.object.metadata", "", "data.object.payment_intent", "null"}, "cs_live_a1B2c3D4e5F6g7H8i9J0"},
		{"customer.created", nil, "cus_TjqYf2Vb8Nw4Xk"},
		{"customer.created", []string{"data", "null"}, "evt_1SmKp3L9xQbT5vWcggggggg1"},
		{"v1.billing.meter.error_report_triggered", []string{"related_object", "null"}, "evt_65R9Ijk8dKEYZcXeRWn16R9A7j1FSQ3w3TGDPLLGSM4CW0"},
	} {
		if got := wantStripe(t, stripeWith(t, test.example, test.changes...)).GetOrderId(); got != test.want {
			t.Errorf("order id of %s with %q = %q, want %q", test.example, test.changes, got, test.want)
		}
	}
	// The prefix precedes ids from metadata only.
	a, err := New(Settings{Provider: Stripe, Secrets: []Secret{{Value: stripeSecret}}, OrderIDPrefix: "eu-", OrderIDKey: "order_id"})
	if err != nil {
		t.Fatal(err)
	}
	for example, want := range map[string]string{"charge.refunded": "eu-A-1001", "charge.dispute.created": pi, "customer.created": "cus_TjqYf2Vb8Nw4Xk"} {
		if u, _, err := decodeStripe(a, readStripe(t, example)); err != nil || u.GetOrderId() != want {
			t.Errorf("order id of %s = %q, %v, want %q", example, u.GetOrderId(), err, want)
		} else if part := u.GetOrder().GetPart(); u.GetOrder() != nil && part != pi {
			t.Errorf("part = %q, want it without a prefix", part)
		}
	}
}

// TestStripeThinEvents checks that an event without its object never has a state, whatever
// its type.
func TestStripeThinEvents(t *testing.T) {
	for _, kind := range []string{"v1.charge.refunded", "charge.refunded", "charge.dispute.created", "payment_intent.succeeded"} {
		u := wantStripe(t, stripeWith(t, "v1.billing.meter.error_report_triggered", "type", `"`+kind+`"`, "related_object.id", `"pi_7"`, "created", `"2026-01-04T10:00:00.123456789Z"`))
		if u.GetNote().GetKind() != kind || u.GetOrderId() != "pi_7" || u.GetOccurredAt().GetNanos() != 123456000 {
			t.Errorf("thin event %s = %v, want a note about pi_7 with a precision of microseconds", kind, u)
		}
	}
}

// TestStripeCurrencies has the currencies whose amounts are not in the minor unit of
// ISO 4217, and others beside them.
func TestStripeCurrencies(t *testing.T) {
	want := map[string]string{"isk": "ISK 2", "ugx": "UGX 2", "mga": "MGA 0", "eur": "EUR", "huf": "HUF", "twd": "TWD", "kwd": "KWD", "BHD": "BHD", "usdc": "USDC"}
	for code := range strings.FieldsSeq("bif clp djf gnf jpy kmf krw pyg rwf vnd vuv xaf xof xpf") {
		want[code] = strings.ToUpper(code) // without decimals in both
	}
	for code, want := range want {
		u := wantStripe(t, stripeWith(t, "payment_intent.succeeded", "data.object.currency", `"`+code+`"`))
		for _, m := range []*payrelayv1.Money{u.GetOrder().GetAmount(), u.GetOrder().GetCaptured()} {
			got := m.GetCurrency()
			if m.Exponent != nil {
				got = fmt.Sprint(got, " ", m.GetExponent())
			}
			if got != want || m.GetMinorUnits() != 5000 {
				t.Errorf("5000 %s = %d %s, want 5000 %s", code, m.GetMinorUnits(), got, want)
			}
		}
	}
	exact := wantStripe(t, stripeWith(t, "payment_intent.succeeded", "data.object.amount", "9007199254740993")).GetOrder().GetAmount()
	if exact.GetMinorUnits() != 9007199254740993 {
		t.Errorf("amount = %d, want 9007199254740993", exact.GetMinorUnits())
	}
}

// TestStripeMembersOfOtherTypes changes each member to values that no known version of the
// API has. None of those that an event does not need makes it unreadable.
func TestStripeMembersOfOtherTypes(t *testing.T) {
	needed := map[string]string{
		"payment_intent.succeeded": "id object type created data data.object data.object.id data.object.object data.object.currency data.object.amount data.object.amount_received",
		"charge.refunded":          "id object type created data data.object data.object.object data.object.currency data.object.amount data.object.amount_captured data.object.amount_refunded data.object.payment_intent",
		"charge.dispute.created":   "id object type created data data.object data.object.id data.object.object data.object.status data.object.currency data.object.amount",
		"customer.created":         "id object type created",
	}
	for example, names := range needed {
		var event map[string]any
		if err := json.Unmarshal(readStripe(t, example), &event); err != nil {
			t.Fatal(err)
		}
		var paths []string
		for name := range maps.Keys(event) {
			paths = append(paths, name)
		}
		for name := range maps.Keys(event["data"].(map[string]any)["object"].(map[string]any)) {
			paths = append(paths, "data.object."+name)
		}
		isNeeded := make(map[string]bool)
		for name := range strings.FieldsSeq(names) {
			isNeeded[name] = true
		}
		for _, path := range paths {
			for _, value := range []string{`null`, `7`, `-1.5e400`, `true`, `"text"`, `"\ud800"`, `[]`, `{}`, `{"id":"x_1"}`, ""} {
				_, _, err := decodeStripe(newTestStripe(t, stripeSecret), stripeWith(t, example, path, value))
				if err != nil && !isNeeded[path] {
					t.Errorf("Decode(%s with %s = %s) failed: %v", example, path, value, err)
				}
			}
		}
	}
}

func TestStripeUnreadableEvents(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)
	for _, test := range []struct{ body, code string }{
		{"{", "invalid_json"}, {"", "invalid_json"}, {"  ", "invalid_json"}, {"{} {}", "invalid_json"}, {`{"id":"evt_1",}`, "invalid_json"}, {"[1]", "not_an_object"}, {"null", "not_an_object"},
		{`{"id":"evt_1","data":{"object":{"id":"x"}`, "invalid_json"}, {deep, "too_deep"},
		{"{}", "not_an_event"}, {`{"object":"charge","id":"ch_1"}`, "not_an_event"},
		{string(stripeWith(t, "charge.refunded", "id", "")), "field_required"},
		{string(stripeWith(t, "charge.refunded", "id", `" "`)), "field_required"},
		{string(stripeWith(t, "charge.refunded", "id", `"evt_\u0007"`)), "invalid_field"},
		{string(stripeWith(t, "charge.refunded", "id", `"`+strings.Repeat("x", 256)+`"`)), "field_too_long"},
		{string(stripeWith(t, "charge.refunded", "type", "")), "field_required"},
		{string(stripeWith(t, "charge.refunded", "type", `"\u0000"`)), "field_required"},
		{string(stripeWith(t, "charge.refunded", "created", "")), "invalid_time"},
		{string(stripeWith(t, "charge.refunded", "created", "0")), "invalid_time"},
		{string(stripeWith(t, "charge.refunded", "created", "253402300800")), "invalid_time"},
		{string(stripeWith(t, "charge.refunded", "created", "1767520800.5")), "invalid_time"},
		{string(stripeWith(t, "charge.refunded", "data", "")), "unexpected_object"},
		{string(stripeWith(t, "charge.refunded", "data", `{"object":"ch_1"}`)), "unexpected_object"},
		{string(stripeWith(t, "charge.refunded", "data.object.object", `"refund"`)), "unexpected_object"},
		{string(stripeWith(t, "charge.dispute.created", "data.object.object", `"charge"`)), "unexpected_object"},
		{string(stripeWith(t, "charge.refunded", "data.object.amount_refunded", "10.5")), "invalid_field"},
		{string(stripeWith(t, "charge.refunded", "data.object.amount_refunded", "9223372036854775808")), "invalid_field"},
		{string(stripeWith(t, "charge.refunded", "data.object.amount_refunded", "-1")), "invalid_amount"},
		{string(stripeWith(t, "charge.refunded", "data.object.currency", "null")), "invalid_currency"},
		{string(stripeWith(t, "payment_intent.succeeded", "data.object.currency", `"u$"`)), "invalid_currency"},
		{string(stripeWith(t, "payment_intent.succeeded", "data.object.id", "null", "data.object.metadata", "null")), "field_required"},
		{string(stripeWith(t, "payment_intent.succeeded", "data.object.metadata.order_id", `"`+strings.Repeat("x", 300)+`"`)), "field_too_long"},
		{string(stripeWith(t, "payment_intent.amount_capturable_updated", "data.object.amount_capturable", "9223372036854775807")), "invalid_amount"},
		{string(stripeWith(t, "payment_intent.amount_capturable_updated", "data.object.amount_capturable", "-3000")), "invalid_amount"},
		{string(stripeWith(t, "charge.dispute.created", "data.object.id", "")), "field_required"},
		{string(stripeWith(t, "charge.dispute.created", "data.object.status", "null")), "field_required"},
	} {
		_, _, err := decodeStripe(newTestStripe(t, stripeSecret), []byte(test.body))
		code, message := stripeReason(err)
		if code != test.code || len(message) < 10 || len(message) > 256 {
			t.Errorf("Decode(%.80s) = %v, want the code %s with a sentence", test.body, err, test.code)
		}
	}
}

// stripeReason returns why a body cannot be read.
func stripeReason(err error) (code, message string) {
	if malformed, ok := errors.AsType[*jsonbody.Malformed](err); ok {
		return malformed.Code, malformed.Message
	}
	if invalid, ok := errors.AsType[*payments.InvalidError](err); ok {
		return invalid.Code(), invalid.Error()
	}
	return "", ""
}

// TestStripeEventsAreIndependent decodes an event with few members after each example,
// whose members must be forgotten, and from several goroutines.
func TestStripeEventsAreIndependent(t *testing.T) {
	a := newTestStripe(t, stripeSecret)
	few := []byte(`{"object":"event","id":"evt_2","type":"charge.dispute.closed","created":1,"data":{"object":{"object":"dispute","id":"du_2","status":"won"}}}`)
	want := &payrelayv1.Update{
		EventId: "evt_2", OrderId: "du_2", OccurredAt: &timestamppb.Timestamp{Seconds: 1}, RawBody: few,
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{DisputeId: "du_2", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_WON}},
	}
	bodies := [][]byte{readStripe(t, "charge.dispute.created"), readStripe(t, "refund.failed_expanded"), readStripe(t, "payment_intent.succeeded"),
		readStripe(t, "v1.billing.meter.error_report_triggered"), stripeWith(t, "charge.refunded", "data.object.amount_refunded", "-1"), []byte(`{"object":"event","id":"evt_3",`)}
	var tasks sync.WaitGroup
	for range 4 {
		tasks.Go(func() {
			for range 50 {
				for _, body := range bodies {
					_, _ = a.Decode(&Request{Body: body})
					w, err := a.Decode(&Request{Body: few})
					if err != nil || !proto.Equal(w.Updates[0], want) || w.Environment != "" {
						t.Errorf("Decode after %.40s = %v, %v, want %v", body, w, err, want)
						return
					}
				}
			}
		})
	}
	tasks.Wait()
}
