package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The example of "Validating webhook deliveries" in GitHub's documentation.
const (
	gitHubSecret = "It's a Secret to Everybody"
	gitHubBody   = "Hello, World!"
	gitHubMAC    = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
)

// newHMAC returns the adapter of a generic source.
func newHMAC(t testing.TB, signature Signature, secrets ...string) Adapter {
	t.Helper()
	s := Settings{Provider: Generic, Source: "shop", Signature: signature}
	s.Signature.Scheme = SchemeHMAC
	for _, secret := range secrets {
		s.Secrets = append(s.Secrets, Secret{Value: secret})
	}
	a, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func hmacRequest(header, value, body string) *Request {
	return &Request{Path: ordersPath, Header: http.Header{http.CanonicalHeaderKey(header): {value}}, Body: []byte(body), ReceivedAt: time.Now()}
}

// TestHMACVectors has GitHub's example and test case 4 of RFC 4231.
func TestHMACVectors(t *testing.T) {
	github := newHMAC(t, Signature{Header: "x-hub-signature-256", Prefix: "sha256="}, "another secret of 24 bytes or more", gitHubSecret)
	wantAuthentic(t, github, hmacRequest("X-Hub-Signature-256", "sha256="+gitHubMAC, gitHubBody), 1)
	wantAuthentic(t, github, hmacRequest("X-Hub-Signature-256", "sha256="+strings.ToUpper(gitHubMAC), gitHubBody), 1)

	var key []byte
	for b := range 25 {
		key = append(key, byte(b+1))
	}
	body := strings.Repeat("\xcd", 50)
	for algorithm, mac := range map[string]string{
		"sha256": "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
		"sha512": "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db" +
			"a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
	} {
		a := newHMAC(t, Signature{Header: "X-Mac", Algorithm: algorithm, Encoding: "hex"}, string(key))
		wantAuthentic(t, a, hmacRequest("X-Mac", mac, body), 0)
		wantFailure(t, a, hmacRequest("X-Mac", mac, body+"\n"), SignatureInvalid)
	}
}

func TestHMACInBase64(t *testing.T) {
	a := newHMAC(t, Signature{Header: "X-Mac", Encoding: "base64", Prefix: "v1:"}, gitHubSecret)
	mac := hmac.New(sha256.New, []byte(gitHubSecret))
	fmt.Fprint(mac, gitHubBody)
	text := "v1:" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	wantAuthentic(t, a, hmacRequest("X-Mac", text, gitHubBody), 0)
	for _, changed := range append(changes(text), text[:len(text)-1], text+"=", text[3:], "V1:"+text[3:]) {
		if _, err := a.Verify(t.Context(), hmacRequest("X-Mac", changed, gitHubBody)); !isFailure(err, SignatureInvalid, SignatureMalformed) {
			t.Errorf("Verify() with the MAC %q = %v, want a failure of the signature", changed, err)
		}
	}
}

// TestHMACOneByte changes one byte of the MAC and of the body.
func TestHMACOneByte(t *testing.T) {
	a := newHMAC(t, Signature{Header: "X-Mac", Prefix: "sha256="}, gitHubSecret)
	for _, changed := range changes("sha256=" + gitHubMAC) {
		if _, err := a.Verify(t.Context(), hmacRequest("X-Mac", changed, gitHubBody)); !isFailure(err, SignatureInvalid, SignatureMalformed) {
			t.Errorf("Verify() with the MAC %q = %v, want a failure of the signature", changed, err)
		}
	}
	for _, changed := range changes(gitHubBody) {
		wantFailure(t, a, hmacRequest("X-Mac", "sha256="+gitHubMAC, changed), SignatureInvalid)
	}
}

func TestHMACHeader(t *testing.T) {
	a := newHMAC(t, Signature{Header: "X-Mac", Prefix: "sha256="}, gitHubSecret)
	good := "sha256=" + gitHubMAC
	wantFailure(t, a, hmacRequest("X-Other", good, gitHubBody), SignatureMissing)
	wantFailure(t, a, hmacRequest("X-Mac", "", gitHubBody), SignatureMissing)
	for _, value := range []string{gitHubMAC, "sha512=" + gitHubMAC, "sha256=", "sha256=" + gitHubMAC[2:], good + "00", good + ", " + good, "sha256=0x" + gitHubMAC[2:], good + " "} {
		f := wantFailure(t, a, hmacRequest("X-Mac", value, gitHubBody), SignatureMalformed)
		if !strings.Contains(f.Message, "X-Mac") || !strings.Contains(f.Message, "sha256=HEX") || strings.Contains(f.Message, gitHubMAC) {
			t.Errorf("message about %s = %q, want the name and the form of the header", value, f.Message)
		}
	}
	twice := hmacRequest("X-Mac", good, gitHubBody)
	twice.Header.Add("X-Mac", good)
	wantFailure(t, a, twice, SignatureMalformed)
}

func TestHMACSecretExpires(t *testing.T) {
	now := time.Now()
	a, err := New(Settings{Provider: Generic, Signature: Signature{Scheme: SchemeHMAC, Header: "X-Mac"}, Secrets: []Secret{{Value: gitHubSecret, NotAfter: now}}})
	if err != nil {
		t.Fatal(err)
	}
	r := hmacRequest("X-Mac", gitHubMAC, gitHubBody)
	r.ReceivedAt = now
	wantAuthentic(t, a, r, 0)
	r.ReceivedAt = now.Add(1)
	wantFailure(t, a, r, SecretExpired)
}

// TestSignatureSettings has combinations of settings that are refused at the start.
func TestSignatureSettings(t *testing.T) {
	for want, g := range map[string]Signature{
		`the scheme "HMAC" is not known`:        {Scheme: "HMAC", Header: "X-Mac"},
		`"" is not the name of a header`:        {Scheme: SchemeHMAC},
		`"X Mac" is not the name of a header`:   {Scheme: SchemeHMAC, Header: "X Mac"},
		`the algorithm "sha1" is not known`:     {Scheme: SchemeHMAC, Header: "X-Mac", Algorithm: "sha1"},
		`the encoding "base64url" is not known`: {Scheme: SchemeHMAC, Header: "X-Mac", Encoding: "base64url"},
		`begin with the prefix "sha256= "`:      {Scheme: SchemeHMAC, Header: "X-Mac", Prefix: "sha256= "},
		`begin with the prefix "a\nb"`:          {Scheme: SchemeHMAC, Header: "X-Mac", Prefix: "a\nb"},
		`add scheme: hmac`:                      {Header: "X-Mac"},
		`add scheme: hmac, or`:                  {Scheme: SchemeStandardWebhooks, Algorithm: "sha256"},
		`add scheme: hmac, or remove`:           {Encoding: "hex"},
		`add scheme: hmac, or remove them`:      {Prefix: "sha256="},
	} {
		_, err := New(Settings{Provider: Generic, Signature: g, Secrets: []Secret{{Value: vectorSecret}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() with the signature %+v = %v, want an error with %q", g, err, want)
		}
		if _, err := New(Settings{Provider: Generic, Signature: g}); err == nil && g.Scheme != SchemeHMAC {
			t.Errorf("New() with the signature %+v and no secret succeeded, want an error", g)
		}
	}
	short := gitHubSecret[:23]
	_, err := New(Settings{Provider: Generic, Signature: Signature{Scheme: SchemeHMAC, Header: "X-Mac"}, Secrets: []Secret{{Value: short}}})
	if err == nil || !strings.HasPrefix(err.Error(), "secret 1 has 23 bytes") || strings.Contains(err.Error(), short) {
		t.Errorf("New() with a secret of 23 bytes = %v, want an error about secret 1 without it", err)
	}
}

// TestGenericSchemes checks which webhooks a generic source accepts, and the id of an
// event whose body has none.
func TestGenericSchemes(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{order(), order("provider_event_id", ""), order("provider_event_id", `" "`), order("provider_event_id", `null`)} {
		want := "msg_1"
		if body == order() {
			want = "evt-1"
		}
		for _, scheme := range []string{"", SchemeStandardWebhooks} {
			a, err := New(Settings{Provider: Generic, Signature: Signature{Scheme: scheme}, Secrets: []Secret{{Value: vectorSecret}}})
			if err != nil {
				t.Fatal(err)
			}
			r := standardRequest("svix", "msg_1", vectorTime, signSymmetric(key, "msg_1", vectorTime, body), body)
			r.Path = ordersPath
			wantAuthentic(t, a, r, 0)
			if u, _, err := decodeOne(a, r); err != nil || u.GetEventId() != want {
				t.Errorf("Decode(%s) = %v, %v, want the event %s", body, u, err, want)
			}
			wantFailure(t, a, &Request{Path: ordersPath, Header: http.Header{}, Body: []byte(body), ReceivedAt: r.ReceivedAt}, SignatureMissing)
		}
		// These do not sign the header, so that its id does not count.
		for name, a := range map[string]Adapter{"unsigned": newHMAC(t, Signature{Header: "X-Mac"}), "hmac": newHMAC(t, Signature{Header: "X-Mac"}, gitHubSecret)} {
			r := hmacRequest("Webhook-Id", "msg_1", body)
			switch u, _, err := decodeOne(a, r); {
			case body == order() && (err != nil || u.GetEventId() != want):
				t.Errorf("%s: Decode(%s) = %v, %v, want the event %s", name, body, u, err, want)
			case body != order() && err == nil:
				t.Errorf("%s: Decode(%s) = %v, want an error", name, body, u)
			}
		}
	}
	unsigned := newHMAC(t, Signature{Header: "X-Mac"})
	wantAuthentic(t, unsigned, hmacRequest("X-Other", "x", "{}"), 0)
}

func TestGenericOrderIDPrefix(t *testing.T) {
	a, err := New(Settings{Provider: Generic, OrderIDPrefix: "eu-"})
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{ordersPath: order(), disputesPath: dispute()} {
		if u, _, err := decodeOne(a, &Request{Path: path, Body: []byte(body), ReceivedAt: time.Now()}); err != nil || u.GetOrderId() != "eu-order-1" {
			t.Errorf("Decode(%s) = %v, %v, want the order eu-order-1", body, u, err)
		}
	}
	if u, _, err := decodeOne(a, &Request{Path: ordersPath, Body: []byte(order("order_id", "")), ReceivedAt: time.Now()}); err == nil {
		t.Errorf("Decode() without an order id = %v, want an error", u)
	}
}
