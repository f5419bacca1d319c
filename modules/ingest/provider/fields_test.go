package provider

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// TestEmptyValuesAreAbsent sets every optional member to values that some languages
// and databases write if there is none. The update is the one without the member.
func TestEmptyValuesAreAbsent(t *testing.T) {
	empty := []string{`null`, `""`, `" "`, "\"\u00a0\"", `"\t\u00a0"`, `[]`, "[ \n]"}
	zeroTimes := append(slices.Clone(empty), `0`, `"0"`, `"0001-01-01"`, `"0001-01-01T00:00:00"`, `"0001-01-01T00:00:00Z"`, `"0000-00-00 00:00:00"`,
		`"1970-01-01T00:00:00Z"`, `"1970-01-01t01:00:00.000+01:00"`)
	zeroAmounts := append(slices.Clone(empty), `0`, `"0.00"`, `0.000`)
	for _, c := range []struct {
		path   string
		body   func(...string) string
		fields []string
		empty  []string
	}{
		{ordersPath, order, []string{"user_id", "part", "amount", "currency", "meta"}, empty},
		{ordersPath, order, []string{"created_at"}, zeroTimes},
		{ordersPath, order, []string{"meta.amount", "meta.currency", "meta.authorized", "meta.captured", "meta.refunded"}, empty},
		{disputesPath, dispute, []string{"user_id", "dispute_id", "reason", "stage", "currency", "outcome_amount", "meta"}, empty},
		{disputesPath, dispute, []string{"meta.resolution", "meta.stage", "meta.outcome_amount"}, empty},
		{disputesPath, dispute, []string{"evidence_due_at"}, zeroTimes},
		{disputesPath, dispute, []string{"amount"}, zeroAmounts},
	} {
		want := accepted(t, c.path, c.body())
		for _, field := range c.fields {
			for _, value := range c.empty {
				changes := []string{field, value}
				if object, inner, nested := strings.Cut(field, "."); nested {
					changes = []string{object, `{"` + inner + `":` + value + `}`}
				}
				body := c.body(changes...)
				u, ignored, err := decode(c.path, body)
				if err != nil || len(ignored) > 0 {
					t.Errorf("%s = %s: decode() ignores %q, %v, want nothing", field, value, ignored, err)
					continue
				}
				if u := bare(t, u, body); !proto.Equal(u, want) {
					t.Errorf("%s = %s: update = %v, want %v", field, value, u, want)
				}
			}
		}
	}
	// A currency next to an amount of 0 is part of it.
	if _, ignored, err := decode(disputesPath, dispute("amount", `0`, "currency", `"USD"`)); err != nil || ignored != nil {
		t.Errorf("amount 0 with a currency: decode() ignores %q, %v, want nothing", ignored, err)
	}
	created := accepted(t, ordersPath, order("updated_at", `"0001-01-01T00:00:00Z"`, "created_at", `"2026-01-04T09:00:00Z"`))
	if !proto.Equal(created.GetOccurredAt(), at(t, "2026-01-04T09:00:00Z")) {
		t.Errorf("time = %v, want created_at", created.GetOccurredAt())
	}
	refused(t, ordersPath, order("updated_at", `0`), "field_required")
	refused(t, disputesPath, dispute("occurred_at", `"0001-01-01T00:00:00Z"`), "field_required")
	refused(t, ordersPath, order("order_id", `[]`), "field_required")
}

// TestUnstorableText uses text that some database cannot hold. In a text that people
// read, the characters are replaced; an id is refused.
func TestUnstorableText(t *testing.T) {
	for text, want := range map[string]string{
		`"a\u0000b"`: "a b", `"a\ud800b"`: "a\ufffdb", `"\udc00\ud800 end"`: "\ufffd\ufffd end", "\"a\xffb\"": "a\ufffdb", `"a\r\nb"`: "a  b",
	} {
		if got := accepted(t, disputesPath, dispute("reason", text)).GetDispute().GetReason(); got != want {
			t.Errorf("reason of %s = %q, want %q", text, got, want)
		}
		if got := accepted(t, ordersPath, order("status", text)).GetOrder().GetProviderStatus(); got != want {
			t.Errorf("status of %s = %q, want %q", text, got, want)
		}
		if got := accepted(t, disputesPath, dispute("status", `"closed"`, "meta", `{"resolution":`+text+`}`)).GetDispute().GetProviderStatus(); got != "closed:"+want {
			t.Errorf("resolution of %s = %q, want %q", text, got, "closed:"+want)
		}
	}
	for text, code := range map[string]string{
		`"a\u0000b"`: "invalid_field", `"a\ud800b"`: "invalid_utf8", "\"a\xffb\"": "invalid_utf8", `"a\nb"`: "invalid_field",
	} {
		for _, field := range []string{"provider_event_id", "order_id", "user_id", "dispute_id"} {
			got := refused(t, disputesPath, dispute(field, text), code)
			if !strings.HasPrefix(got, field+" ") {
				t.Errorf("message about %s = %q, want it to begin with the field", field, got)
			}
		}
		_, ignored, err := decode(ordersPath, order("part", text))
		if err != nil || !slices.Equal(ignored, []string{"part"}) {
			t.Errorf("decode() with part %s ignores %q, %v, want the part", text, ignored, err)
		}
	}
}

