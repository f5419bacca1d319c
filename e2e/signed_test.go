package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The secrets of every signed source, by their use. None of them may be in a log.
var (
	currentSecret = strings.Repeat("c", 32)
	oldSecret     = strings.Repeat("o", 32) // in use for another hour
	expiredSecret = strings.Repeat("e", 32) // for an hour
	wrongSecret   = strings.Repeat("w", 32) // not one of the source
)

const (
	basicPassword = "password-of-basic-auth"
	// beyondTolerance is the age of a webhook that must be refused, also in the future:
	// a little more than the tolerance, so that the time of the test does not matter.
	beyondTolerance = 5*time.Minute + 30*time.Second
)

// signedWebhook is a webhook with its headers.
type signedWebhook struct {
	path, body string
	header     http.Header
}

// scheme is how one provider signs. It is written from the provider's description, and
// shares no code with the program.
type scheme struct {
	// source is the name of the source in the configuration.
	source string
	path   string
	// body returns an event of an order of 10.00 USD that was paid.
	body func(event, order string) string
	// key returns a secret as it is configured.
	key func(secret string) string
	// sign returns the signature.
	sign func(event, body, secret string, at time.Time) string
	// put puts a signature into the webhook, or only what else it needs.
	put func(w *signedWebhook, event, signature string, at time.Time)
	// timed reports whether the signature has a time.
	timed bool
	// both returns one value with two signatures, or is nil if there cannot be one.
	both func(first, second string) string
	// malformed has values that are not signatures, by the row of the table that they
	// belong to. They are made of a good one.
	malformed []malformedSignature
}

type malformedSignature struct {
	number int
	make   func(good string) string
	code   string
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func same(secret string) string { return secret }

func always(value string) func(string) string { return func(string) string { return value } }

func cut(n int) func(string) string { return func(good string) string { return good[:len(good)-n] } }

func replaced(old, by string) func(string) string {
	return func(good string) string { return strings.Replace(good, old, by, 1) }
}

func inHeader(name string) func(*signedWebhook, string, string, time.Time) {
	return func(w *signedWebhook, _, signature string, _ time.Time) {
		if signature != "" {
			w.header.Set(name, signature)
		}
	}
}

var stripeScheme = scheme{
	source: "stripe-eu", path: "/webhooks/stripe-eu", timed: true,
	body: func(event, order string) string {
		return fmt.Sprintf(`{"id":"evt_%s","object":"event","type":"payment_intent.succeeded","created":%d,"livemode":true,"data":{"object":{`+
			`"id":"pi_%[1]s","object":"payment_intent","amount":1000,"amount_received":1000,"currency":"usd","status":"succeeded","card":%[4]q,"metadata":{"order_id":%[3]q}}}}`,
			event, day.Unix(), order, cardNumber)
	},
	key: func(secret string) string { return "whsec_" + secret },
	sign: func(_, body, secret string, at time.Time) string {
		return fmt.Sprintf("t=%d,v1=%x", at.Unix(), mac("whsec_"+secret, fmt.Sprintf("%d.%s", at.Unix(), body)))
	},
	put: inHeader("Stripe-Signature"),
	both: func(first, second string) string {
		_, second, _ = strings.Cut(second, ",")
		return first + "," + second
	},
	malformed: []malformedSignature{
		{23, always("hello"), "signature_malformed"},
		{23, func(good string) string { return good[strings.Index(good, "v1="):] }, "signature_malformed"},
		{23, func(good string) string { return good[:strings.Index(good, ",")] }, "signature_malformed"},
		{30, cut(1), "signature_invalid"},
		{30, cut(32), "signature_invalid"},
		{30, replaced("v1=", "v1=zz"), "signature_invalid"},
		{36, replaced("v1=", "v0="), "signature_malformed"},
		{36, replaced("v1=", "sha1="), "signature_malformed"},
		{36, always("t=1767520800,alg=none"), "signature_malformed"},
	},
}

var standardScheme = scheme{
	source: "standard", path: "/webhooks/standard", timed: true,
	body: func(event, order string) string {
		return fmt.Sprintf(`{"type":"order.paid","timestamp":%q,"data":%s}`, after(0), orderWebhook(event, order, "success", 0, `"10.00"`, "USD").body)
	},
	key: func(secret string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(secret)) },
	sign: func(event, body, secret string, at time.Time) string {
		return "v1," + base64.StdEncoding.EncodeToString(mac(secret, fmt.Sprintf("%s.%d.%s", event, at.Unix(), body)))
	},
	put: func(w *signedWebhook, event, signature string, at time.Time) {
		w.header.Set("Webhook-Id", event)
		w.header.Set("Webhook-Timestamp", fmt.Sprint(at.Unix()))
		inHeader("Webhook-Signature")(w, event, signature, at)
	},
	both: func(first, second string) string { return first + " " + second },
	malformed: []malformedSignature{
		{23, always("hello"), "signature_malformed"},
		{23, replaced("v1,", ""), "signature_malformed"},
		{30, cut(1), "signature_malformed"},
		{30, cut(12), "signature_malformed"},
		{30, replaced("v1,", "v1,*"), "signature_malformed"},
		{36, replaced("v1,", "v0,"), "signature_malformed"},
		{36, replaced("v1,", "sha1="), "signature_malformed"},
		{36, always("alg=none"), "signature_malformed"},
	},
}

