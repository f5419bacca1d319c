package workload

import (
	"math/rand/v2"
	"net/http"
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
	badBody(withMember(`"x":{"a":1,"a":2}`)),
	badBody(withMember(`"x":` + strings.Repeat("[", 33) + strings.Repeat("]", 33))),
	badBody(withMember("\"x\":\"\xff\"")),
	badBody(withMember(`"x":"\ud800"`)),
	badBody(withMember(`"x":"\u0000"`)),
	badBody(withMember(`"x":01`)),
	badBody(withMember(`"x":NaN`)),
	badBody(replace(`"user_id":"`, `"user_id":"`+strings.Repeat("u", 256))),
	badBody(replace(`"user_id":"`, `"user_id":"\u0007`)),
	badBody(replace(`"status":"`, `"status":{},"y":"`)),
	badBody(replace(`"amount":"`, `"amount":"-`)),
	badBody(replace(`"amount":"`, `"amount":"1e`)),
	badBody(replace(`"currency":"`, `"currency":"x`)),
	func(w *history.Webhook) { w.Refusal, w.Path = http.StatusNotFound, w.Path+"/" },
	func(w *history.Webhook) { w.Refusal, w.Path = http.StatusNotFound, "/internal/updates/orders" },
	badContentType("application/xml"),
	badContentType("application/json; charset=utf-16"),
}

func badBody(change func(string) string) mutation {
	return func(w *history.Webhook) { w.Refusal, w.Body = http.StatusBadRequest, change(w.Body) }
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
	w.Event += "-bad"
	w.Body = strings.Replace(w.Body, `"`+valid.Event+`"`, `"`+w.Event+`"`, 1)
	mutations[r.IntN(len(mutations))](&w)
	return &w
}
