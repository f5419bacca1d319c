package provider

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	model "github.com/payrelay/payrelay/modules/payments/oracle"
)

// receive verifies and decodes a batch.
func receive(t testing.TB, items ...testItem) Webhook {
	t.Helper()
	adapter, r := newAdyenSource(t), newBatch(t, items...)
	if _, err := adapter.Verify(t.Context(), r); err != nil {
		t.Fatalf("Verify failed: %v", err)
	}
	w, err := adapter.Decode(r)
	if err != nil || len(w.Updates) != len(items) {
		t.Fatalf("Decode = %d updates, %v, want %d", len(w.Updates), err, len(items))
	}
	for i, u := range w.Updates {
		u.Provider = "adyen-eu"
		if err := payments.Validate(u); err != nil {
			t.Errorf("update %d is not valid: %v", i+1, err)
		}
	}
	return w
}

// receiveOne returns the update of one item.
func receiveOne(t testing.TB, members testItem) *payrelayv1.Update {
	t.Helper()
	return receive(t, newItem(t, members)).Updates[0]
}

func amountOf(units any, currency string) map[string]any {
	return map[string]any{"currency": currency, "value": units}
}

// The bodies in testdata are signed and in the table of events, which is complete.
func TestAdyenExamples(t *testing.T) {
	seen := make(map[string]bool)
	for _, e := range readExamples(t)[Adyen] {
		r := adyenRequest(string(e.body))
		if _, err := newAdyenSource(t).Verify(t.Context(), r); err != nil {
			t.Errorf("Verify(%s) failed: %v", e.file, err)
			continue
		}
		for _, entry := range r.parsed.(*adyenBatch).Items {
			seen[string(entry.item.EventCode)+" "+string(entry.item.Success)] = true
		}
	}
	for result := range adyenOrders {
		if name := fmt.Sprint(result.code, " ", result.success); !seen[name] {
			t.Errorf("testdata/webhooks/adyen has no example of %s", name)
		}
	}
	for code := range adyenDisputes {
		if !seen[code+" true"] {
			t.Errorf("testdata/webhooks/adyen has no example of %s", code)
		}
	}
}

// S65: a redelivery has another eventDate and another order of additionalData, and the
// same key and facts.
func TestAdyenRedelivery(t *testing.T) {
	first := receiveOne(t, testItem{"eventDate": "2021-01-01T01:00:00+01:00"})
	again := receiveOne(t, testItem{"eventDate": "2021-01-01T01:02:00+01:00", "additionalData": map[string]any{"bookingDate": "2021-01-01"}})
	if model.KeyOf(first) != model.KeyOf(again) || payments.FactsDigest(first) != payments.FactsDigest(again) {
		t.Errorf("keys %v and %v, facts %x and %x, want the same", model.KeyOf(first), model.KeyOf(again), payments.FactsDigest(first), payments.FactsDigest(again))
	}
	if first.GetOccurredAt().AsTime().Equal(again.GetOccurredAt().AsTime()) {
		t.Error("the times are equal, so that the test shows nothing")
	}
	if id := first.GetEventId(); id != "CAPTURE:QFQTPCQ8HXSKGK82:true" {
		t.Errorf("event id %s", id)
	}
	for _, other := range []testItem{
		{"success": "false"}, {"pspReference": "C2"}, {"eventCode": "REFUND"}, {"additionalData": map[string]any{"disputeStatus": "Won"}},
	} {
		if id := receiveOne(t, other).GetEventId(); id == first.GetEventId() {
			t.Errorf("the event id with %v is %s, want another one", other, id)
		}
	}
}

