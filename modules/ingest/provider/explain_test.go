package provider

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// explained returns the findings as lines. It checks that none contains a secret.
func explained(t *testing.T, s Settings, r *Request, others ...Settings) string {
	t.Helper()
	body, headers := string(r.Body), fmt.Sprint(r.Header)
	var lines strings.Builder
	for _, f := range Explain(t.Context(), s, r, others...) {
		if f.Check == "" || f.Message == "" {
			t.Errorf("finding %+v has no check or no message", f)
		}
		fmt.Fprintf(&lines, "%s %s: %s\n", f.Result, f.Check, f.Message)
	}
	for _, settings := range append(others, s) {
		for _, secret := range settings.Secrets {
			if bare := strings.TrimPrefix(secret.Value, "whsec_"); len(bare) > 8 && strings.Contains(lines.String(), bare[:8]) {
				t.Errorf("the findings contain a secret:\n%s", lines.String())
			}
		}
		if login := settings.BasicAuth; login != nil && strings.Contains(lines.String(), login.Password) {
			t.Errorf("the findings contain a password:\n%s", lines.String())
		}
	}
	if string(r.Body) != body || fmt.Sprint(r.Header) != headers {
		t.Error("Explain modifies the request")
	}
	return lines.String()
}

// wantFindings checks that the findings contain each text, and one cause if causes is true.
func wantFindings(t *testing.T, what, findings string, causes bool, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(findings, text) {
			t.Errorf("%s: the findings do not contain %q:\n%s", what, text, findings)
		}
	}
	if n := strings.Count("\n"+findings, "\ncause "); n > 1 || causes != (n == 1) {
		t.Errorf("%s: %d findings are a cause, want one: %v\n%s", what, n, causes, findings)
	}
}

func standardSettings(secrets ...string) Settings {
	s := Settings{Provider: StandardWebhooks, Source: "shop"}
	for _, secret := range secrets {
		s.Secrets = append(s.Secrets, Secret{Value: secret})
	}
	return s
}

// signedBy returns the webhook msg_1 with a signature by a key, over what content returns.
func signedBy(key []byte, body string) *Request {
	return standardRequest("webhook", "msg_1", vectorTime, signSymmetric(key, "msg_1", vectorTime, body), body)
}

