package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// livesOf returns lives of a provider, of each scenario in turn.
func livesOf(t *testing.T, name string, orders int) []*life {
	t.Helper()
	scenarios, err := readScenarios(providers[name].scenarios)
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Provider: name, Source: name, Environment: "live", Seed: 7, Orders: orders, MetadataKey: "order_id"}
	return newLives(c, scenarios, time.Now())
}

func TestEveryProviderIsListed(t *testing.T) {
	for _, name := range Providers {
		if _, ok := providers[name]; !ok {
			t.Errorf("%s has no entry in providers", name)
		}
	}
	if len(Providers) != len(providers) {
		t.Errorf("%d names for %d providers", len(Providers), len(providers))
	}
}

// Every provider has the scenarios that exist with all of them.
func TestScenariosOfEveryProvider(t *testing.T) {
	for _, name := range Providers {
		all, err := readScenarios(providers[name].scenarios)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, s := range all {
			if seen[s.name] || s.summary == "" {
				t.Errorf("%s: scenario %s is there twice or has no summary", name, s.name)
			}
			seen[s.name] = true
			for _, step := range s.steps {
				if step.after >= (daysBack-1)*24*time.Hour {
					t.Errorf("%s: %s ends in the future", name, s.name)
				}
			}
		}
		for _, needed := range []string{"paid", "second-card", "partial-refund", "canceled", "chargeback-won", "chargeback-lost", "chargeback-open", "appeal-won"} {
			if !seen[needed] {
				t.Errorf("%s has no scenario %s", name, needed)
			}
		}
	}
}

// fieldsOf has the fields that may be expected of an item.
var fieldsOf = map[string][]string{
	"order":   {"status", "view", "amount", "authorized", "captured", "refunded"},
	"dispute": {"status", "stage", "amount", "outcome_amount", "due", "reopened", "reason"},
}

// A misspelt field in the tables would make a check weaker.
func TestExpectationsAreKnownFields(t *testing.T) {
	for _, name := range Providers {
		all, _ := readScenarios(providers[name].scenarios)
		for _, s := range all {
			for kind, want := range map[string]map[string]string{"order": s.order, "dispute": s.dispute} {
				for field, value := range want {
					if !slices.Contains(fieldsOf[kind], field) || value == "" {
						t.Errorf("%s: %s: %s=%s is not a field of the %s", name, s.name, field, value, kind)
					}
				}
			}
		}
	}
}

func TestScenarioErrors(t *testing.T) {
	for _, text := range []string{
		"name summary\n= order success",         // no events
		"name summary\n0 created",               // no state
		"name summary\nsoon created\n= order x", // no time
		"name summary\n0 created\n= basket x",
		"name summary\n0 created\n= order",
		"name summary\n0\n= order x",
	} {
		if all, err := parseScenarios(text); err == nil {
			t.Errorf("parseScenarios(%q) = %v, want an error", text, all)
		}
	}
	all, err := parseScenarios("a x\n0 e\n= order x\n\nb y\n0 e\n= order x")
	if err != nil {
		t.Fatal(err)
	}
	if selected, err := selectScenarios(all, []string{"b"}); err != nil || len(selected) != 1 || selected[0].name != "b" {
		t.Errorf("selectScenarios(b) = %v, %v", selected, err)
	}
	if _, err := selectScenarios(all, []string{"b", "c"}); err == nil || !strings.Contains(err.Error(), "a, b") {
		t.Errorf("selectScenarios(c) = %v, want an error that lists the names", err)
	}
}