// S71: the minor units of Adyen's own table.
func TestAdyenMoney(t *testing.T) {
	for _, test := range []struct {
		value    any
		currency string
		units    int64
		digits   int
	}{
		{1000, "CLP", 1000, 2}, {1000, "CVE", 1000, 0}, {1000, "IDR", 1000, 0}, {279000, "ISK", 279000, 2}, {15, "MRO", 15, 1},
		{1000, "EUR", 1000, 2}, {1000, "JPY", 1000, 0}, {1000, "TND", 1000, 3}, {1000, "isk", 1000, 2}, {"1000", "EUR", 1000, 2},
		{int64(math.MaxInt64), "EUR", math.MaxInt64, 2}, {0, "EUR", 0, 2},
	} {
		captured := receiveOne(t, testItem{"amount": amountOf(test.value, test.currency)}).GetOrder().GetCaptured()
		digits, _ := (payments.Money{Currency: captured.GetCurrency()}).Digits()
		if captured.Exponent != nil {
			digits = int(captured.GetExponent())
		}
		if captured.GetMinorUnits() != test.units || digits != test.digits || captured.GetCurrency() != strings.ToUpper(test.currency) {
			t.Errorf("%v %s = %v with %d digits, want %d with %d", test.value, test.currency, captured, digits, test.units, test.digits)
		}
	}
	for _, amount := range []any{nil, map[string]any{}, map[string]any{"currency": "EUR"}, map[string]any{"value": 0}, []any{}} {
		if u := receiveOne(t, testItem{"amount": amount}); u.GetOrder() == nil || u.GetOrder().GetCaptured() != nil {
			t.Errorf("the update with the amount %v is %v, want an order without money", amount, u)
		}
	}
}

// An item that cannot be read is kept with its own bytes, and its neighbors are applied.
func TestAdyenUnreadableItems(t *testing.T) {
	for name, members := range map[string]testItem{
		"a fraction":           {"amount": amountOf(10.5, "EUR")},
		"an exponent":          {"amount": amountOf(json.Number("1e3"), "EUR")},
		"a negative amount":    {"amount": amountOf(-1, "EUR")},
		"a huge amount":        {"amount": amountOf(json.Number("9223372036854775808"), "EUR")},
		"no currency":          {"amount": amountOf(1000, "")},
		"a strange currency":   {"amount": amountOf(1000, "€")},
		"no time":              {"eventDate": nil},
		"a time without zone":  {"eventDate": "2021-01-01T01:00:00"},
		"a zero time":          {"eventDate": "0001-01-01T00:00:00Z"},
		"no event code":        {"eventCode": nil, "pspReference": "P"},
		"a long reference":     {"merchantReference": strings.Repeat("x", 300)},
		"a control character":  {"merchantReference": "a\u0000b"},
		"no reference at all":  {"merchantReference": nil, "pspReference": nil, "originalReference": nil},
		"a long pspReference":  {"pspReference": strings.Repeat("x", 300)},
		"an object for a text": {"pspReference": map[string]any{"a": 1}, "originalReference": "", "merchantReference": " "},
	} {
		bad := newItem(t, members)
		if name == "an object for a text" {
			bad["additionalData"].(map[string]any)["hmacSignature"] = signItem(t, adyenTestKey, testItem{
				"merchantAccountCode": "ShopExampleECOM", "merchantReference": " ", "amount": bad["amount"], "eventCode": "CAPTURE", "success": "true"})
		}
		w := receive(t, newItem(t, testItem{"pspReference": "C1"}), bad, newItem(t, testItem{"pspReference": "C3"}))
		if !payments.IsUnreadable(w.Updates[1]) {
			t.Errorf("the update with %s is %v, want one that is unreadable", name, w.Updates[1])
		}
		if w.Updates[0].GetOrder().GetPart() != "C1" || w.Updates[2].GetOrder().GetPart() != "C3" {
			t.Errorf("the neighbors of an item with %s are %v and %v", name, w.Updates[0], w.Updates[2])
		}
		if want := []string{"notificationItems[1]"}; !slices.Equal(w.Ignored, want) {
			t.Errorf("Ignored with %s = %q, want %q", name, w.Ignored, want)
		}
		var kept struct{ NotificationRequestItem testItem }
		if err := json.Unmarshal(w.Updates[1].GetRawBody(), &kept); err != nil || kept.NotificationRequestItem == nil {
			t.Errorf("RawBody with %s = %s, %v, want the element", name, w.Updates[1].GetRawBody(), err)
		}
	}
}

