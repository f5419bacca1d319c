// Package provider verifies and decodes the webhooks of payment providers.
//
// Each provider has a file, with its signature scheme, its members and its table of
// events, and a line in the table providers. A webhook goes two ways through it: Verify
// checks the headers and the unchanged body, and Decode turns the body into updates.
package provider

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
)

// definition is a provider's entry in the table of providers.
type definition struct {
	// new returns the adapter of a source. The error explains which setting is missing or
	// wrong.
	new func(Settings) (Adapter, error)
	// paths are the path elements below that of a source, or nil if webhooks are sent to
	// the path of the source itself.
	paths []string
	// uses are the settings that the provider reads, beside those that every one has, by
	// their names in the configuration.
	uses []string
	// accepted is the body of a 2xx answer, or empty for the JSON of payrelay.
	accepted string
}

// providers is the only list of providers.
var providers = map[string]definition{
	Adyen:            {new: newAdyen, uses: []string{"secrets", "basic_auth", "capture", "environment"}, accepted: "[accepted]"},
	Generic:          {new: newGeneric, paths: []string{"chargebacks", "orders"}, uses: []string{"secrets", "tolerance", "signature"}},
	PayPal:           {new: newPayPal, uses: []string{"environment", "order_id.metadata_key", "paypal_test", "tolerance", "webhook_id"}},
	Solidgate:        {new: newSolidgate, uses: []string{"secrets", "public_key"}},
	StandardWebhooks: {new: newStandardWebhooks, uses: []string{"secrets", "tolerance"}},
	Stripe:           {new: newStripe, uses: []string{"secrets", "tolerance", "environment", "order_id.metadata_key"}},
}

// Generic is the name of the provider that sends payrelay's own webhook format.
const Generic = "generic"

// Names returns the names of the providers, sorted.
func Names() []string { return slices.Sorted(maps.Keys(providers)) }

// Adapter verifies and decodes the webhooks of one source. Its methods may be called
// concurrently. They read the request, and keep no part of it but the body.
type Adapter interface {
	// Verify checks that a webhook is authentic and fresh. It returns the index of the
	// secret that signed it. The error is a [Failure], or another one if the check could
	// not be made and the webhook must be sent again.
	Verify(ctx context.Context, r *Request) (secret int, err error)
	// Decode returns what an authentic webhook reports. The error is a [jsonbody.Malformed] or a
	// payments.InvalidError: the body cannot be read, and becomes a dead letter.
	Decode(r *Request) (Webhook, error)
}

// Request is a webhook as it arrived.
type Request struct {
	// Path is the path element below that of the source, or empty.
	Path   string
	Header http.Header
	// Body is the unchanged body. It is not empty.
	Body       []byte
	ReceivedAt time.Time

	// parsed is what Verify has parsed of the body, for Decode.
	parsed any
}

// Webhook is what a provider reports.
type Webhook struct {
	// Updates holds at least one update. The adapter sets the ids, the time, the subject
	// and the raw body: a part of the body if that reports several events, and all of it
	// otherwise. The caller sets the provider, the schema version, the time of receipt and
	// the digest.
	Updates []*payrelayv1.Update
	// Event is the provider's type of the event, such as "charge.dispute.created".
	Event string
	// Environment is what the webhook states, or empty if it states nothing.
	Environment Environment
	// Ignored has the paths of members that were read and have no effect.
	Ignored []string
}

// Environment distinguishes real payments from tests.
type Environment string

// The environments.
const (
	Live Environment = "live"
	Test Environment = "test"
)