// members has what the body of each event must have, as paths.
var members = map[string]map[string][]string{
	"stripe": {
		"":  {"id", "object", "created", "livemode", "type"},
		"c": {"api_version", "data.object.id", "data.object.object", "pending_webhooks", "request"},
		"p": {"api_version", "data.object.id", "data.object.object", "pending_webhooks", "request"},
		"payment_intent.": {"data.object.amount", "data.object.amount_received", "data.object.currency", "data.object.metadata.order_id",
			"data.object.status", "data.object.latest_charge", "data.object.client_secret"},
		"charge.refunded": {"data.object.amount_refunded", "data.object.amount_captured", "data.object.payment_intent", "data.previous_attributes.amount_refunded"},
		"charge.dispute.": {"data.object.amount", "data.object.charge", "data.object.evidence_details.due_by", "data.object.payment_intent",
			"data.object.reason", "data.object.status", "data.object.payment_method_details.card.network_reason_code"},
		"refund.": {"data.object.charge", "data.object.amount", "data.object.status"},
	},
	"adyen": {
		"":           {"additionalData", "amount.currency", "amount.value", "eventCode", "eventDate", "merchantAccountCode", "merchantReference", "pspReference", "success"},
		"CAPTURE":    {"originalReference"},
		"REFUND":     {"originalReference"},
		"CHARGEBACK": {"originalReference", "additionalData.disputeStatus", "additionalData.chargebackReasonCode"},
	},
	"paypal": {
		"":                          {"id", "event_type", "create_time", "resource_type", "resource", "event_version", "links"},
		"PAYMENT.CAPTURE.COMPLETED": {"resource.id", "resource.amount.value", "resource.custom_id", "resource.supplementary_data.related_ids.order_id", "resource.status"},
		"PAYMENT.CAPTURE.REFUNDED":  {"resource.id", "resource.amount.value", "resource.seller_payable_breakdown.total_refunded_amount", "resource.links"},
		"CUSTOMER.DISPUTE.":         {"resource.dispute_id", "resource.disputed_transactions", "resource.dispute_amount.value", "resource.dispute_life_cycle_stage", "resource.status"},
	},
	"solidgate": {
		"card_gate.order.updated":       {"order.order_id", "order.amount", "order.currency", "order.status", "order.refunded_amount", "transaction.id", "transactions"},
		"card_gate.chargeback.received": {"order.order_id", "chargeback.id", "chargeback.type", "chargeback.status", "chargeback.amount", "chargeback_flow"},
	},
	"standard-webhooks": {"": {"type", "timestamp", "data.order_id", "data.status"}},
	"generic":           {"": {"provider_event_id", "order_id", "status"}, "order.": {"updated_at"}, "dispute.": {"dispute_id", "occurred_at"}},
}

func TestBodiesHaveTheMembersOfTheProvider(t *testing.T) {
	for _, name := range Providers {
		all, _ := readScenarios(providers[name].scenarios)
		for _, l := range livesOf(t, name, len(all)) {
			for i, s := range l.scenario.steps {
				e := providers[name].event(l, i, false)
				body := make(object)
				if err := json.Unmarshal(compact(e.body), &body); err != nil {
					t.Fatal(err)
				}
				for prefix, paths := range members[name] {
					for _, path := range paths {
						if strings.HasPrefix(s.event, prefix) && !has(body, path) {
							t.Errorf("%s: %s, step %d: the body of %s lacks %s", name, l.scenario.name, i, s.event, path)
						}
					}
				}
				if e.id == "" || e.kind != s.event {
					t.Errorf("%s: the event %+v lacks its id or type", name, e)
				}
			}
		}
	}
}

func has(body object, path string) bool {
	name, rest, deeper := strings.Cut(path, ".")
	value, ok := body[name]
	if !deeper || !ok {
		return ok
	}
	inner, ok := value.(object)
	return ok && has(inner, rest)
}

