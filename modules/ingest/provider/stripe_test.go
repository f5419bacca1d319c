package provider

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v84/webhook"
)

const (
	stripeSecret    = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
	newStripeSecret = stripeSecret + "_rolled_key"
)

// stripeNow is the time at which the webhooks of most tests are received.
var stripeNow = time.Unix(1767520800, 0)

// newTestStripe returns the adapter of a source with the secrets.
func newTestStripe(t testing.TB, secrets ...string) Adapter {
	t.Helper()
	s := Settings{Source: "shop", Provider: Stripe, OrderIDKey: "order_id"}
	for _, secret := range secrets {
		s.Secrets = append(s.Secrets, Secret{Value: secret})
	}
	a, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stripeRequest returns a webhook that was received at stripeNow.
func stripeRequest(header string, body []byte) *Request {
	return &Request{Header: http.Header{"Stripe-Signature": {header}}, Body: body, ReceivedAt: stripeNow}
}

// signStripe returns a signature in hexadecimal digits, made by Stripe's library.
func signStripe(at time.Time, body []byte, secret string) string {
	return hex.EncodeToString(webhook.ComputeSignature(at, body, secret))
}

// stripeSigned returns a header with one signature.
func stripeSigned(at time.Time, body []byte, secret string) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), signStripe(at, body, secret))
}

// wantStripeVerdict checks the index of the secret, or the code of the failure.
func wantStripeVerdict(t *testing.T, a Adapter, r *Request, wantSecret int, wantCode string) {
	t.Helper()
	secret, err := a.Verify(t.Context(), r)
	code := ""
	if failure, ok := errors.AsType[*Failure](err); ok {
		code = failure.Code
	} else if err != nil {
		t.Fatalf("Verify failed: %v, want a Failure", err)
	}
	if code != wantCode || err == nil && secret != wantSecret {
		t.Errorf("Verify(%q) = %d, %v, want secret %d, failure %q", r.Header, secret, err, wantSecret, wantCode)
	}
	if err != nil && (strings.Contains(err.Error(), stripeSecret) || len(err.Error()) < 40) {
		t.Errorf("Verify = %q, want a sentence without the secret", err)
	}
}