// The raw body of an update is the element of the list as it was sent.
func TestAdyenRawBodies(t *testing.T) {
	var elements []string
	for _, psp := range []string{"C1", "C2", "C3"} {
		item, err := json.MarshalIndent(map[string]any{"NotificationRequestItem": newItem(t, testItem{"pspReference": psp})}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		elements = append(elements, string(item))
	}
	body := "\ufeff { \"notificationItems\" : [\r\n" + elements[0] + " ,\n" + elements[1] + ",\t" + elements[2] + " ] , \"live\" : false } "
	r := adyenRequest(body)
	if _, err := newAdyenSource(t).Verify(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*Request{"after Verify": r, "without Verify": adyenRequest(body)} {
		w, err := newAdyenSource(t).Decode(r)
		if err != nil || w.Environment != Test || w.Event != "CAPTURE" {
			t.Fatalf("Decode %s = %+v, %v", name, w, err)
		}
		for i, u := range w.Updates {
			if string(u.GetRawBody()) != elements[i] {
				t.Errorf("RawBody %d %s = %q, want %q", i, name, u.GetRawBody(), elements[i])
			}
		}
	}
}

func TestAdyenEnvironment(t *testing.T) {
	for live, want := range map[string]Environment{
		`"true"`: Live, `"false"`: Test, `true`: Live, `false`: Test, `"True"`: Live, `null`: "", `"yes"`: "", `{}`: "",
	} {
		body := strings.Replace(string(newBatch(t, newItem(t, nil)).Body), `"live":"true"`, `"live":`+live, 1)
		if w, err := newAdyenSource(t).Decode(adyenRequest(body)); err != nil || w.Environment != want {
			t.Errorf("the environment of live %s = %q, %v, want %q", live, w.Environment, err, want)
		}
	}
}

// An event that is not in the tables, or whose success is neither true nor false, is a
// note, which changes no state.
func TestAdyenNotes(t *testing.T) {
	for _, test := range []struct {
		members    testItem
		kind, text string
	}{
		{testItem{"eventCode": "PAYOUT_THIRDPARTY", "reason": "a\nb"}, "PAYOUT_THIRDPARTY", "a b"},
		{testItem{"eventCode": "REFUND_WITH_DATA"}, "REFUND_WITH_DATA", ""},
		{testItem{"eventCode": "capture"}, "capture", ""},
		{testItem{"success": "maybe"}, "CAPTURE", "success is maybe: "},
		{testItem{"success": nil}, "CAPTURE", "success is : "},
		{testItem{"eventCode": "CHARGEBACK", "success": "false"}, "CHARGEBACK", "success is false: "},
		{testItem{"eventCode": "CAPTURE_FAILED", "success": "false"}, "CAPTURE_FAILED", "success is false: "},
		{testItem{"eventCode": "CANCEL_OR_REFUND", "additionalData": map[string]any{"modification.action": "other"}}, "CANCEL_OR_REFUND", ""},
		{testItem{"eventCode": "NOTIFICATION_OF_FRAUD", "reason": "x"}, "fraud_warning", "x"},
		{testItem{"eventCode": "ISSUER_COMMENTS", "reason": "x"}, "comment", "x"},
	} {
		u := receiveOne(t, test.members)
		if u.GetNote().GetKind() != test.kind || u.GetNote().GetText() != test.text || u.GetOrderId() != "order-1" {
			t.Errorf("the update of %v is %v, want a note %q with %q", test.members, u, test.kind, test.text)
		}
	}
	if u := receiveOne(t, testItem{"success": true}); u.GetOrder().GetStatus() != payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS {
		t.Errorf("the update of a Boolean success is %v, want a success", u)
	}
}

// A status that an event cannot have waits for an operator. Without originalReference, it
// is unknown which dispute of the payment some events are about.
func TestAdyenUnknownDisputes(t *testing.T) {
	for code, meaning := range adyenDisputes {
		u := receiveOne(t, about(code, 0, map[string]any{"disputeStatus": "Novel\u0001"}))
		if got := u.GetDispute().GetProviderStatus(); meaning.statuses != nil && got != code+":Novel " {
			t.Errorf("the provider's status of %s is %q", code, got)
		} else if meaning.statuses == nil && (got != "" || u.GetDispute().GetStatus() != meaning.status) {
			t.Errorf("the update of %s is %v, want the status of the event", code, u)
		}
		members := about(code, 0, nil)
		members["originalReference"] = nil
		u = receiveOne(t, members)
		want := ""
		if slices.Contains([]string{"CHARGEBACK_REVERSED", "SECOND_CHARGEBACK", "PREARBITRATION_WON", "PREARBITRATION_LOST"}, code) {
			want = code + " without originalReference"
		}
		if got := u.GetDispute().GetProviderStatus(); got != want || u.GetDispute().GetDisputeId() != "D1" {
			t.Errorf("the provider's status of %s without originalReference is %q, want %q", code, got, want)
		}
		if result := model.Fold([]*payrelayv1.Update{u}, nil); (len(result.Disputes) == 0) != (want != "") {
			t.Errorf("%s without originalReference results in the disputes %v", code, result.Disputes)
		}
	}
}

func TestAdyenDisputeFields(t *testing.T) {
	for _, test := range []struct {
		additional map[string]any
		reason     string
		due        string
		ignored    int
	}{
		{map[string]any{"chargebackReasonCode": " 4853", "chargebackSchemeCode": "mc", "defensePeriodEndsAt": "2020-12-18T10:15:30+01:00"}, "mc 4853", "2020-12-18T09:15:30Z", 0},
		{map[string]any{"chargebackReasonCode": 4853, "defensePeriodEndsAt": "2020-12-18T10:15:30.5-0330"}, "4853", "2020-12-18T13:45:30.5Z", 0},
		{map[string]any{"rfiReasonCode": "02", "rfiSchemeCode": "visa", "defensePeriodEndsAt": "0001-01-01T00:00:00Z"}, "visa 02", "", 0},
		{map[string]any{"chargebackReasonCode": " ", "chargebackSchemeCode": "mc", "defensePeriodEndsAt": ""}, "a text", "", 0},
		{map[string]any{"defensePeriodEndsAt": "soon"}, "a text", "", 1},
		{map[string]any{"defensePeriodEndsAt": "2020-12-18 10:15:30"}, "a text", "", 1},
		{map[string]any{"shopperReference": strings.Repeat("x", 300)}, "a text", "", 1},
	} {
		members := about("CHARGEBACK", 0, test.additional)
		members["reason"] = " a text "
		w := receive(t, newItem(t, members))
		d := w.Updates[0].GetDispute()
		due := ""
		if d.GetEvidenceDueAt() != nil {
			due = d.GetEvidenceDueAt().AsTime().Format(time.RFC3339Nano)
		}
		if d.GetReason() != test.reason || due != test.due || len(w.Ignored) != test.ignored {
			t.Errorf("%v: reason %q, due %q, ignored %q, want %q, %q, %d ignored", test.additional, d.GetReason(), due, w.Ignored, test.reason, test.due, test.ignored)
		}
	}
}

func TestAdyenOrderIDs(t *testing.T) {
	settings := adyenSettings
	settings.Provider, settings.Source, settings.OrderIDPrefix = Adyen, "adyen-eu", "eu-"
	adapter, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	for want, members := range map[string]testItem{
		"eu-order-1":       nil,
		"9913140798220028": {"merchantReference": nil},
		"QFQTPCQ8HXSKGK82": {"merchantReference": " ", "originalReference": ""},
	} {
		w, err := adapter.Decode(newBatch(t, newItem(t, members)))
		if err != nil || w.Updates[0].GetOrderId() != want {
			t.Errorf("the order id of %v = %v, %v, want %s", members, w.Updates, err, want)
		}
	}
}