// A Stripe event has the usual size, and times are in the form of each provider.
func TestShapes(t *testing.T) {
	stripe := providers["stripe"].event(livesOf(t, "stripe", 1)[0], 0, false)
	if size := len(indented(stripe.body)); size < 1500 || size > 8000 {
		t.Errorf("an event of Stripe has %d bytes, want about 2 KB", size)
	}
	if created, ok := stripe.body["created"].(int64); !ok || created < 1_600_000_000 || created > time.Now().Unix() {
		t.Errorf("created = %v, want a time in seconds", stripe.body["created"])
	}
	adyen := providers["adyen"].event(livesOf(t, "adyen", 1)[0], 0, false)
	if at, err := time.Parse("2006-01-02T15:04:05-07:00", adyen.body["eventDate"].(string)); err != nil || !at.Equal(adyen.at) {
		t.Errorf("eventDate = %v, want %s with an offset", adyen.body["eventDate"], adyen.at)
	}
	paypal := providers["paypal"].event(livesOf(t, "paypal", 1)[0], 0, false)
	if at, err := time.Parse(paypalTimeMilli, paypal.body["create_time"].(string)); err != nil || !at.Equal(paypal.at) {
		t.Errorf("create_time = %v, want %s with milliseconds", paypal.body["create_time"], paypal.at)
	}
}

// Only these differ between two deliveries of one event.
func TestRepeatedDeliveries(t *testing.T) {
	for name, p := range providers {
		all, _ := readScenarios(p.scenarios)
		for _, l := range livesOf(t, name, len(all)) {
			for i := range l.scenario.steps {
				first, again := p.event(l, i, false), p.event(l, i, true)
				for _, e := range []event{first, again} {
					delete(e.body, "pending_webhooks")
					delete(e.body, "eventDate")
					if additional, ok := e.body["additionalData"].(object); ok {
						delete(additional, "bookingDate")
					}
				}
				if first.id != again.id || string(compact(first.body)) != string(compact(again.body)) {
					t.Errorf("%s: %s: the event %d differs when it is sent again", name, l.scenario.name, i)
				}
			}
		}
	}
	stripe := livesOf(t, "stripe", 1)[0]
	if first, again := stripeEvent(stripe, 0, false), stripeEvent(stripe, 0, true); first.body["pending_webhooks"] == again.body["pending_webhooks"] {
		t.Error("a repeated event of Stripe has the same pending_webhooks")
	}
	adyen := livesOf(t, "adyen", 1)[0]
	if first, again := adyenEvent(adyen, 0, false), adyenEvent(adyen, 0, true); first.body["eventDate"] == again.body["eventDate"] {
		t.Error("a repeated item of Adyen has the same eventDate")
	}
}

// A seed results in the same lives, and another one in others.
func TestSeed(t *testing.T) {
	scenarios, _ := readScenarios("stripe")
	bodies := func(seed uint64, source string) string {
		c := &Config{Provider: "stripe", Source: source, Seed: seed, Orders: 3, MetadataKey: "order_id"}
		var all []string
		for _, l := range newLives(c, scenarios, time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)) {
			all = append(all, string(compact(stripeEvent(l, 0, false).body)))
		}
		return fmt.Sprint(all)
	}
	first := bodies(1, "a")
	if bodies(1, "a") != first {
		t.Error("a seed results in different webhooks")
	}
	if first == bodies(2, "a") || first == bodies(1, "b") {
		t.Error("another seed or source results in the same webhooks")
	}
}

// Amounts are multiplied in the webhooks and in what is expected of them.
func TestAmounts(t *testing.T) {
	l := &life{factor: 7}
	s := step{fields: map[string]string{"units": "5000", "decimal": "12.50", "yen": "300"}}
	if got := l.units(s, "units"); got != 35000 {
		t.Errorf("units(5000) = %d, want 35000", got)
	}
	for field, want := range map[string]string{"decimal": "87.50", "yen": "2100", "absent": ""} {
		if got := l.decimal(s, field); got != want {
			t.Errorf("decimal(%s) = %q, want %q", s.fields[field], got, want)
		}
	}
	for text, want := range map[string]string{"12.50USD": "87.5 USD", "300JPY": "2100 JPY", "0.00EUR": "0 EUR", "-": "-", "0": "0"} {
		if got := moneyText(l, text); got != want {
			t.Errorf("moneyText(%s) = %q, want %q", text, got, want)
		}
	}
}