var hmacScheme = scheme{
	source: "shop", path: "/webhooks/shop/orders",
	body: func(event, order string) string {
		return orderWebhook(event, order, "success", 0, `"10.00"`, "USD").body
	},
	key:  same,
	sign: func(_, body, secret string, _ time.Time) string { return fmt.Sprintf("sha256=%x", mac(secret, body)) },
	put:  inHeader("X-Signature"),
	malformed: []malformedSignature{
		{23, replaced("sha256=", ""), "signature_malformed"},
		{30, cut(1), "signature_malformed"},
		{30, cut(2), "signature_malformed"},
		{30, replaced("sha256=", "sha256=zz"), "signature_malformed"},
		{36, replaced("sha256=", "sha1="), "signature_malformed"},
		{36, replaced("sha256=", "v0="), "signature_malformed"},
		{36, always("alg=none"), "signature_malformed"},
	},
}

// adyenScheme signs a batch of one item. The signature covers members of the item, and
// stands within it.
var adyenScheme = scheme{
	source: "adyen-eu", path: "/webhooks/adyen-eu",
	body: func(event, order string) string {
		return fmt.Sprintf(`{"live":"true","notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"SIGNATURE"},`+
			`"amount":{"currency":"USD","value":1000},"eventCode":"AUTHORISATION","eventDate":%q,"merchantAccountCode":"Shop",`+
			`"merchantReference":%q,"pspReference":%q,"reason":%q,"success":"true"}}]}`, after(0), order, event, cardNumber)
	},
	key: func(secret string) string { return hex.EncodeToString([]byte(secret)) },
	sign: func(event, body, secret string, _ time.Time) string {
		_, order, _ := strings.Cut(body, `"merchantReference":"`)
		order, _, _ = strings.Cut(order, `"`)
		return base64.StdEncoding.EncodeToString(mac(secret, event+"::Shop:"+order+":1000:USD:AUTHORISATION:true"))
	},
	put: func(w *signedWebhook, _, signature string, _ time.Time) {
		w.body = strings.Replace(w.body, "SIGNATURE", signature, 1)
		w.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("adyen:"+basicPassword)))
	},
	malformed: []malformedSignature{
		{23, always("hello"), "signature_malformed"},
		{30, cut(1), "signature_malformed"},
		{30, cut(12), "signature_malformed"},
		{36, always("alg=none"), "signature_malformed"},
	},
}

var schemes = []scheme{stripeScheme, adyenScheme, standardScheme, hmacScheme}

// forgery is what is wrong with a webhook. The zero value is an authentic one.
type forgery struct {
	secret    string // if not the current one
	age       time.Duration
	signature func(good string) string // changes it
	body      func(signed string) string
	header    func(http.Header)
}

// webhook returns a webhook of a paid order.
func (s scheme) webhook(event, order string, f forgery) signedWebhook {
	at := time.Now().Add(-f.age)
	w := signedWebhook{path: s.path, body: s.body(event, order), header: http.Header{"Content-Type": {"application/json"}}}
	if f.secret == "" {
		f.secret = currentSecret
	}
	signature := s.sign(event, w.body, f.secret, at)
	if f.signature != nil {
		signature = f.signature(signature)
	}
	s.put(&w, event, signature, at)
	if f.body != nil {
		w.body = f.body(w.body)
	}
	if f.header != nil {
		f.header(w.header)
	}
	return w
}

// writeSources writes the configuration of the schemes and returns its path. The secrets
// stand in it in the order current, old, expired.
func writeSources(t *testing.T) string {
	t.Helper()
	settings := map[string]string{
		"stripe-eu": "provider: stripe\n    environment: live\n    order_id: {metadata_key: order_id}",
		"adyen-eu":  "provider: adyen\n    environment: live\n    capture: automatic\n    basic_auth: {username: adyen, password: " + basicPassword + "}",
		"standard":  "provider: standard-webhooks",
		"shop":      "provider: generic\n    signature: {scheme: hmac, header: X-Signature, prefix: sha256=}",
	}
	hour := func(n time.Duration) string { return time.Now().Add(n * time.Hour).UTC().Format(time.RFC3339) }
	text := "sources:\n"
	for _, s := range schemes {
		text += fmt.Sprintf("  - name: %s\n    %s\n    secrets:\n      - secret: %s\n      - {secret: %s, not_after: %s}\n      - {secret: %s, not_after: %s}\n",
			s.source, settings[s.source], s.key(currentSecret), s.key(oldSecret), hour(1), s.key(expiredSecret), hour(-1))
	}
	path := filepath.Join(t.TempDir(), "sources.yaml")
	check(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// sendSigned sends a webhook from an address of loopback.
func (c *cluster) sendSigned(t *testing.T, from *http.Client, w signedWebhook) reply {
	t.Helper()
	var headers []string
	for name := range w.header {
		headers = append(headers, name, w.header.Get(name))
	}
	answer, err := doBy(from, http.MethodPost, c.url("ingest")+w.path, w.body, headers...)
	if err != nil {
		t.Fatalf("send a webhook to %s: %v", w.path, err)
	}
	return answer
}