// Settings configure the adapter of one source.
type Settings struct {
	// Source is the name of the source.
	Source   string
	Provider string
	// Environment is what the webhooks of the source must state.
	Environment Environment
	Secrets     []Secret
	// Tolerance is the largest difference between the time in a signature and the time
	// of receipt, in both directions.
	Tolerance time.Duration
	// OrderIDKey is the key of the provider's metadata that holds the merchant's order
	// id. Empty means the provider's own id.
	OrderIDKey string
	// OrderIDPrefix precedes the merchant's order ids. Those of the provider have none.
	OrderIDPrefix string
	// AutomaticCapture means that the provider captures each authorization, and sends no
	// event of it.
	AutomaticCapture bool
	// BasicAuth is the login that the provider sends, or nil.
	BasicAuth *BasicAuth
	// WebhookID is the id of the webhook at PayPal, which is part of what it signs.
	WebhookID string
	// Signature is the scheme of a generic source.
	Signature Signature
	// PayPalTest replaces PayPal's servers for tests, or is nil.
	PayPalTest *PayPalTest
}

// Secret is a secret that a webhook may be signed with.
type Secret struct {
	Value string
	// PublicKey is the public part of a pair of keys, which the webhook names.
	PublicKey string
	// NotAfter is the end of the use of the secret. Zero means that there is none.
	NotAfter time.Time
}

// BasicAuth is a login of HTTP Basic authentication.
type BasicAuth struct{ Username, Password string }

// Signature is a scheme of a generic source.
type Signature struct {
	// Scheme is "standard-webhooks", which is the default, or "hmac", which uses the other
	// fields: the MAC of the body alone, in a header.
	Scheme    string
	Header    string
	Algorithm string // sha256 or sha512
	Encoding  string // hex or base64
	// Prefix precedes the MAC in the header, such as "sha256=".
	Prefix string
}

// PayPalTest is a server of certificates for tests.
type PayPalTest struct {
	// CertHost is the host:port of the server.
	CertHost string
	// CAFile has the certificates, in PEM, that sign those of the server and of the key.
	CAFile string
}

// New returns the adapter of a source. The error explains which setting is missing or
// wrong. It never contains a secret.
func New(s Settings) (Adapter, error) {
	d, ok := providers[s.Provider]
	if !ok {
		return nil, fmt.Errorf("provider %q is not known: choose one of %s", s.Provider, strings.Join(Names(), ", "))
	}
	if s.Tolerance == 0 {
		s.Tolerance = DefaultTolerance
	}
	return d.new(s)
}

// DefaultTolerance is the tolerance of the providers' own libraries.
const DefaultTolerance = 5 * time.Minute

// Paths returns the path elements below that of a source, or nil if webhooks are sent to
// the path of the source itself.
func Paths(provider string) []string { return providers[provider].paths }

// Uses reports whether a provider reads a setting, by its name in the configuration, such
// as "webhook_id".
func Uses(provider, setting string) bool { return slices.Contains(providers[provider].uses, setting) }

// Accepted returns the body of a 2xx answer to a provider, or an empty one if that is the
// JSON of payrelay.
func Accepted(provider string) string { return providers[provider].accepted }

// contracts has the members that distinguish the webhooks of providers.
var contracts = jsonbody.NewForm("object", "id", "type", "notificationItems", "event_type", "resource",
	"order", "transactions", "transaction", "chargeback", "chargeback_flow")

// Contract returns what a body is if it is a webhook of a known provider, such as
// "a Stripe event", and an empty text otherwise.
func Contract(body []byte) string {
	d := jsonbody.NewDocument(contracts)
	defer d.Release()
	if d.Parse(body) != nil {
		return ""
	}
	is := func(path string) bool { return d.Value(path) != nil }
	object, _ := d.Text("object")
	id, _ := d.Text("id")
	switch {
	case (object == "event" || object == "v2.core.event") && strings.HasPrefix(id, "evt_") && is("type"):
		return "a Stripe event"
	case is("notificationItems"):
		return "an Adyen notification"
	case is("event_type") && is("resource"):
		return "a PayPal event"
	case is("order") && (is("transactions") || is("transaction")), is("chargeback") && is("chargeback_flow"):
		return "a Solidgate event"
	default:
		return ""
	}
}
