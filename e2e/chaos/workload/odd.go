package workload

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// oddity changes the form of a webhook, but not what it says.
type oddity func(*history.Webhook)

// oddities are forms that a parser can stumble over, in members that payrelay does
// not read or in values that it reads. Each must be accepted as the plain form is.
var oddities = []oddity{
	oddBody(withMember(`"x":"\u0000"`)),
	oddBody(withMember(`"x":"\ud800"`)),
	oddBody(withMember(`"x":{"a":1,"a":2,"A":3}`)),
	oddBody(withMember(`"x":1,"x":2,"X":3`)),
	oddBody(withMember(`"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100))),
	oddBody(withMember(`"x":` + strings.Repeat("9", 1000))),
	oddBody(withMember(`"x":"` + strings.Repeat("x", 10_000) + `"`)),
	oddBody(withMember(`"part ":null,"evidence":[]`)),
	oddBody(func(body string) string { return "\ufeff" + body }),
	oddBody(func(body string) string { return " \r\n\t" + body + "\n" }),
	oddBody(indented),
	oddBody(func(body string) string { return decimals.ReplaceAllString(body, `${1}00"`) }),
	oddBody(func(body string) string { return decimals.ReplaceAllString(body, `:${2}`) }),
	oddBody(lowerCase(`"currency":"[A-Z]+"`)),
	oddBody(lowerCase(`"updated_at":"[^"]+"`)),
	oddBody(lowerCase(`"occurred_at":"[^"]+"`)),
	oddContentType("application/json; charset=utf8"),
	oddContentType("application/json;charset=US-ASCII"),
	oddContentType("Application/JSON; charset=\"UTF-8\""),
}

func oddBody(change func(string) string) oddity {
	return func(w *history.Webhook) { w.Body = change(w.Body) }
}

func oddContentType(contentType string) oddity {
	return func(w *history.Webhook) { w.ContentType = contentType }
}

// decimals matches an amount in quotes, with the colon before it. The first group is
// all of it but the last quote, the second the number.
var decimals = regexp.MustCompile(`(:"(\d+\.\d\d))"`)

func indented(body string) string {
	var value map[string]any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		return body
	}
	text, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		return body
	}
	return string(text)
}

// lowerCase writes the value of a member in lower case.
func lowerCase(member string) func(string) string {
	find := regexp.MustCompile(member)
	return func(body string) string { return find.ReplaceAllStringFunc(body, strings.ToLower) }
}

// repeat returns the same webhook as it is sent again: in another form, by a counter
// of attempts, or with another time.
func repeat(r *rand.Rand, first *history.Webhook) *history.Webhook {
	w := *first
	w.ID, w.Repeats = w.ID+" again", true
	w.Body = withMember(`"attempt":2`)(w.Body)
	oddities[r.IntN(len(oddities))](&w)
	if later := rfc3339(w.Facts.At + time.Minute.Microseconds()); r.IntN(2) == 0 {
		at := regexp.MustCompile(`"(updated_at|occurred_at)":\s*"[^"]+"`)
		w.Body = at.ReplaceAllString(w.Body, `"$1":"`+later+`"`)
		w.Facts.At += time.Minute.Microseconds()
	}
	return &w
}

// contradict returns a webhook with the same key and one fact that differs.
func contradict(r *rand.Rand, first *history.Webhook) *history.Webhook {
	f := first.Facts
	changes := orderChanges
	if f.Dispute != "" {
		changes = disputeChanges
	}
	changes[r.IntN(len(changes))](&f, 1+r.Int64N(1000))
	var w *history.Webhook
	if f.Dispute != "" {
		w = DisputeWebhook(first.Event, f)
	} else {
		w = OrderWebhook(first.Event, f)
	}
	w.ID, w.Repeats = w.ID+" in conflict", true
	return w
}

// The changes of one fact that make a conflict. A webhook has one currency for all of
// its amounts.
var (
	orderChanges = []func(f *history.Facts, by int64){
		changeAmount,
		func(f *history.Facts, _ int64) { f.Part += "x" },
		func(f *history.Facts, by int64) { add(f, &f.Authorized, by) },
		func(f *history.Facts, by int64) { add(f, &f.Refunded, by) },
		func(f *history.Facts, _ int64) {
			f.Status = map[bool]string{false: "authorized", true: "updated"}[f.Status == "authorized"]
		},
	}
	disputeChanges = []func(f *history.Facts, by int64){
		changeAmount,
		func(f *history.Facts, by int64) { add(f, &f.OutcomeAmount, by) },
		func(f *history.Facts, _ int64) { f.Reason += " too" },
		func(f *history.Facts, by int64) { f.EvidenceDueAt = f.At + (20*24+by)*time.Hour.Microseconds() },
		func(f *history.Facts, _ int64) {
			f.Stage = map[bool]string{false: "arbitration", true: "inquiry"}[f.Stage == "arbitration"]
		},
		func(f *history.Facts, _ int64) {
			f.Status = map[bool]string{false: "submitted", true: "open"}[f.Status == "submitted"]
		},
	}
)

func changeAmount(f *history.Facts, by int64) { add(f, &f.Amount, by) }

// add adds to an amount of the facts, in the currency of the others.
func add(f *history.Facts, to *history.Money, by int64) {
	currency := "USD"
	for _, m := range []history.Money{f.Amount, f.Authorized, f.Captured, f.Refunded, f.OutcomeAmount} {
		if m.Known() {
			currency = m.Currency
		}
	}
	*to = history.Money{Minor: to.Minor + by, Currency: currency}
}
