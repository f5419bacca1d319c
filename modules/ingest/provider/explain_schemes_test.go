package provider

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestExplainHMAC(t *testing.T) {
	s := Settings{Provider: Generic, Source: "shop", Signature: Signature{Scheme: SchemeHMAC, Header: "X-Mac", Prefix: "sha256="}, Secrets: []Secret{{Value: gitHubSecret}}}
	for what, c := range map[string]struct{ header, value, body, want string }{
		"other header":   {"X-Signature", "sha256=" + gitHubMAC, gitHubBody, "as the HMAC-SHA-256 of the body alone, in hexadecimal digits in the header X-Signature"},
		"no prefix":      {"X-Mac", gitHubMAC, gitHubBody, "as the HMAC-SHA-256 of the body alone, in hexadecimal digits in the header X-Mac"},
		"base64":         {"X-Mac", macOf(sha256.New, []byte(gitHubSecret), gitHubBody), gitHubBody, "in base64 in the header X-Mac"},
		"algorithm":      {"X-Mac", "sha256=" + macOf(sha512.New, []byte(gitHubSecret), gitHubBody), gitHubBody, "as the HMAC-SHA-512"},
		"body":           {"X-Mac", "sha256=" + gitHubMAC, gitHubBody + "\n", "without the line break"},
		"secret changed": {"X-Mac", macOf(sha256.New, []byte(strings.ToLower(gitHubSecret)), gitHubBody), gitHubBody, "secret 1 of the source in lower case"},
	} {
		wantFindings(t, what, explained(t, s, hmacRequest(c.header, c.value, c.body)), true, c.want)
	}
	wantFindings(t, "standard", explained(t, s, signedBy(vectorKey(t), "{}")), false, "failed signature_missing", "hint provider: the webhook has the header Webhook-Signature")
}

func TestExplainStripe(t *testing.T) {
	live := Settings{Provider: Stripe, Source: "stripe-live", Environment: Live, Secrets: []Secret{{Value: newStripeSecret}}}
	test := Settings{Provider: Stripe, Source: "stripe-test", Environment: Test, Secrets: []Secret{{Value: stripeSecret}}}
	event := `{"id":"evt_1","object":"event","type":"customer.created","created":1767520800,"livemode":false,"data":{"object":{"id":"cus_1","object":"customer"}}}`
	pretty := indented(t, event, "  ")
	signed := func(at time.Time, body, secret string) string { return stripeSigned(at, []byte(body), secret) }
	for what, c := range map[string]struct {
		header, body string
		cause        bool
		texts        []string
	}{
		"test at live":            {signed(stripeNow, pretty, stripeSecret), pretty, true, []string{"failed signature_invalid", "cause source: ", "source stripe-test (provider stripe, environment test): let the provider send it to the path of that source\n", "hint environment: the body is of the environment test, and the source of live"}},
		"compacted":               {signed(stripeNow, pretty, newStripeSecret), event, true, []string{"cause body: ", "indented by 2 spaces"}},
		"old":                     {signed(stripeNow.Add(-time.Hour), pretty, newStripeSecret), pretty, true, []string{"failed timestamp_out_of_tolerance", "cause time: ", "was made 1h0m0s before"}},
		"test, compacted and old": {signed(stripeNow.Add(-time.Hour), pretty, stripeSecret), event, true, []string{"cause body: ", "indented by 2 spaces, with secret 1 of the source stripe-test, environment test"}},
		"without whsec":           {signed(stripeNow, pretty, strings.TrimPrefix(newStripeSecret, "whsec_")), pretty, true, []string{"secret 1 of the source without its prefix"}},
		"body alone":              {"t=" + fmt.Sprint(stripeNow.Unix()) + ",v1=" + hexOf("v1,"+macOf(sha256.New, []byte(newStripeSecret), pretty)), pretty, true, []string{"as the HMAC-SHA-256 of the body alone"}},
		"unknown":                 {signed(stripeNow, pretty, "whsec_unknown_0123456789012345"), pretty, false, []string{"hint cause: no change"}},
		"malformed":               {"v1=00", pretty, false, []string{"failed signature_malformed"}},
	} {
		wantFindings(t, what, explained(t, live, stripeRequest(c.header, []byte(c.body)), test), c.cause, c.texts...)
	}
}

