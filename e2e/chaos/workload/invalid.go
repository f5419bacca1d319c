package workload

import (
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// mutation makes a valid webhook invalid.
type mutation func(*history.Webhook)

// mutations are mistakes of providers and attacks of others. Each must be refused
// for good and leave nothing behind.
var mutations = []mutation{
	badBody(func(string) string { return "" }),
	badBody(func(string) string { return " \n " }),
	badBody(func(body string) string { return body[:len(body)-1] }),
	badBody(func(body string) string { return body + body }),
	badBody(func(string) string { return "null" }),
	badBody(func(body string) string { return "[" + body + "]" }),
	badBody(withMember(`"order_id":"another"`)),
	badBody(withMember(`"ORDER_ID":"another"`)),
	badBody(withMember(`"x":` + strings.Repeat("[", 129) + strings.Repeat("]", 129))),
	badBody(withMember("\"x\":\"a\x01b\"")),
	badBody(replace(`"order_id":"`, `"order_id":"\ud800`)),
	badBody(replace(`"order_id":"`, `"order_id":"\u0000`)),
	badBody(withMember(`"x":01`)),
	badBody(withMember(`"x":NaN`)),
	badBody(replace(`"user_id":"`, `"user_id":"`+strings.Repeat("u", 256))),
	badBody(replace(`"user_id":"`, `"user_id":"\u0007`)),
	badBody(replace(`"status":"`, `"status":{},"y":"`)),
	badBody(replace(`_at":"`, `_at":"yesterday `)),
	badAmount(`"-1.00"`),
	badAmount(`"1e3"`),
	badAmount(`"1,000.00"`),
	func(w *history.Webhook) { w.Refusal, w.Path = http.StatusNotFound, w.Path+"/" },
	func(w *history.Webhook) { w.Refusal, w.Path = http.StatusNotFound, "/internal/updates/orders" },
	badContentType("application/xml"),
	badContentType("application/json; charset=utf-16"),
}

func badBody(change func(string) string) mutation {
	return func(w *history.Webhook) { w.Refusal, w.Body = http.StatusBadRequest, change(w.Body) }
}

// badAmount states an amount of the webhook in another way.
func badAmount(amount string) mutation {
	return badBody(func(body string) string {
		body = regexp.MustCompile(`"(amount|currency)":"[^"]*",?`).ReplaceAllString(body, "")
		body = strings.ReplaceAll(strings.ReplaceAll(body, `,}`, `}`), `"meta":{`, `"unread":{`)
		return withMember(`"amount":` + amount + `,"currency":"USD","meta":{"amount":` + amount + `,"currency":"USD"}`)(body)
	})
}

func badContentType(contentType string) mutation {
	return func(w *history.Webhook) { w.Refusal, w.ContentType = http.StatusUnsupportedMediaType, contentType }
}

// withMember adds a member to the object.
func withMember(text string) func(string) string {
	return func(body string) string { return strings.TrimSuffix(body, "}") + "," + text + "}" }
}

// replace replaces the first occurrence of a text.
func replace(old, by string) func(string) string {
	return func(body string) string { return strings.Replace(body, old, by, 1) }
}

// invalidate returns an invalid variant of a webhook, with its own event id, which
// must not be in the database later.
func invalidate(r *rand.Rand, valid *history.Webhook) *history.Webhook {
	w := *valid
	w.ID, w.Event = w.ID+" mutated", w.Event+"-bad"
	w.Body = strings.Replace(w.Body, `"`+valid.Event+`"`, `"`+w.Event+`"`, 1)
	mutations[r.IntN(len(mutations))](&w)
	return &w
}
