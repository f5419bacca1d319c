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

// eventFiles are events in the shape of three kinds of provider, each with one
// about an order that goes on, one about its payment, and one about its dispute.
// They name the webhook's own event, order and time as $event, $order and $time.
//
//go:embed events/*.json
var eventFiles embed.FS

// eventFamilies are the kinds of provider: one that sends the object that has
// changed, with all that hangs on it; one that sends flat items; one that sends a
// resource with links.
var eventFamilies = []string{"intent", "notification", "resource"}

// event is what a provider sends of its own, in pieces: each is text and then, but
// for the last one, one of the webhook's own values.
type event []piece

type piece struct {
	text  string
	value string // "$event", "$order", "$time", or none
}

// events are by family and subject, such as "intent-dispute". They are read when
// they are first sent.
var events = sync.OnceValue(func() map[string]event {
	all := make(map[string]event)
	for _, family := range eventFamilies {
		for _, subject := range []string{"order", "payment", "dispute"} {
			name := family + "-" + subject
			all[name] = readEvent(name)
		}
	}
	return all
})

var eventValues = regexp.MustCompile(`\$(event|order|time)`)

// readEvent cuts a file into pieces. It has no white space between its tokens
// then, as most providers send it, and keeps its escapes.
func readEvent(name string) event {
	file, err := eventFiles.ReadFile("events/" + name + ".json")
	var compact bytes.Buffer
	if err == nil {
		err = json.Compact(&compact, file)
	}
	if err != nil {
		panic(fmt.Sprintf("event %s: %v", name, err)) // the files are part of the program
	}
	var e event
	text, begin := compact.String(), 0
	for _, at := range eventValues.FindAllStringIndex(text, -1) {
		e = append(e, piece{text[begin:at[0]], text[at[0]:at[1]]})
		begin = at[1]
	}
	return append(e, piece{text: text[begin:]})
}

// eventOf is the one that tells a fact of an order.
func eventOf(p place, f fact) event {
	subject := "order"
	switch {
	case f.dispute:
		subject = "dispute"
	case f == paid || f == failed:
		subject = "payment"
	}
	return events()[eventFamilies[p.order%int64(len(eventFamilies))]+"-"+subject]
}

// append writes it out for a webhook.
func (e event) append(body []byte, w *Webhook) []byte {
	for _, p := range e {
		body = append(body, p.text...)
		switch p.value {
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

// eventSizes are the smallest and the largest event, in bytes.
func eventSizes() (smallest, largest int) {
	for _, e := range events() {
		size := len(e.append(nil, new(Webhook)))
		if smallest == 0 || size < smallest {
			smallest = size
		}
		largest = max(largest, size)
	}
	return smallest, largest
}
