package chaos

import (
	"math/rand/v2"
	"net/http"
	"strings"
)

// spoiling makes a good webhook bad in one way.
type spoiling func(*Webhook)

// spoilings are ways in which providers and strangers go wrong. Each is refused
// for good, and leaves nothing behind.
var spoilings = []spoiling{
	status(http.StatusBadRequest, func(body string) string { return "" }),
	status(http.StatusBadRequest, func(body string) string { return " \n " }),
	status(http.StatusBadRequest, func(body string) string { return body[:len(body)-1] }),
	status(http.StatusBadRequest, func(body string) string { return body + body }),
	status(http.StatusBadRequest, func(string) string { return "null" }),
	status(http.StatusBadRequest, func(body string) string { return "[" + body + "]" }),
	status(http.StatusBadRequest, withMember(`"order_id":"another"`)),
	status(http.StatusBadRequest, withMember(`"x":{"a":1,"a":2}`)),
	status(http.StatusBadRequest, withMember(`"x":`+strings.Repeat("[", 33)+strings.Repeat("]", 33))),
	status(http.StatusBadRequest, withMember("\"x\":\"\xff\"")),
	status(http.StatusBadRequest, withMember(`"x":"\ud800"`)),
	status(http.StatusBadRequest, withMember(`"x":"\u0000"`)),
	status(http.StatusBadRequest, withMember(`"x":01`)),
	status(http.StatusBadRequest, withMember(`"x":NaN`)),
	status(http.StatusBadRequest, replace(`"user_id":"`, `"user_id":"`+strings.Repeat("u", 256))),
	status(http.StatusBadRequest, replace(`"user_id":"`, `"user_id":"\u0007`)),
	status(http.StatusBadRequest, replace(`"status":"`, `"status":{},"y":"`)),
	status(http.StatusBadRequest, replace(`"amount":"`, `"amount":"-`)),
	status(http.StatusBadRequest, replace(`"amount":"`, `"amount":"1e`)),
	status(http.StatusBadRequest, replace(`"currency":"`, `"currency":"x`)),
	status(http.StatusNotFound, nil, func(w *Webhook) { w.Path += "/" }),
	status(http.StatusNotFound, nil, func(w *Webhook) { w.Path = "/internal/updates/orders" }),
	status(http.StatusUnsupportedMediaType, nil, func(w *Webhook) { w.ContentType = "application/xml" }),
	status(http.StatusUnsupportedMediaType, nil, func(w *Webhook) { w.ContentType = "application/json; charset=utf-16" }),
}

// status is a spoiling that has to be refused so: of the body, and otherwise.
func status(code int, body func(string) string, otherwise ...spoiling) spoiling {
	return func(w *Webhook) {
		w.Refused = code
		if body != nil {
			w.Body = body(w.Body)
		}
		for _, spoil := range otherwise {
			spoil(w)
		}
	}
}

// withMember adds a member to the object.
func withMember(text string) func(string) string {
	return func(body string) string { return strings.TrimSuffix(body, "}") + "," + text + "}" }
}

// replace changes the first place of a text.
func replace(old, by string) func(string) string {
	return func(body string) string { return strings.Replace(body, old, by, 1) }
}

// spoil makes another webhook out of a good one, with an event id of its own that
// must not be found later.
func spoil(r *rand.Rand, good *Webhook) *Webhook {
	w := *good
	w.Event += "-bad"
	w.Body = strings.Replace(w.Body, `"`+good.Event+`"`, `"`+w.Event+`"`, 1)
	spoilings[r.IntN(len(spoilings))](&w)
	return &w
}
