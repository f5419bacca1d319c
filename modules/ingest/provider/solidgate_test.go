package provider

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
)

const (
	solidgatePublic = "wh_pk_7b197cfe8a3d4a5c9ba108f842"
	solidgateSecret = "wh_sk_0c1f6b7b6c4a4d1f8f3b0e5a9d2c7e61"
)

var solidgateSettings = Settings{Secrets: []Secret{{Value: solidgateSecret, PublicKey: solidgatePublic}}}

// signSolidgate returns the signature as the documentation of Solidgate describes it.
func signSolidgate(public, secret, body string) string {
	mac := hmac.New(sha512.New, []byte(secret))
	fmt.Fprint(mac, public, body, public)
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", mac.Sum(nil)))
}

// solidgateRequest returns a signed webhook of a type.
func solidgateRequest(event, id, at, body string) *Request {
	header := make(http.Header)
	header.Set("merchant", solidgatePublic)
	header.Set("signature", signSolidgate(solidgatePublic, solidgateSecret, body))
	header.Set("solidgate-event-id", id)
	header.Set("solidgate-event-created-at", at)
	header.Set("solidgate-event-type", event)
	return &Request{Header: header, Body: []byte(body), ReceivedAt: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)}
}

const solidgateBodyText = `{"order":{"order_id":"order-1","amount":5000,"currency":"EUR","status":"settle_ok"}}`

func solidgateOrderRequest() *Request {
	return solidgateRequest("card_gate.order.updated", "e1", "2025-06-05T12:34:56.789Z", solidgateBodyText)
}

func newSolidgateSource(t testing.TB, secrets ...Secret) Adapter {
	t.Helper()
	settings := solidgateSettings
	settings.Provider, settings.Source = Solidgate, "solidgate-eu"
	if len(secrets) > 0 {
		settings.Secrets = secrets
	}
	adapter, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return adapter
}

// The examples were signed by another program.
func TestSolidgateExamples(t *testing.T) {
	examples := readExamples(t)[Solidgate]
	seen := make(map[jsonbody.Text]bool)
	for _, e := range examples {
		r := &Request{Header: e.header, Body: e.body}
		wantAuthentic(t, newSolidgateSource(t), r, 0)
		body := strings.ReplaceAll(string(e.body), `": "`, `":"`)
		for _, status := range slices.Concat(slices.Collect(maps.Keys(solidgateStatuses)), slices.Collect(maps.Keys(solidgateDisputes))) {
			seen[status] = seen[status] || strings.Contains(body, `"status":"`+string(status)+`"`)
		}
	}
	for status, found := range seen {
		if !found && status != "created" && status != "settle_pending" {
			t.Errorf("testdata/webhooks/solidgate has no example of %s", status)
		}
	}
}

func TestSolidgateRefusesOneChangedByte(t *testing.T) {
	adapter := newSolidgateSource(t)
	wantAuthentic(t, adapter, solidgateOrderRequest(), 0)
	for i := range solidgateBodyText {
		r := solidgateOrderRequest()
		r.Body[i] ^= 1
		wantFailure(t, adapter, r, SignatureInvalid)
	}
	for _, body := range []string{"", solidgateBodyText + "\n", " " + solidgateBodyText, solidgateBodyText[1:]} {
		r := solidgateOrderRequest()
		r.Body = []byte(body)
		wantFailure(t, adapter, r, SignatureInvalid)
	}
}

func TestSolidgateSignatureForms(t *testing.T) {
	valid := solidgateOrderRequest().Header.Get("signature")
	text, _ := base64.StdEncoding.DecodeString(valid)
	mac, _ := hex.DecodeString(string(text))
	for signature, code := range map[string]string{
		"": SignatureMissing, " ": SignatureMissing, "x": SignatureMalformed, valid[:40]: SignatureMalformed, valid + "=": SignatureMalformed,
		string(text): SignatureMalformed, base64.StdEncoding.EncodeToString(mac): SignatureMalformed,
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat("g", 128))): SignatureMalformed,
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0", 128))): SignatureInvalid,
		signSolidgate("", solidgateSecret, solidgateBodyText):               SignatureInvalid, // without the public key
		signSolidgate(solidgatePublic, solidgatePublic, solidgateBodyText):  SignatureInvalid,
	} {
		r := solidgateOrderRequest()
		r.Header.Set("signature", signature)
		wantFailure(t, newSolidgateSource(t), r, code)
	}
	for _, name := range []string{"merchant", "signature"} {
		r := solidgateOrderRequest()
		r.Header.Add(name, r.Header.Get(name))
		wantFailure(t, newSolidgateSource(t), r, SignatureMalformed)
		r.Header.Del(name)
		wantFailure(t, newSolidgateSource(t), r, SignatureMissing)
	}
}

