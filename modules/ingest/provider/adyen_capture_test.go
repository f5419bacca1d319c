package provider

import (
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
	model "github.com/payrelay/payrelay/modules/payments/oracle"
)

// TestAdyenAutomaticCapture folds the events of an account that captures authorized
// payments by itself, in every order of arrival.
func TestAdyenAutomaticCapture(t *testing.T) {
	paid := testItem{"eventCode": "AUTHORISATION", "pspReference": "P1", "originalReference": nil, "eventDate": day(0)}
	of := func(code, reference string, days float64) testItem {
		return testItem{"eventCode": code, "pspReference": reference, "originalReference": "P1", "eventDate": day(days)}
	}
	settings := adyenSettings
	settings.Provider, settings.Source, settings.AutomaticCapture = Adyen, "adyen-eu", true
	adapter, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []adyenScenario{
		{name: "paid", items: []testItem{paid}, want: outcome{order: &model.Order{Status: "success", Authorized: euros(1000), Captured: euros(1000)}}},
		{name: "paid, with an event of the capture", items: []testItem{paid, of("CAPTURE", "C1", 1)},
			want: outcome{order: &model.Order{Status: "success", Authorized: euros(1000), Captured: euros(1000)}}},
		{name: "the capture fails", items: []testItem{paid, of("CAPTURE_FAILED", "C1", 2)},
			want: outcome{order: &model.Order{Status: "reversed", Authorized: euros(1000), Captured: euros(0)}}},
		{name: "void before the capture", items: []testItem{paid, of("CANCELLATION", "V1", 0.1)},
			want: outcome{order: &model.Order{Status: "reversed", Authorized: euros(1000), Captured: euros(0)}}},
		{name: "a refund", items: []testItem{paid, of("REFUND", "R1", 1)},
			want: outcome{order: &model.Order{Status: "success", Authorized: euros(1000), Captured: euros(1000), Refunded: euros(1000)}}},
	} {
		t.Run(s.name, func(t *testing.T) {
			for arrival := range permutationsOf(s.items) {
				var items []testItem
				for _, members := range arrival {
					items = append(items, newItem(t, members))
				}
				r := newBatch(t, items...)
				if _, err := adapter.Verify(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				w, err := adapter.Decode(r)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range w.Updates {
					u.Provider, u.SchemaVersion = "adyen-eu", payments.SchemaVersion
				}
				s.want.check(t, s.name, payments.DisputeKey{Source: "adyen-eu", ID: "D1"}, model.Fold(w.Updates, nil))
			}
		})
	}
}
