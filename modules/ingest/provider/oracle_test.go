package provider

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// reading is what encoding/json reads of a body, slowly and simply, to compare it with a
// decoder.
type reading struct {
	t       *testing.T
	members map[string]json.RawMessage // by path
	// ambiguous means that a member that is read is there twice, regardless of letter
	// case.
	ambiguous bool
}

// readSlowly reads a body that is valid JSON, and an object.
func readSlowly(t *testing.T, body []byte, f *jsonbody.Form) *reading {
	o := &reading{t: t, members: make(map[string]json.RawMessage)}
	o.read(body, "", f)
	return o
}

func (o *reading) read(object []byte, prefix string, f *jsonbody.Form) {
	tokens := json.NewDecoder(bytes.NewReader(object))
	if _, err := tokens.Token(); err != nil {
		o.t.Fatalf("%q: %v", object, err)
	}
	paths := f.Paths()
	var others []string
	for tokens.More() {
		name, err := tokens.Token()
		if err != nil {
			o.t.Fatalf("%q: %v", object, err)
		}
		var value json.RawMessage
		if err := tokens.Decode(&value); err != nil {
			o.t.Fatalf("%q: %v", object, err)
		}
		path := prefix + name.(string)
		if strings.Contains(name.(string), ".") {
			continue
		}
		if !slices.Contains(paths, path) {
			others = append(others, path)
			continue
		}
		if _, twice := o.members[path]; twice {
			o.ambiguous = true
		}
		o.members[path] = value
		if slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, path+".") }) && value[0] == '{' {
			o.read(value, path+".", f)
		}
	}
	for _, other := range others {
		for path := range o.members {
			if strings.HasPrefix(path, prefix) && !strings.Contains(path[len(prefix):], ".") && strings.EqualFold(path, other) {
				o.ambiguous = true
			}
		}
	}
}

// text returns a string or the text of a number, or nothing if it is blank.
func (o *reading) text(path string) string {
	value := o.members[path]
	var text string
	if json.Unmarshal(value, &text) != nil {
		var number json.Number
		if json.Unmarshal(value, &number) != nil {
			return ""
		}
		return number.String()
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}

// check compares an update with what is read here.
func (o *reading) check(u *payrelayv1.Update, ignored []string) {
	o.t.Helper()
	same := func(path, got string) {
		o.t.Helper()
		if want := o.text(path); got != want {
			o.t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	same("provider_event_id", u.GetEventId())
	same("order_id", u.GetOrderId())
	same("user_id", u.GetUserId())
	if order := u.GetOrder(); order != nil {
		o.sameTime(cmp.Or(o.date("updated_at"), o.date("created_at")), u.GetOccurredAt())
		o.sameTime(o.date("created_at"), order.GetCreatedAt())
		if status := genericOrderStatus[o.text("status")]; order.GetStatus() != status || status == 0 && order.GetProviderStatus() != payments.PlainText(o.text("status")) {
			o.t.Errorf("status of %q = %v", o.text("status"), order)
		}
		if !slices.Contains(ignored, "part") {
			same("part", order.GetPart())
		}
		inner, outer := o.text("meta.currency"), o.text("currency")
		if bytes.IndexByte(o.members["currency"], '"') < 0 {
			outer = "" // a number is not a currency
		}
		first, second := cmp.Or(inner, outer), cmp.Or(outer, inner)
		o.sameMoney("meta.authorized", first, order.GetAuthorized(), ignored)
		o.sameMoney("meta.captured", first, order.GetCaptured(), ignored)
		o.sameMoney("meta.refunded", first, order.GetRefunded(), ignored)
		if o.text("meta.amount") != "" && first != "" {
			o.sameMoney("meta.amount", first, order.GetAmount(), ignored)
		} else {
			o.sameMoney("amount", second, order.GetAmount(), ignored)
		}
		return
	}
	dispute := u.GetDispute()
	o.sameTime(o.date("occurred_at"), u.GetOccurredAt())
	o.sameTime(o.date("evidence_due_at"), dispute.GetEvidenceDueAt())
	same("dispute_id", dispute.GetDisputeId())
	if want := payments.PlainText(o.text("reason")); dispute.GetReason() != want {
		o.t.Errorf("reason = %q, want %q", dispute.GetReason(), want)
	}
	status, words := genericDisputeState(o.text("status"), o.text("meta.resolution"))
	if dispute.GetStatus() != status || dispute.GetProviderStatus() != payments.PlainText(words) {
		o.t.Errorf("status = %v, want %v %q", dispute, status, words)
	}
	amount := dispute.GetAmount()
	if number, ok := new(big.Rat).SetString(o.text("amount")); ok && number.Sign() == 0 {
		if amount != nil {
			o.t.Errorf("amount = %v, want none", amount)
		}
	} else {
		o.sameMoney("amount", o.text("currency"), amount, ignored)
	}
	if o.members["meta.outcome_amount"] == nil {
		o.sameMoney("outcome_amount", o.text("currency"), dispute.GetOutcomeAmount(), ignored)
	}
}

// date returns a time, or the zero time if there is none or it has a form that only
// payments.ParseTime reads.
func (o *reading) date(path string) time.Time {
	t, err := time.Parse(time.RFC3339, o.text(path))
	if err != nil || t.Unix() == 0 && t.Nanosecond() == 0 || t.Year() == 1 {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

func (o *reading) sameTime(want time.Time, got *timestamppb.Timestamp) {
	o.t.Helper()
	if !want.IsZero() && !want.Equal(got.AsTime()) {
		o.t.Errorf("time = %s, want %s", got.AsTime(), want)
	}
}

// sameMoney compares an amount by its value.
func (o *reading) sameMoney(path, currency string, got *payrelayv1.Money, ignored []string) {
	o.t.Helper()
	text := o.text(path)
	if got == nil {
		if text != "" && !slices.Contains(ignored, path) {
			o.t.Errorf("%s = %q has no effect, and is not ignored", path, text)
		}
		return
	}
	want, ok := new(big.Rat).SetString(text)
	digits := 2
	if got.Exponent != nil {
		digits = int(got.GetExponent())
	} else if known, err := payments.ParseMoney("1", got.GetCurrency()); err == nil {
		digits = len(big.NewInt(known.GetMinorUnits()).String()) - 1
	}
	value := new(big.Rat).SetFrac(big.NewInt(got.GetMinorUnits()), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
	if !ok || want.Cmp(value) != 0 || got.GetCurrency() != strings.ToUpper(strings.TrimSpace(currency)) {
		o.t.Errorf("%s = %v, want %q %q", path, got, text, currency)
	}
}