// The header merchant chooses the secret. A pair does not sign for another one.
func TestSolidgateChoosesTheSecret(t *testing.T) {
	const otherPublic, otherSecret, newer = "wh_pk_other", "wh_sk_11111111111111111111111111", "wh_sk_22222222222222222222222222"
	end := solidgateOrderRequest().ReceivedAt
	adapter := newSolidgateSource(t,
		Secret{Value: otherSecret, PublicKey: otherPublic},
		Secret{Value: newer, PublicKey: solidgatePublic},
		Secret{Value: solidgateSecret, PublicKey: solidgatePublic, NotAfter: end})
	signed := func(merchant, public, secret string) *Request {
		r := solidgateOrderRequest()
		r.Header.Set("merchant", merchant)
		r.Header.Set("signature", signSolidgate(public, secret, solidgateBodyText))
		return r
	}
	wantAuthentic(t, adapter, signed(otherPublic, otherPublic, otherSecret), 0)
	wantAuthentic(t, adapter, signed(solidgatePublic, solidgatePublic, newer), 1)
	wantAuthentic(t, adapter, signed(solidgatePublic, solidgatePublic, solidgateSecret), 2)
	wantFailure(t, adapter, signed(solidgatePublic, solidgatePublic, otherSecret), SignatureInvalid)
	wantFailure(t, adapter, signed(otherPublic, solidgatePublic, solidgateSecret), SignatureInvalid)
	if f := wantFailure(t, adapter, signed("wh_pk_unknown", solidgatePublic, solidgateSecret), SignatureInvalid); !strings.Contains(f.Message, "public_key") {
		t.Errorf("the failure of an unknown merchant is %v, want one that names public_key", f)
	}
	late := signed(solidgatePublic, solidgatePublic, solidgateSecret)
	late.ReceivedAt = end.Add(time.Second)
	wantFailure(t, adapter, late, SecretExpired)
}

func TestSolidgateSettings(t *testing.T) {
	for _, test := range []struct{ secret, public, want string }{
		{solidgateSecret, "", "has no public_key"},
		{"", solidgatePublic, "is too short"},
		{"wh_sk_short", solidgatePublic, "is too short"},
		{solidgatePublic, solidgateSecret, "are exchanged"},
		{solidgateSecret, "wh_sk_0c1f6b7b6c4a4d1f", "are exchanged"},
		{"api_sk_0c1f6b7b6c4a4d1f8f3b0e5a", "api_pk_7b197cfe8a3d4a5c", "is an API key"},
	} {
		_, err := New(Settings{Provider: Solidgate, Secrets: []Secret{solidgateSettings.Secrets[0], {Value: test.secret, PublicKey: test.public}}})
		if err == nil || !strings.HasPrefix(err.Error(), "secret 2 ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New with the secret %q and public_key %q = %v, want %q", test.secret, test.public, err, test.want)
		}
		if err != nil && test.secret != "" && strings.Contains(err.Error(), test.secret) {
			t.Errorf("New = %v, which contains the secret", err)
		}
	}
	adapter, err := New(Settings{Provider: Solidgate})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t, adapter, solidgateOrderRequest(), SignatureInvalid)
}

// FuzzSolidgateHeaders passes headers to Verify. Only the signature is accepted.
func FuzzSolidgateHeaders(f *testing.F) {
	valid := solidgateOrderRequest().Header
	for _, signature := range []string{valid.Get("signature"), "", "=", strings.Repeat("A", 171) + "=", strings.Repeat("MA", 85) + "==", "\n"} {
		f.Add(solidgatePublic, signature)
		f.Add("wh_pk_other", signature)
	}
	f.Fuzz(func(t *testing.T, merchant, signature string) {
		r := solidgateOrderRequest()
		r.Header.Set("merchant", merchant)
		r.Header.Set("signature", signature)
		_, err := newSolidgateSource(t).Verify(t.Context(), r)
		if failure, ok := err.(*Failure); err != nil && (!ok || failure.Code == "" || failure.Message == "") {
			t.Errorf("Verify(%q, %q) = %v, want a Failure", merchant, signature, err)
		}
		text, _ := base64.StdEncoding.DecodeString(signature)
		want, _ := base64.StdEncoding.DecodeString(valid.Get("signature"))
		if same := merchant == solidgatePublic && strings.EqualFold(string(text), string(want)); same != (err == nil) && !strings.ContainsAny(signature, "\r\n") {
			t.Errorf("Verify(%q, %q) = %v", merchant, signature, err)
		}
	})
}