func vectorKey(t *testing.T) []byte {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestExplainAuthentic(t *testing.T) {
	body := envelope("order.created", "data", order())
	findings := explained(t, standardSettings(vectorSecret), signedBy(vectorKey(t), body))
	wantFindings(t, "authentic", findings, false, "ok signature: secret 1 of the source", "ok time: the webhook was signed 0s before", "ok body: it reports an order, event msg_1, order order-1")
	findings = explained(t, standardSettings(vectorSecret), signedBy(vectorKey(t), "{}"))
	wantFindings(t, "unreadable", findings, false, "ok signature", "warning body: ", "dead letter: field_required")
	findings = explained(t, Settings{Provider: Generic, Source: "open"}, &Request{Path: ordersPath, Header: http.Header{}, Body: []byte(order()), ReceivedAt: time.Now()})
	wantFindings(t, "unsigned", findings, false, "warning signature: the source has no secret", "ok body: it reports an order, event evt-1")
	stripe := Settings{Provider: Stripe, Source: "s", Environment: Live, Secrets: []Secret{{Value: stripeSecret}}}
	event := []byte(`{"id":"evt_1","object":"event","type":"customer.created","created":1767520800,"livemode":false,"data":{"object":{"id":"cus_1","object":"customer"}}}`)
	findings = explained(t, stripe, stripeRequest(stripeSigned(stripeNow, event, stripeSecret), event))
	wantFindings(t, "environment", findings, false, "ok signature", "warning environment: ", "of the environment test, and the source of live")
	for _, f := range Explain(t.Context(), Settings{Provider: Stripe, Secrets: []Secret{{Value: "sk_live_0123456789"}}}, &Request{}) {
		if f.Result != Failed || f.Check != "configuration" || !strings.Contains(f.Message, "secret 1 does not begin with whsec_") {
			t.Errorf("finding = %+v, want the mistake in the configuration", f)
		}
	}
}

// phpBody is a body as PHP writes it.
const phpBody = `{"type":"payout.paid","timestamp":"2026-01-05T10:00:00Z","data":{"url":"https:\/\/example.com\/a","name":"Zo\u00eb \ud83d\ude00","b":[1.50,{}],"a":[],"<":"&"}}`

// indented returns a body as Go and most others indent it.
func indented(t *testing.T, body, indent string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(body), "", indent); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestExplainBody signs one form of a body, and sends another one.
func TestExplainBody(t *testing.T) {
	compact := `{"type":"payout.paid","timestamp":"2026-01-05T10:00:00Z","data":{"url":"https://example.com/a","name":"Zoë 😀","b":[1.50,{}],"a":[],"<":"&"}}`
	python := `{"type": "payout.paid", "timestamp": "2026-01-05T10:00:00Z", "data": {"url": "https://example.com/a", "name": "Zo\u00eb \ud83d\ude00", "b": [1.50, {}], "a": [], "<": "&"}}`
	golang := strings.NewReplacer("<", `\u003c`, "&", `\u0026`).Replace(compact)
	sorted := `{"data":{"<":"&","a":[],"b":[1.50,{}],"name":"Zoë 😀","url":"https://example.com/a"},"timestamp":"2026-01-05T10:00:00Z","type":"payout.paid"}`
	var latin1 strings.Builder
	for _, b := range []byte(compact) {
		latin1.WriteRune(rune(b))
	}
	for what, c := range map[string]struct{ signed, arrived, want string }{
		"newline added": {compact, compact + "\n", "without the line break at its end"}, "CRLF added": {compact, compact + "\r\n", "without the line break"},
		"newline removed": {compact + "\n", compact, "with a line break at its end"}, "CRLF removed": {compact + "\r\n", compact, "with CR and LF at its end"},
		"space added": {compact, " " + compact + " ", "without spaces around it"}, "LF": {indented(t, compact, " ") + "\n", strings.ReplaceAll(indented(t, compact, " ")+"\n", "\n", "\r\n"), "with LF as line breaks"},
		"CRLF":       {strings.ReplaceAll(indented(t, compact, " "), "\n", "\r\n"), indented(t, compact, " "), "with CR and LF as line breaks"},
		"mark added": {compact, "\ufeff" + compact, "without a byte order mark"}, "mark removed": {"\ufeff" + compact, compact, "with a byte order mark"},
		"base64": {compact, base64.StdEncoding.EncodeToString([]byte(compact)), "decoded from base64"}, "twice in UTF-8": {compact, latin1.String(), "encoded in UTF-8 twice"},
		"indented": {compact, indented(t, compact, "  "), "without spaces"}, "compacted": {indented(t, compact, "  "), compact, "indented by 2 spaces"},
		"compacted from 4": {indented(t, compact, "    ") + "\n", compact, "indented by 4 spaces and a line break at its end"}, "tabs": {indented(t, compact, "\t"), golang, "indented by tabs"},
		"PHP to Python": {phpBody, python, `without spaces, / escaped as \/`}, "Python to JavaScript": {python, compact, "with a space after each comma and colon, other characters than ASCII escaped"},
		"PHP to JavaScript": {phpBody, compact, "other characters than ASCII and / escaped"}, "JavaScript to PHP": {compact, phpBody, "nothing escaped that need not be"},
		"Go to JavaScript": {golang, compact, "<, > and & escaped"}, "JavaScript to Go": {compact, golang, "nothing escaped"}, "sorted": {sorted, compact, "and sorted keys"},
		"slashes escaped": {compact, strings.ReplaceAll(compact, "/", `\/`), "/ not escaped"}, "slashes": {strings.ReplaceAll(compact, "/", `\/`), compact, `/ escaped as \/`},
		"slashes, indented": {indented(t, compact, "  "), strings.ReplaceAll(compact, "/", `\/`), "indented by 2 spaces, / not escaped"},
	} {
		r := signedBy(vectorKey(t), c.signed)
		r.Body = []byte(c.arrived)
		wantFindings(t, what, explained(t, standardSettings(vectorSecret), r), true, "failed signature_invalid", "cause body: the signature is right for the body", c.want)
	}
	r := signedBy(vectorKey(t), compact)
	r.Body = []byte(sorted)
	wantFindings(t, "order lost", explained(t, standardSettings(vectorSecret), r), false, "hint body: the keys of the body are in alphabetical order", "hint cause: no change")
	r.Body = []byte(`{"type":"other","timestamp":"","a":1}`)
	findings := explained(t, standardSettings(vectorSecret), r)
	wantFindings(t, "another body", findings, false, "hint cause: no change")
	if strings.Contains(findings, "alphabetical") {
		t.Errorf("the keys of the other body are not in order:\n%s", findings)
	}
}

// TestExplainSecrets signs with other keys than that of the source.
func TestExplainSecrets(t *testing.T) {
	body := envelope("payout.paid")
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of another source, 32 b"))
	otherKey := []byte("a secret of another source, 32 b")
	live := standardSettings(vectorSecret)
	test := Settings{Provider: StandardWebhooks, Source: "shop-test", Environment: Test, Secrets: []Secret{{Value: vectorSecret + "AAAA"}, {Value: other}}}
	open := Settings{Provider: Generic, Source: "open"} // accepts everything
	for what, c := range map[string]struct {
		key   []byte
		texts []string
	}{
		"text":          {[]byte(vectorSecret), []string{"cause secret: the signature is right with secret 1 of the source as a text: nothing in it is decoded"}},
		"without whsec": {[]byte(strings.TrimPrefix(vectorSecret, "whsec_")), []string{"secret 1 of the source without its prefix, as a text"}},
		"line break":    {[]byte(vectorSecret + "\n"), []string{"with a line break at its end"}},
		"empty":         {nil, []string{"with an empty secret"}},
		"other source":  {otherKey, []string{"cause source: the webhook is authentic for the source shop-test (provider standard-webhooks, environment test)"}},
		"stranger":      {[]byte("a key that is not configured"), []string{"hint cause: no change of the webhook that is known makes it authentic"}},
	} {
		findings := explained(t, live, signedBy(c.key, body), test, open)
		wantFindings(t, what, findings, what != "stranger", append(c.texts, "failed signature_invalid")...)
		if strings.Contains(findings, "hint headers") {
			t.Errorf("%s: all headers are there, and a finding is about them:\n%s", what, findings)
		}
	}
	changed := signedBy(otherKey, body)
	changed.Body = []byte(indented(t, body, "  "))
	wantFindings(t, "other secret and body", explained(t, live, changed, test), true, "cause body: ", "without spaces, with secret 2 of the source shop-test, environment test")
	changed = signedBy([]byte(vectorSecret), body)
	changed.Body = []byte(body + "\n")
	wantFindings(t, "wrong form and body", explained(t, live, changed), true, "without the line break at its end, with secret 1 of the source as a text")

	expired := live
	expired.Secrets = []Secret{{Value: vectorSecret, NotAfter: time.Unix(vectorTime-1, 0)}}
	wantFindings(t, "expired", explained(t, expired, signedBy(vectorKey(t), body)), false, "failed secret_expired: secret 1 of the source made this signature, and expired at 2021-02-25T15:02:09Z")
}

func TestExplainTime(t *testing.T) {
	body := envelope("payout.paid")
	for late, texts := range map[time.Duration][]string{
		7*time.Minute + 3*time.Second: {"failed timestamp_out_of_tolerance", "cause time: the signature is right, and was made 7m3s before the receipt at 2021-02-25T15:09:13Z, with a tolerance of 5m0s", "old one"},
		-2 * time.Hour:                {"failed timestamp_out_of_tolerance", "was made 2h0m0s after the receipt", "the clock of this machine is behind"},
	} {
		r := signedBy(vectorKey(t), body)
		r.ReceivedAt = r.ReceivedAt.Add(late)
		wantFindings(t, late.String(), explained(t, standardSettings(vectorSecret), r), true, texts...)
		r.Body = []byte(body + "\n") // the time does not hide another cause
		wantFindings(t, late.String(), explained(t, standardSettings(vectorSecret), r), true, "cause body: ")
	}
}

// TestExplainHeaders changes headers as proxies do.
func TestExplainHeaders(t *testing.T) {
	body := envelope("payout.paid")
	good := signedBy(vectorKey(t), body)
	signature := good.Header.Get("Webhook-Signature")
	for what, c := range map[string]struct {
		change func(h http.Header)
		cause  bool
		texts  []string
	}{
		"renamed": {func(h http.Header) { h.Del("Webhook-Signature"); h.Set("X-Original-Webhook-Signature", signature) }, true,
			[]string{"failed signature_missing", "cause headers: ", "Webhook-Signature arrives as X-Original-Webhook-Signature"}},
		"underscores": {func(h http.Header) {
			for name, values := range h.Clone() {
				h.Del(name)
				h[strings.ReplaceAll(strings.ToLower(name), "-", "_")] = values
			}
		}, true, []string{"Webhook-Id arrives as webhook_id, Webhook-Timestamp arrives as webhook_timestamp, Webhook-Signature arrives as webhook_signature"}},
		"renamed, other value": {func(h http.Header) { h.Del("Webhook-Signature"); h.Set("X-Webhook-Signature", vectorSignature) }, false, []string{"hint headers: a proxy may rename headers"}},
		"removed":              {func(h http.Header) { h.Del("Webhook-Id") }, false, []string{"failed signature_missing: the webhook has no header Webhook-Id", "hint headers: ", "only Webhook-Timestamp, Webhook-Signature arrived"}},
		"all removed":          {func(h http.Header) { clear(h) }, false, []string{"failed signature_missing", "hint cause"}},
		"twice":                {func(h http.Header) { h["Webhook-Signature"] = []string{vectorSignature, signature} }, true, []string{"there 2 times, and number 2 is right"}},
		"quoted":               {func(h http.Header) { h.Set("Webhook-Signature", `"`+signature+`"`) }, true, []string{"the header Webhook-Signature is in quotation marks"}},
		"as in a URL":          {func(h http.Header) { h.Set("Webhook-Signature", url.QueryEscape(signature)) }, true, []string{"is escaped as in a URL"}},
		"joined":               {func(h http.Header) { h.Set("Webhook-Id", "msg_1, msg_1") }, true, []string{"the header Webhook-Id is joined"}},
		"of Stripe":            {func(h http.Header) { clear(h); h.Set("Stripe-Signature", "t=1,v1=00") }, false, []string{"hint provider: the webhook has the header Stripe-Signature of the provider stripe, and the provider of the source is standard-webhooks"}},
		"hexadecimal": {func(h http.Header) { h.Set("Webhook-Signature", hexOf(signature)) }, true,
			[]string{"cause signature: the signature is right as the HMAC-SHA-256 of id.timestamp.body, in hexadecimal digits in the header Webhook-Signature"}},
		"body alone": {func(h http.Header) { h.Set("Webhook-Signature", "v1,"+macOf(sha512.New, vectorKey(t), body)) }, true, []string{"as the HMAC-SHA-512 of the body alone, in base64"}},
	} {
		r := good.copy()
		c.change(r.Header)
		wantFindings(t, what, explained(t, standardSettings(vectorSecret), r), c.cause, c.texts...)
	}
}

// hexOf returns a signature v1,BASE64 in hexadecimal digits.
func hexOf(signature string) string {
	mac, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
	return hex.EncodeToString(mac)
}

func macOf(algorithm func() hash.Hash, key []byte, text string) string {
	mac := hmac.New(algorithm, key)
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestExplainEnds checks that a large body does not take long, and that a canceled context
// ends the search.
func TestExplainEnds(t *testing.T) {
	body := `{"a":[` + strings.Repeat(`{"b":"`+strings.Repeat("c", 50)+`"},`, 4_000) + `0]}`
	begin := time.Now()
	wantFindings(t, "large", explained(t, standardSettings(vectorSecret), signedBy([]byte("unknown"), body)), false, "hint cause: ")
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("a body of %d bytes took %s", len(body), took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if findings := Explain(ctx, standardSettings(vectorSecret), signedBy([]byte("unknown"), body)); len(findings) == 0 || findings[0].Result != Failed {
		t.Errorf("Explain() with a canceled context = %v, want a failure", findings)
	}
}
