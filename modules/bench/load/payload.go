package load

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// payloadFiles are payloads in the format of three kinds of provider, each with one
// about an update of an order, one about its payment and one about its dispute. The
// placeholders $event, $order and $time stand for the values of a webhook.
//
//go:embed events/*.json
var payloadFiles embed.FS

// providerKinds are the kinds of provider: "intent" sends the changed object with
// everything nested in it, "notification" sends flat items, and "resource" sends a
// resource with links.
var providerKinds = []string{"intent", "notification", "resource"}

// payload is what a provider sends in its own format, cut at its placeholders.
type payload []piece

// piece is a text and the placeholder that follows it, if any.
type piece struct{ text, placeholder string }

// payloads returns all payloads by provider and subject, such as "intent-dispute".
var payloads = sync.OnceValue(func() map[string]payload {
	all := make(map[string]payload)
	for _, provider := range providerKinds {
		for _, subject := range []string{"order", "payment", "dispute"} {
			name := provider + "-" + subject
			all[name] = readPayload(name)
		}
	}
	return all
})

var placeholders = regexp.MustCompile(`\$(event|order|time)`)

// readPayload reads a payload. It removes the white space between tokens, because
// most providers send none, and keeps escape sequences.
func readPayload(name string) payload {
	file, err := payloadFiles.ReadFile("events/" + name + ".json")
	var compact bytes.Buffer
	if err == nil {
		err = json.Compact(&compact, file)
	}
	if err != nil {
		panic(fmt.Sprintf("read payload %s: %v", name, err)) // the files are embedded
	}
	var pieces payload
	text, begin := compact.String(), 0
	for _, at := range placeholders.FindAllStringIndex(text, -1) {
		pieces = append(pieces, piece{text[begin:at[0]], text[at[0]:at[1]]})
		begin = at[1]
	}
	return append(pieces, piece{text: text[begin:]})
}

// payloadOf returns the payload about a change.
func payloadOf(p position, c change) payload {
	subject := "order"
	switch {
	case c.dispute:
		subject = "dispute"
	case c == paid || c == failed:
		subject = "payment"
	}
	return payloads()[providerKinds[p.order%int64(len(providerKinds))]+"-"+subject]
}

// append appends the payload with the values of a webhook to a body.
func (pieces payload) append(body []byte, w *Webhook) []byte {
	for _, p := range pieces {
		body = append(body, p.text...)
		switch p.placeholder {
		case "$event":
			body = append(body, w.EventID...)
		case "$order":
			body = append(body, w.OrderID...)
		case "$time":
			body = w.At.AppendFormat(body, time.RFC3339)
		}
	}
	return body
}

// payloadSizes returns the sizes of the smallest and the largest payload, in bytes.
func payloadSizes() (smallest, largest int) {
	for _, p := range payloads() {
		size := len(p.append(nil, new(Webhook)))
		if smallest == 0 || size < smallest {
			smallest = size
		}
		largest = max(largest, size)
	}
	return smallest, largest
}