// TestStripeVectors has the cases of TestTokenNew in webhook/client_test.go of stripe-go.
func TestStripeVectors(t *testing.T) {
	body := []byte("{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\",\n  \"api_version\": \"2025-09-30.clover\"\n}")
	good, rolled := stripeSigned(stripeNow, body, stripeSecret), signStripe(stripeNow, body, newStripeSecret)
	old := func(d time.Duration) string { return stripeSigned(stripeNow.Add(-d), body, stripeSecret) }
	for _, test := range []struct{ name, secret, header, code string }{
		{"one signature", stripeSecret, good, ""},
		{"no header", stripeSecret, "", SignatureMissing},
		{"blank header", stripeSecret, " ", SignatureMissing},
		{"v1,t=1", stripeSecret, "v1,t=1", SignatureMalformed},
		{"t=", stripeSecret, "t=", SignatureMalformed},
		{"bad hex beside a good signature", stripeSecret, good + ",v1=bad_signature", ""},
		{"bad hex before a good signature", stripeSecret, strings.Replace(good, ",", ",v1=bad_signature,", 1), ""},
		{"bad hex alone", stripeSecret, "t=1767520800,v1=bad_signature", SignatureInvalid},
		{"v0 only", stripeSecret, strings.Replace(good, "v1=", "v0=", 1), SignatureMalformed},
		{"v0 beside v1", stripeSecret, good + ",v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39", ""},
		{"deadbeef", stripeSecret, "t=1767520800,v1=" + hex.EncodeToString([]byte("deadbeef")), SignatureInvalid},
		{"rolled key, old secret", stripeSecret, good + ",v1=" + rolled, ""},
		{"rolled key, new secret", newStripeSecret, good + ",v1=" + rolled, ""},
		{"another secret", newStripeSecret, good, SignatureInvalid},
		{"15 seconds old", stripeSecret, old(15 * time.Second), ""},
		{"300 seconds old", stripeSecret, old(300 * time.Second), ""},
		{"301 seconds old", stripeSecret, old(301 * time.Second), TimestampOutOfBounds},
		{"300 seconds ahead", stripeSecret, old(-300 * time.Second), ""},
		{"301 seconds ahead", stripeSecret, old(-301 * time.Second), TimestampOutOfBounds}, // stripe-go accepts it
		{"12345", stripeSecret, stripeSigned(time.Unix(12345, 0), body, stripeSecret), TimestampOutOfBounds},

		{"no time", stripeSecret, good[strings.Index(good, ",")+1:], SignatureMalformed},
		{"time only", stripeSecret, "t=1767520800", SignatureMalformed},
		{"two equals signs", stripeSecret, good + ",v1==" + rolled, SignatureMalformed},
		{"no equals sign", stripeSecret, good + ",v1", SignatureMalformed},
		{"empty pair", stripeSecret, good + ",", SignatureMalformed},
		{"time is not a number", stripeSecret, "t=1e9,v1=" + rolled, SignatureMalformed},
		{"time is too large", stripeSecret, "t=99999999999999999999,v1=" + rolled, SignatureMalformed},
		{"largest time", stripeSecret, stripeSigned(time.Unix(1<<63-1, 0), body, stripeSecret), TimestampOutOfBounds},
		{"smallest time", stripeSecret, stripeSigned(time.Unix(-1<<63, 0), body, stripeSecret), TimestampOutOfBounds},
		{"truncated signature", stripeSecret, good[:len(good)-2], SignatureInvalid},
		{"odd number of digits", stripeSecret, good[:len(good)-1], SignatureInvalid},
		{"longer signature", stripeSecret, good + "00", SignatureInvalid},
		{"capital digits", stripeSecret, good[:strings.Index(good, "v1=")+3] + strings.ToUpper(signStripe(stripeNow, body, stripeSecret)), ""},
		{"alg=none", stripeSecret, "t=1767520800,alg=none", SignatureMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantStripeVerdict(t, newTestStripe(t, test.secret), stripeRequest(test.header, body), 0, test.code)
		})
	}
	t.Run("two headers", func(t *testing.T) {
		r := stripeRequest(good, body)
		r.Header.Add("Stripe-Signature", good)
		wantStripeVerdict(t, newTestStripe(t, stripeSecret), r, 0, SignatureMalformed)
	})
	t.Run("header is absent", func(t *testing.T) {
		wantStripeVerdict(t, newTestStripe(t, stripeSecret), &Request{Header: http.Header{}, Body: body, ReceivedAt: stripeNow}, 0, SignatureMissing)
	})
}

// TestStripeOneByte changes each byte of the body, of the time and of the signature.
func TestStripeOneByte(t *testing.T) {
	a := newTestStripe(t, stripeSecret)
	body := readStripe(t, "payment_intent.succeeded")
	header := stripeSigned(stripeNow, body, stripeSecret)
	for i := range body {
		body[i] ^= 1
		wantStripeVerdict(t, a, stripeRequest(header, body), 0, SignatureInvalid)
		body[i] ^= 1
	}
	for i := range header {
		if strings.IndexByte("t=,v", header[i]) >= 0 || strings.HasPrefix(header[i:], "1=") {
			continue // of the form, not signed
		}
		changed := []byte(header)
		changed[i] ^= 1
		wantStripeVerdict(t, a, stripeRequest(string(changed), body), 0, SignatureInvalid)
	}
	for _, changed := range [][]byte{append([]byte(" "), body...), append(body[:len(body):len(body)], '\n'), body[:len(body)-1], {}} {
		wantStripeVerdict(t, a, stripeRequest(header, changed), 0, SignatureInvalid)
	}
	wantStripeVerdict(t, a, stripeRequest(header, body), 0, "")
}

// TestStripeRotation has two secrets at once. Stripe signs with both.
func TestStripeRotation(t *testing.T) {
	body := []byte("{}")
	end := stripeNow.Add(-time.Hour)
	a, err := New(Settings{Provider: Stripe, Secrets: []Secret{{Value: stripeSecret, NotAfter: end}, {Value: newStripeSecret, NotAfter: stripeNow}}})
	if err != nil {
		t.Fatal(err)
	}
	byOld, byNew := stripeSigned(stripeNow, body, stripeSecret), stripeSigned(stripeNow, body, newStripeSecret)
	wantStripeVerdict(t, a, stripeRequest(byOld, body), 0, SecretExpired)
	wantStripeVerdict(t, a, stripeRequest(byNew, body), 1, "")
	wantStripeVerdict(t, a, stripeRequest(byOld+",v1="+signStripe(stripeNow, body, newStripeSecret), body), 1, "")
	r := stripeRequest(byOld, body)
	r.ReceivedAt = end
	r.Header.Set("Stripe-Signature", stripeSigned(end, body, stripeSecret))
	wantStripeVerdict(t, a, r, 0, "")
	connected := stripeRequest(byNew, body) // a connected account has no secret of its own
	connected.Header.Set("Stripe-Account", "acct_1")
	wantStripeVerdict(t, a, connected, 1, "")
}