func TestTimesOfRFC3339(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-04t10:00:00z":              "2026-01-04T10:00:00Z",
		"2026-01-04t10:00:00.25+01:00":      "2026-01-04T09:00:00.25Z",
		"2026-01-04T10:00:00+00:00":         "2026-01-04T10:00:00Z",
		"2016-12-31T23:59:60Z":              "2016-12-31T23:59:59.999999Z",
		"2016-12-31T23:59:60.5z":            "2016-12-31T23:59:59.999999Z",
		"2017-01-01T05:29:60+05:30":         "2016-12-31T23:59:59.999999Z",
		"2026-01-04T10:00:00.999999999999Z": "2026-01-04T10:00:00.999999Z",
	} {
		for path, body := range map[string]string{
			ordersPath:   order("updated_at", `"`+text+`"`, "created_at", `"`+text+`"`),
			disputesPath: dispute("occurred_at", `"`+text+`"`, "evidence_due_at", `"`+text+`"`),
		} {
			u := accepted(t, path, body)
			second := u.GetOrder().GetCreatedAt()
			if u.GetDispute() != nil {
				second = u.GetDispute().GetEvidenceDueAt()
			}
			if !proto.Equal(u.GetOccurredAt(), at(t, want)) || !proto.Equal(second, at(t, want)) {
				t.Errorf("times of %s = %s and %s, want %s", text, u.GetOccurredAt().AsTime(), second.AsTime(), want)
			}
		}
	}
	refused(t, ordersPath, order("updated_at", `"2026-01-04T10:00:60Z"`), "invalid_time") // not the end of a month
}

// TestTheValueOfAnAmountCounts checks that the form of an amount does not matter.
func TestTheValueOfAnAmountCounts(t *testing.T) {
	for _, c := range []struct {
		amount, currency string
		want             *payrelayv1.Money
	}{
		{`"500.00"`, "JPY", &payrelayv1.Money{MinorUnits: 500, Currency: "JPY"}},
		{`500`, "jpy", &payrelayv1.Money{MinorUnits: 500, Currency: "JPY"}},
		{`100.5000`, "USD", &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}},
		{`"100.50"`, " usd ", &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}},
		{`1.5`, "JPY", &payrelayv1.Money{MinorUnits: 15, Currency: "JPY", Exponent: proto.Int32(1)}},
		{`100.505`, "USD", &payrelayv1.Money{MinorUnits: 100505, Currency: "USD", Exponent: proto.Int32(3)}},
		{`"1.2345"`, "KWD", &payrelayv1.Money{MinorUnits: 12345, Currency: "KWD", Exponent: proto.Int32(4)}},
		{`10`, "BGN", &payrelayv1.Money{MinorUnits: 1000, Currency: "BGN"}}, // historic
		{`1000`, "ITL", &payrelayv1.Money{MinorUnits: 1000, Currency: "ITL"}},
		{`12.50`, "USDT", &payrelayv1.Money{MinorUnits: 125, Currency: "USDT", Exponent: proto.Int32(1)}}, // not known
		{`7`, "XXX", &payrelayv1.Money{MinorUnits: 7, Currency: "XXX", Exponent: proto.Int32(0)}},
		{`9223372036854775807`, "JPY", &payrelayv1.Money{MinorUnits: 1<<63 - 1, Currency: "JPY"}},
		{`1.` + strings.Repeat("0", 10000), "USD", &payrelayv1.Money{MinorUnits: 100, Currency: "USD"}},
	} {
		pair := `"amount":` + c.amount + `,"currency":"` + c.currency + `"`
		for name, got := range map[string]*payrelayv1.Money{
			"in meta":          accepted(t, ordersPath, order("meta", "{"+pair+"}")).GetOrder().GetAmount(),
			"at the top level": accepted(t, ordersPath, order("amount", c.amount, "currency", `"`+c.currency+`"`)).GetOrder().GetAmount(),
			"of a dispute":     accepted(t, disputesPath, dispute("amount", c.amount, "currency", `"`+c.currency+`"`)).GetDispute().GetAmount(),
		} {
			if !proto.Equal(got, c.want) {
				t.Errorf("%.40s %s %s = %v, want %v", c.amount, c.currency, name, got, c.want)
			}
		}
	}
	refused(t, ordersPath, order("meta", `{"amount":`+strings.Repeat("1", 10000)+`,"currency":"USD"}`), "invalid_amount")
	refused(t, ordersPath, order("meta", `{"amount":1.`+strings.Repeat("1", 10000)+`,"currency":"USD"}`), "invalid_amount")
}

// TestEveryStatusHasAWord finds a status or stage of the contract that no generic
// webhook can state, and a word that docs/webhooks.md does not name.
func TestEveryStatusHasAWord(t *testing.T) {
	said := make(map[string]bool)
	for word, status := range genericOrderStatus {
		said["order "+payments.OrderStatuses.Name(status)] = true
		wantDocumented(t, word)
	}
	for word, status := range genericDisputeStatus {
		said["dispute "+payments.DisputeStatuses.Name(status)] = true
		wantDocumented(t, word)
	}
	for word, status := range genericResolution {
		said["dispute "+payments.DisputeStatuses.Name(status)] = true
		if word != "" {
			wantDocumented(t, word)
		}
	}
	for _, name := range payments.OrderStatuses.All() {
		if !said["order "+name] {
			t.Errorf("no word stands for the status %s of an order", name)
		}
	}
	for _, name := range payments.DisputeStatuses.All() {
		if !said["dispute "+name] {
			t.Errorf("no word stands for the status %s of a dispute", name)
		}
	}
	for _, name := range payments.DisputeStages.All() {
		wantDocumented(t, name)
		for _, body := range []string{dispute("stage", `"`+name+`"`), dispute("meta", `{"stage":"`+name+`"}`)} {
			if got := accepted(t, disputesPath, body).GetDispute().GetStage(); payments.DisputeStages.Name(got) != name {
				t.Errorf("stage of %s = %s, want %s", body, got, name)
			}
		}
	}
}
