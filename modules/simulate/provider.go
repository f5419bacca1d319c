package simulate

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// object is a JSON object.
type object = map[string]any

// event is what a provider reports, before it is signed.
type event struct {
	// id is the provider's id of the event, or what identifies it if it has none.
	id string
	// kind is the provider's type of the event.
	kind string
	at   time.Time
	// path is what follows the path of the source.
	path string
	body object
}

// request is a signed webhook, ready to be sent.
type request struct {
	path   string
	header http.Header
	body   []byte
}

// provider is how a provider writes and signs its webhooks.
type provider struct {
	// scenarios is the name of the file of scenarios.
	scenarios string
	// event returns the event of a step. It is the same at every call, except for what
	// changes in a repeated delivery.
	event func(l *life, step int, again bool) event
	// request signs events at the time of sending. Only Adyen sends more than one at once.
	request func(k *credentials, secret string, events []event, sent time.Time) (request, error)
	// disputeID returns the id of the dispute of a life.
	disputeID func(l *life) string
	// batches reports whether one webhook can have several events.
	batches bool
}

var providers = map[string]provider{
	"stripe":            {scenarios: "stripe", event: stripeEvent, request: stripeRequest, disputeID: stripeDisputeID},
	"adyen":             {scenarios: "adyen", event: adyenEvent, request: adyenRequest, disputeID: adyenDisputeID, batches: true},
	"paypal":            {scenarios: "paypal", event: paypalEvent, request: paypalRequest, disputeID: paypalDisputeID},
	"solidgate":         {scenarios: "solidgate", event: solidgateEvent, request: solidgateRequest, disputeID: solidgateDisputeID},
	"standard-webhooks": {scenarios: "generic", event: standardEvent, request: standardRequest, disputeID: genericDisputeID},
	"generic":           {scenarios: "generic", event: genericEvent, request: genericRequest, disputeID: genericDisputeID},
}

// Providers holds the names of all providers.
var Providers = []string{"stripe", "adyen", "paypal", "solidgate", "standard-webhooks", "generic"}

// compact returns a body without white space.
func compact(body object) []byte { return encode(body, "") }

// indented returns a body with one member a line.
func indented(body object) []byte { return encode(body, "  ") }

func encode(body object, indent string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(body); err != nil {
		panic(err) // bodies are made of texts, numbers, maps and slices
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// newUUID returns a new random UUID.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