func TestExplainAdyen(t *testing.T) {
	s := adyenSettings
	s.Provider, s.Source, s.Environment = Adyen, "adyen-eu", Live
	other := s
	other.Source, other.Secrets, other.BasicAuth = "adyen-us", []Secret{{Value: strings.Repeat("ab", 32)}}, &BasicAuth{"adyen", "another password"}
	resigned := func(key []byte, reference, signed string) *Request {
		item := newItem(t, testItem{"merchantReference": reference})
		text := strings.Join([]string{"QFQTPCQ8HXSKGK82", "9913140798220028", "ShopExampleECOM", signed, "1000", "EUR", "CAPTURE", "true"}, ":")
		item["additionalData"] = map[string]any{"hmacSignature": macOf(sha256.New, key, text)}
		return newBatch(t, item)
	}
	key, _ := hex.DecodeString(adyenTestKey)
	otherKey, _ := hex.DecodeString(other.Secrets[0].Value)
	login := newBatch(t, newItem(t, nil))
	login.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("adyen:guess")))
	otherLogin := newBatch(t, newItem(t, nil))
	otherLogin.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("adyen:another password")))
	moved := newItem(t, testItem{"merchantReference": "a:b"}) // values that the same signature covers
	moved["merchantAccountCode"], moved["merchantReference"] = "ShopExampleECOM:a", "b"
	platform := newBatch(t, newItem(t, testItem{"additionalData": nil}))
	platform.Header.Set("HmacSignature", macOf(sha256.New, key, string(platform.Body)))
	for what, c := range map[string]struct {
		r     *Request
		cause bool
		texts []string
	}{
		"authentic":   {newBatch(t, newItem(t, nil), newItem(t, nil)), false, []string{"ok signature: secret 1", "ok body: "}},
		"escaped":     {resigned(key, `a:b\c`, `a\:b\\c`), true, []string{"failed signature_invalid: item 1 of 1", "cause signature: ", "Adyen does not escape"}},
		"text as key": {resigned([]byte(adyenTestKey), "r", "r"), true, []string{"secret 1 of the source as a text: nothing in it is decoded"}},
		"other key":   {resigned(otherKey, "r", "r"), true, []string{"secret 1 of the source adyen-us"}},
		"changed":     {resigned(key, "r", "s"), false, []string{"hint cause: "}},
		"colon moved": {newBatch(t, moved), false, []string{"failed signature_malformed", "hint cause: "}},
		"login":       {login, true, []string{"failed credentials_invalid", "cause login: secret 1 of the source made the signature, so that nothing but the login is wrong"}},
		"other login": {otherLogin, true, []string{"cause source: the login is that of the source adyen-us"}},
		"platform":    {platform, true, []string{"failed signature_missing", "as the HMAC-SHA-256 of the body alone, in base64 in the header Hmacsignature"}},
	} {
		wantFindings(t, what, explained(t, s, c.r, other), c.cause, c.texts...)
	}
}

func TestExplainPayPal(t *testing.T) {
	server := startCertServer(t)
	s := server.settings()
	body := `{"id":"WH-1","event_version":"1.0","create_time":"2026-01-05T10:00:00Z","resource_type":"x","event_type":"X.Y","resource":{"id":"1"}}`
	other := s
	other.Source, other.WebhookID = "paypal-us", "9PT597110X687430LKGECATB"
	forID := func(id string) *Request {
		r := server.request(t, body)
		r.Header.Set(paypalSignature, paypalSignatureOf(t, r.Header.Get(paypalID), r.Header.Get(paypalTime), id, fmt.Sprint(crc32.ChecksumIEEE(r.Body))))
		return r
	}
	reencoded := server.request(t, indented(t, body, "  "))
	reencoded.Body = []byte(body)
	old := server.request(t, body)
	old.ReceivedAt = old.ReceivedAt.Add(time.Hour)
	live := server.request(t, body)
	live.Header.Set(paypalCertURL, "https://api.paypal.com/v1/notifications/certs/CERT-1")
	for what, c := range map[string]struct {
		r     *Request
		cause bool
		texts []string
	}{
		"authentic":  {server.request(t, body), false, []string{"ok signature: the provider made the signature", "ok time: "}},
		"other id":   {forID(other.WebhookID), true, []string{"failed signature_invalid", "cause source: ", "source paypal-us", "or give this source the secret of that one"}},
		"simulator":  {forID("WEBHOOK_ID"), true, []string{"cause signature: ", "webhook simulator, which anyone can use\n"}},
		"re-encoded": {reencoded, true, []string{"cause body: ", "indented by 2 spaces"}},
		"old":        {old, true, []string{"failed timestamp_out_of_tolerance", "cause time: ", "before the receipt"}},
		"of live":    {live, false, []string{"failed certificate_not_trusted"}},
		"unknown":    {forID("OTHER"), false, []string{"hint cause: "}},
	} {
		wantFindings(t, what, explained(t, s, c.r, other), c.cause, c.texts...)
	}
	server.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	down := server.request(t, body)
	down.Header.Set(paypalCertURL, server.url("CERT-2"))
	wantFindings(t, "no certificate", explained(t, s, down), false, "failed verification: the check could not be made")
}

