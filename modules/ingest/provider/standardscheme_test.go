package provider

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	library "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The vector TestWebhookSign of libraries/go/webhook_test.go in
// github.com/standard-webhooks/standard-webhooks.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

// standardRequest returns a webhook that arrives as soon as it is signed.
func standardRequest(prefix, id string, at int64, signature, body string) *Request {
	h := http.Header{}
	h.Set(prefix+"-id", id)
	h.Set(prefix+"-timestamp", fmt.Sprint(at))
	h.Set(prefix+"-signature", signature)
	return &Request{Header: h, Body: []byte(body), ReceivedAt: time.Unix(at, 0)}
}

// newStandard returns an adapter with secrets that have no end.
func newStandard(t testing.TB, secrets ...string) Adapter {
	t.Helper()
	s := Settings{Provider: StandardWebhooks, Source: "shop"}
	for _, secret := range secrets {
		s.Secrets = append(s.Secrets, Secret{Value: secret})
	}
	a, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func signSymmetric(key []byte, id string, at int64, body string) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// asymmetricVector returns a pair of keys made from a fixed seed, the public one as a
// secret, and a signer.
func asymmetricVector() (public string, sign func(id string, at int64, body string) string) {
	private := ed25519.NewKeyFromSeed([]byte("seed of a key for tests, 32 byte"))
	return "whpk_" + base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)), func(id string, at int64, body string) string {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(private, fmt.Appendf(nil, "%s.%d.%s", id, at, body)))
	}
}

// TestWebhookSign has the published vector of that name, under both names of the headers.
func TestWebhookSign(t *testing.T) {
	for _, secret := range []string{vectorSecret, strings.TrimPrefix(vectorSecret, "whsec_")} {
		for _, prefix := range []string{"webhook", "svix"} {
			wantAuthentic(t, newStandard(t, secret), standardRequest(prefix, vectorID, vectorTime, vectorSignature, vectorBody), 0)
		}
	}
}

// TestStandardAsymmetric has the signature that OpenSSL's and Go's Ed25519 make with a
// fixed key, which is deterministic.
func TestStandardAsymmetric(t *testing.T) {
	public, sign := asymmetricVector()
	const signature = "v1a,WyWFsWOHGDVzzXZiXrCKZ1piF2SWsCVKXyd2s3QXa+b5+VmrCJaebNc+vOoq2QU2ou59YTnE8sYCz2H20AZ7DQ=="
	if got := sign(vectorID, vectorTime, vectorBody); got != signature {
		t.Errorf("signature = %s, want %s", got, signature)
	}
	wantAuthentic(t, newStandard(t, public), standardRequest("webhook", vectorID, vectorTime, signature, vectorBody), 0)
}