// TestStripeManySignatures checks that a header cannot make the server compare a large
// number of signatures.
func TestStripeManySignatures(t *testing.T) {
	a := newTestStripe(t, stripeSecret)
	body := []byte("{}")
	other, good := ",v1="+signStripe(stripeNow, body, newStripeSecret), ",v1="+signStripe(stripeNow, body, stripeSecret)
	for before, code := range map[int]string{0: "", 1: "", 9: "", 10: SignatureInvalid, 1000: SignatureInvalid} {
		header := fmt.Sprintf("t=%d%s%s%s", stripeNow.Unix(), strings.Repeat(other, before), good, strings.Repeat(",v1=zz", 20))
		wantStripeVerdict(t, a, stripeRequest(header, body), 0, code)
	}
}

func TestStripeSettings(t *testing.T) {
	for secret, want := range map[string]string{
		"":                                  "whsec_",
		"sk_live_0123456789abcdef012345678": "API key",
		"WHSEC_0123456789abcdef01234567890": "whsec_",
		"whsec_":                            "too short",
		"whsec_0123456789":                  "too short",
		stripeSecret + "\n":                 "line break",
		stripeSecret + " " + stripeSecret:   "space",
	} {
		_, err := New(Settings{Provider: Stripe, Secrets: []Secret{{Value: newStripeSecret}, {Value: secret}}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "secret 2 ") || len(secret) > 6 && strings.Contains(err.Error(), secret) {
			t.Errorf("New(secret %q) = %v, want an error about secret 2 with %q and without the secret", secret, err, want)
		}
	}
	if _, err := New(Settings{Provider: Stripe}); err == nil || !strings.Contains(err.Error(), "whsec_") {
		t.Errorf("New without a secret = %v, want an error that explains where it is", err)
	}
}

// TestStripeAgreesWithTheLibrary sends random headers through the adapter and stripe-go.
// The library accepts times that are far ahead, and any number of signatures.
func TestStripeAgreesWithTheLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	a := newTestStripe(t, stripeSecret)
	body := []byte(`{"id":"evt_1"}`)
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	accepted := 0
	for range 20000 {
		now := time.Now()
		at := now.Add(time.Duration([]int{0, -10, -290, 290, -310, -1e6, 20}[random.IntN(7)]) * time.Second)
		stamp := fmt.Sprint(at.Unix())
		good := signStripe(at, body, stripeSecret)
		var pairs []string
		for range random.IntN(5) {
			pairs = append(pairs, pick("t=", "v1=", "v0=", "v1=zz", "v1="+good[1:], "v1="+good+"00", "x=1", " v1="+good, "v1= "+good, "t="+stamp, "t=0"+stamp, "t=+"+stamp,
				"t= "+stamp, "t=-"+stamp, "t=1", "v1="+signStripe(at, body, newStripeSecret), "=", "", "v1=="+good, "V1="+good, "v1="+strings.ToUpper(good)))
		}
		if random.IntN(4) > 0 {
			pairs = append(pairs, "t="+stamp, "v1="+good)
		}
		random.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		header := strings.Join(pairs, ",")
		r := stripeRequest(header, body)
		r.ReceivedAt = now
		_, got := a.Verify(t.Context(), r)
		want := webhook.ValidatePayloadWithTolerance(body, header, stripeSecret, DefaultTolerance)
		if (got == nil) != (want == nil) {
			t.Fatalf("Verify(%q) = %v, but stripe-go returns %v", header, got, want)
		}
		if got == nil {
			accepted++
		}
	}
	if accepted < 2000 || accepted > 18000 {
		t.Errorf("%d of 20000 headers were accepted, want some of both", accepted)
	}
}