func TestExplainSolidgate(t *testing.T) {
	s := solidgateSettings
	s.Provider, s.Source, s.Environment = Solidgate, "solidgate-eu", Live
	other := Settings{Provider: Solidgate, Source: "solidgate-us", Environment: Live, Secrets: []Secret{{Value: "wh_sk_of another pair of keys 0123", PublicKey: "wh_pk_other"}}}
	with := func(public, signature, body string) *Request {
		r := solidgateOrderRequest()
		r.Header.Set("merchant", public)
		r.Header.Set("signature", signature)
		r.Body = []byte(body)
		return r
	}
	const body = solidgateBodyText
	for what, c := range map[string]struct {
		r     *Request
		cause bool
		texts []string
	}{
		"authentic":    {solidgateOrderRequest(), false, []string{"ok signature: secret 1"}},
		"other source": {with("wh_pk_other", signSolidgate("wh_pk_other", other.Secrets[0].Value, body), body), true, []string{"failed signature_invalid", "cause source: ", "source solidgate-us"}},
		"public key":   {with("wh_pk_third", signSolidgate("wh_pk_third", solidgateSecret, body), body), true, []string{"cause signature: ", "correct public_key"}},
		"bare key":     {with(solidgatePublic, signSolidgate(solidgatePublic, strings.TrimPrefix(solidgateSecret, "wh_sk_"), body), body), true, []string{"cause secret: ", "without its prefix"}},
		"body":         {with(solidgatePublic, signSolidgate(solidgatePublic, solidgateSecret, indented(t, body, "    ")), body), true, []string{"cause body: ", "indented by 4 spaces"}},
		"bytes":        {with(solidgatePublic, macOf(sha512.New, []byte(solidgateSecret), solidgatePublic+body+solidgatePublic), body), true, []string{"failed signature_malformed", "as the HMAC-SHA-512 of the public key, the body and the public key, in base64 in the header Signature"}},
		"unknown":      {with(solidgatePublic, signSolidgate(solidgatePublic, "unknown", body), body), false, []string{"hint cause: "}},
	} {
		wantFindings(t, what, explained(t, s, c.r, other), c.cause, c.texts...)
	}
}

// TestEveryProviderIsExplained finds a provider whose failures have no cause.
func TestEveryProviderIsExplained(t *testing.T) {
	for _, name := range Names() {
		settings := exampleSettings[name]
		if settings.Provider, settings.Source = name, name; name == Generic {
			settings.Secrets = []Secret{{Value: vectorSecret}}
		}
		adapter, err := New(settings)
		if err != nil {
			t.Fatal(err)
		}
		scheme := schemeOf(adapter)
		if scheme == nil || len(scheme.headers()) == 0 {
			t.Errorf("the adapter of %s does not implement explainer", name)
			continue
		}
		r := &Request{Header: http.Header{}, Body: []byte("{}"), ReceivedAt: time.Now()}
		if _, ok := scheme.signedAt(r); ok || scheme.signedWith([]byte("key"), r) {
			t.Errorf("%s: a webhook without headers was signed", name)
		}
		for _, m := range scheme.mistakes(r) {
			if m.message == "" || m.signedWith([]byte("key"), r) {
				t.Errorf("%s: a webhook without headers has the mistake %q", name, m.message)
			}
		}
	}
}