// TestStandardAgreesWithTheLibrary compares with the library of Standard Webhooks.
func TestStandardAgreesWithTheLibrary(t *testing.T) {
	signer, err := library.NewWebhook(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	ours := newStandard(t, vectorSecret)
	now := time.Now()
	for _, body := range []string{vectorBody, "", "{}", "\xff\x00.", strings.Repeat("a", 100_000)} {
		good, err := signer.Sign("msg_1", now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, signature := range map[string]string{
			"good": good, "after others": "v2,x v0 v1," + strings.Repeat("A", 43) + "= " + good, "other": vectorSignature,
			"none": "", "no version": strings.TrimPrefix(good, "v1,"), "later version": "v2" + strings.TrimPrefix(good, "v1"), "cut": good[:20],
		} {
			r := standardRequest("webhook", "msg_1", now.Unix(), signature, body)
			theirs := signer.Verify([]byte(body), r.Header)
			if _, err := ours.Verify(t.Context(), r); (err == nil) != (theirs == nil) {
				t.Errorf("Verify(%s signature of %.20q) = %v, and the library says %v", name, body, err, theirs)
			}
		}
	}
}

// TestStandardOneByte changes one byte of each signed value, and of the signatures.
func TestStandardOneByte(t *testing.T) {
	public, sign := asymmetricVector()
	for secret, signature := range map[string]string{vectorSecret: vectorSignature, public: sign(vectorID, vectorTime, vectorBody)} {
		a := newStandard(t, secret)
		refuse := func(what string, change func(r *Request, to string), from string) {
			for _, to := range changes(from) {
				r := standardRequest("webhook", vectorID, vectorTime, signature, vectorBody)
				change(r, to)
				if _, err := a.Verify(t.Context(), r); !isFailure(err, SignatureInvalid, SignatureMalformed) {
					t.Errorf("Verify() with %s %q = %v, want a failure of the signature", what, to, err)
				}
			}
		}
		refuse("id", func(r *Request, to string) { r.Header.Set("webhook-id", to) }, vectorID)
		refuse("timestamp", func(r *Request, to string) { r.Header.Set("webhook-timestamp", to) }, fmt.Sprint(vectorTime))
		refuse("signature", func(r *Request, to string) { r.Header.Set("webhook-signature", to) }, signature)
		refuse("body", func(r *Request, to string) { r.Body = []byte(to) }, vectorBody)
		for _, body := range []string{vectorBody[1:], vectorBody + " ", vectorBody + "\n", " " + vectorBody, "{}"} {
			wantFailure(t, a, standardRequest("webhook", vectorID, vectorTime, signature, body), SignatureInvalid)
		}
	}
}

// TestStandardHeaders uses headers that are missing, there twice or malformed.
func TestStandardHeaders(t *testing.T) {
	a := newStandard(t, vectorSecret)
	const id, timestamp, signature = "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"
	for _, name := range []string{id, timestamp, signature} {
		for _, prefix := range []string{"webhook", "svix"} {
			r := standardRequest(prefix, vectorID, vectorTime, vectorSignature, vectorBody)
			missing := strings.Replace(name, "Webhook", http.CanonicalHeaderKey(prefix), 1)
			r.Header.Del(missing)
			want := missing
			if name == signature {
				want = signature // none of the names is there
			}
			if f := wantFailure(t, a, r, SignatureMissing); !strings.Contains(f.Message, want) {
				t.Errorf("message without %s = %q, want it to name %s", missing, f.Message, want)
			}
		}
		r := standardRequest("webhook", vectorID, vectorTime, vectorSignature, vectorBody)
		r.Header.Set(name, " ")
		wantFailure(t, a, r, SignatureMissing)
		r = standardRequest("webhook", vectorID, vectorTime, vectorSignature, vectorBody)
		r.Header.Add(name, r.Header.Get(name))
		if f := wantFailure(t, a, r, SignatureMalformed); !strings.Contains(f.Message, name) {
			t.Errorf("message with %s twice = %q, want it to name the header", name, f.Message)
		}
	}
	for header, values := range map[string][]string{
		timestamp: {"x", "-1614265330", "+1614265330", "1614265330.5", "0x60383532", "1_614_265_330", "16142653300000", "99999999999999999999", "1614265330 ", "१६१४"},
		signature: {"v1", "v1,", "v1=" + vectorSignature[3:], vectorSignature[3:], "v1,AAAA", "v1," + strings.Repeat("A", 43), vectorSignature + vectorSignature,
			"v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=", "v1a,AAAA", "v2,x", "v0,x v9,y", "V1" + vectorSignature[2:],
			strings.Replace(vectorSignature, ",", ", ", 1), "v1a" + vectorSignature[2:], strings.Repeat(vectorSignature+" ", 11), strings.Repeat("v0,x ", 10) + vectorSignature},
	} {
		for _, value := range values {
			r := standardRequest("webhook", vectorID, vectorTime, vectorSignature, vectorBody)
			r.Header.Set(header, value)
			if f := wantFailure(t, a, r, SignatureMalformed); !strings.Contains(f.Message, header) || strings.Contains(f.Message, value) && len(value) > 10 {
				t.Errorf("message about %s %s = %q, want it to name the header and not its value", header, value, f.Message)
			}
		}
	}
}

// TestStandardSignatures uses lists with a good signature.
func TestStandardSignatures(t *testing.T) {
	public, sign := asymmetricVector()
	a := newStandard(t, public, vectorSecret)
	other := "v1," + base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	for signature, secret := range map[string]int{
		vectorSignature: 1, other + " " + vectorSignature: 1, vectorSignature + " " + other: 1, "  " + vectorSignature + " ": 1,
		"v2,x v1a,broken v1,broken " + vectorSignature: 1, strings.Repeat(other+" ", 9) + vectorSignature: 1,
		vectorSignature + " " + sign(vectorID, vectorTime, vectorBody):     0,
		"v1a,AAAA " + other + " " + sign(vectorID, vectorTime, vectorBody): 0,
	} {
		wantAuthentic(t, a, standardRequest("svix", vectorID, vectorTime, signature, vectorBody), secret)
	}
	wantFailure(t, a, standardRequest("svix", vectorID, vectorTime, other, vectorBody), SignatureInvalid)
}

// TestStandardNamesAreNotMixed combines headers of both names. Values of one set never
// stand for those of the other.
func TestStandardNamesAreNotMixed(t *testing.T) {
	a := newStandard(t, vectorSecret)
	for _, name := range []string{"id", "timestamp", "signature"} {
		r := standardRequest("webhook", vectorID, vectorTime, vectorSignature, vectorBody)
		r.Header.Set("svix-"+name, r.Header.Get("webhook-"+name))
		r.Header.Del("webhook-" + name)
		wantFailure(t, a, r, SignatureMissing)
		r = standardRequest("svix", vectorID, vectorTime, vectorSignature, vectorBody)
		r.Header.Set("webhook-"+name, r.Header.Get("svix-"+name))
		r.Header.Del("svix-" + name)
		wantFailure(t, a, r, SignatureMissing)
	}
	// With both sets, the values of webhook-… are verified, and give the id.
	body := `{"type":"order.created","timestamp":"2026-01-04T10:00:00Z","data":{"order_id":"o","status":"created"}}`
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorSecret, "whsec_"))
	r := standardRequest("webhook", "msg_1", vectorTime, signSymmetric(key, "msg_1", vectorTime, body), body)
	r.Header.Set("svix-id", "msg_2")
	r.Header.Set("svix-timestamp", fmt.Sprint(vectorTime))
	r.Header.Set("svix-signature", signSymmetric(key, "msg_2", vectorTime, body))
	wantAuthentic(t, a, r, 0)
	if u, _, err := decodeOne(a, r); err != nil || u.GetEventId() != "msg_1" {
		t.Errorf("Decode() = %v, %v, want the event msg_1", u, err)
	}
	r.Header.Set("webhook-id", "msg_2")
	wantFailure(t, a, r, SignatureInvalid)
}

func TestStandardTolerance(t *testing.T) {
	for _, tolerance := range []time.Duration{0, time.Minute} {
		a, err := New(Settings{Provider: StandardWebhooks, Secrets: []Secret{{Value: vectorSecret}}, Tolerance: tolerance})
		if err != nil {
			t.Fatal(err)
		}
		if tolerance == 0 {
			tolerance = 5 * time.Minute
		}
		for late, authentic := range map[time.Duration]bool{
			tolerance: true, -tolerance: true, tolerance + 1: false, -tolerance - 1: false, 100 * 365 * 24 * time.Hour: false, -50 * 365 * 24 * time.Hour: false,
		} {
			r := standardRequest("webhook", vectorID, vectorTime, vectorSignature, vectorBody)
			r.ReceivedAt = r.ReceivedAt.Add(late)
			if authentic {
				wantAuthentic(t, a, r, 0)
				continue
			}
			wantFailure(t, a, r, TimestampOutOfBounds)
			r.Body = []byte("{}")
			wantFailure(t, a, r, SignatureInvalid) // the time of a forged webhook does not matter
		}
	}
}

// TestStandardRotation signs with secrets that end at different times.
func TestStandardRotation(t *testing.T) {
	end := time.Unix(vectorTime, 0)
	other := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		secrets []Secret
		code    string // or empty if the secret signed
		secret  int
	}{
		{[]Secret{{Value: other}, {Value: vectorSecret, NotAfter: end}}, "", 1},
		{[]Secret{{Value: other}, {Value: vectorSecret, NotAfter: end.Add(-1)}}, SecretExpired, 0},
		{[]Secret{{Value: vectorSecret, NotAfter: end.Add(-1)}, {Value: vectorSecret}}, "", 1},
		{[]Secret{{Value: other, NotAfter: end.Add(-1)}}, SignatureInvalid, 0},
	} {
		a, err := New(Settings{Provider: StandardWebhooks, Secrets: c.secrets})
		if err != nil {
			t.Fatal(err)
		}
		r := standardRequest("webhook", vectorID, vectorTime, vectorSignature, vectorBody)
		if c.code == "" {
			wantAuthentic(t, a, r, c.secret)
		} else {
			wantFailure(t, a, r, c.code)
		}
	}
}

// TestStandardSecrets uses secrets that are refused at the start, by a sentence without
// the secret.
func TestStandardSecrets(t *testing.T) {
	encoded := func(n int) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n))) }
	for secret, want := range map[string]string{
		"": "has 0 bytes", "whsec_": "has 0 bytes", "whsec_" + encoded(23): "has 23 bytes", encoded(65): "has 65 bytes", "whsec_not base64!" + encoded(24): "base64",
		encoded(24)[:10] + "\n" + encoded(24)[10:]: "base64", "whpk_" + encoded(31): "has 31 bytes", "whpk_" + encoded(33): "has 33 bytes", "whpk_?": "base64",
		"whsk_" + encoded(64): "private key", "sk_live_" + encoded(32): "base64", "whpk_whsec_" + encoded(31): "has 31 bytes",
	} {
		_, err := New(Settings{Provider: StandardWebhooks, Secrets: []Secret{{Value: vectorSecret}, {Value: secret}}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "secret 2 ") {
			t.Errorf("New() with the secret %q = %v, want an error about secret 2 with %q", secret, err, want)
		} else if bare := secret[strings.LastIndexByte(secret, '_')+1:]; len(bare) > 3 && strings.Contains(err.Error(), bare) {
			t.Errorf("the error %q contains the secret", err)
		}
	}
	for _, secret := range []string{encoded(24), "whsec_" + encoded(64), strings.TrimRight(encoded(32), "="), "whpk_" + encoded(32)} {
		newStandard(t, secret)
	}
	wantFailure(t, newStandard(t), standardRequest("webhook", vectorID, vectorTime, vectorSignature, vectorBody), SignatureInvalid)
}

// TestStandardKeysAreNotConfused signs with a public key as if it were a secret.
func TestStandardKeysAreNotConfused(t *testing.T) {
	public, sign := asymmetricVector()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil {
		t.Fatal(err)
	}
	forged := signSymmetric(key, vectorID, vectorTime, vectorBody)
	wantFailure(t, newStandard(t, public), standardRequest("webhook", vectorID, vectorTime, forged, vectorBody), SignatureInvalid)
	wantFailure(t, newStandard(t, "whsec_"+strings.TrimPrefix(public, "whpk_")),
		standardRequest("webhook", vectorID, vectorTime, sign(vectorID, vectorTime, vectorBody), vectorBody), SignatureInvalid)
}
