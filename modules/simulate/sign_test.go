package simulate

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The scheme of stripe-go, webhook/client.go; recomputed with openssl dgst.
func TestStripeSignature(t *testing.T) {
	body := []byte(`{"id": "evt_test_webhook", "object": "event"}`)
	got := stripeSignature("whsec_test_secret", time.Unix(1495999758, 0), body)
	const want = "t=1495999758,v1=56b61e67e108ca13d71f1ab9a646e79b52e2cd35117960edd4def9de74af23d1"
	if got != want {
		t.Errorf("stripeSignature() = %s, want %s", got, want)
	}
}

// The vector of adyen-go-api-library, src/hmacvalidator/hmacvalidator_test.go.
func TestAdyenSignature(t *testing.T) {
	item := object{
		"additionalData": object{}, "amount": object{"currency": "EUR", "value": int64(1000)}, "eventCode": "EVENT",
		"merchantAccountCode": "merchantAccount", "merchantReference": "reference", "originalReference": "originalReference",
		"pspReference": "pspReference", "success": "true",
	}
	k := &credentials{Config: &Config{BasicAuth: "adyen:password"}, live: true}
	signed, err := adyenRequest(k, "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00", []event{{body: item}, {body: item}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var sent struct {
		Live              string
		NotificationItems []struct {
			NotificationRequestItem struct {
				AdditionalData struct{ HmacSignature string }
			}
		}
	}
	if err := json.Unmarshal(signed.body, &sent); err != nil || sent.Live != "true" || len(sent.NotificationItems) != 2 {
		t.Fatalf("the body is %s, %v, want two live items", signed.body, err)
	}
	for _, i := range sent.NotificationItems {
		if got := i.NotificationRequestItem.AdditionalData.HmacSignature; got != "ipnxGCaUZ4l8TUW75a71/ghd2Fe5ffvX0pV4TLTntIc=" {
			t.Errorf("the signature is %s, want that of the vector", got)
		}
	}
	if got := signed.header.Get("Authorization"); got != "Basic "+base64.StdEncoding.EncodeToString([]byte("adyen:password")) {
		t.Errorf("Authorization = %q, want the login", got)
	}
	if len(item["additionalData"].(object)) != 0 {
		t.Error("the signature changes the event itself")
	}
	if _, err := adyenRequest(k, "not hex", []event{{body: item}}, time.Now()); err == nil || strings.Contains(err.Error(), "not hex") {
		t.Errorf("a key that is not hex is %v, want an error without the key", err)
	}
}

// The vector of standard-webhooks, libraries/go/webhook_test.go, TestWebhookSign.
func TestStandardSignature(t *testing.T) {
	header := make(http.Header)
	err := signStandard(header, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
		time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	if err := signStandard(header, "whsec_%%", "msg_1", time.Now(), nil); err == nil || strings.Contains(err.Error(), "%%") {
		t.Errorf("a secret that is not base64 is %v, want an error without the secret", err)
	}
}

func TestStandardSignatureOfPrivateKey(t *testing.T) {
	private := ed25519.NewKeyFromSeed(randomBytes(ed25519.SeedSize))
	for _, key := range [][]byte{private, private.Seed()} {
		header := make(http.Header)
		if err := signStandard(header, "whsk_"+base64.StdEncoding.EncodeToString(key), "msg_1", time.Unix(1614265330, 0), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		text, ok := strings.CutPrefix(header.Get("Webhook-Signature"), "v1a,")
		signature, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || !ed25519.Verify(private.Public().(ed25519.PublicKey), []byte("msg_1.1614265330.{}"), signature) {
			t.Errorf("Webhook-Signature = %s, want one that the public key verifies", header.Get("Webhook-Signature"))
		}
	}
	if err := signStandard(make(http.Header), "whsk_AAAA", "msg_1", time.Now(), nil); err == nil {
		t.Error("a private key of 3 bytes is accepted")
	}
}

// Recomputed with openssl dgst and base64.
func TestSolidgateSignature(t *testing.T) {
	const want = "NzJlNjVlMDE1OGJiMTJkZTkzNTBhYzRhMTM0NzI4NWRhNTQxNzI4MTUwNWI3NmEwOWM3NGE1YTNjYjZmMDA0MzM5YmFiMGJjMGExMzJlZWE3OTJhNjdkYWNhNmU2NTNmMGNjZTNiNDcxMTY2MTI4NjUxNGNiNTMxOWM3ZjBmOGI="
	if got := solidgateSignature("wh_pk_1", "wh_sk_1", []byte(`{"order":1}`)); got != want {
		t.Errorf("solidgateSignature() = %s, want %s", got, want)
	}
}

func TestGenericSignature(t *testing.T) {
	for _, test := range []struct {
		scheme Signature
		want   string
	}{
		{Signature{Algorithm: "sha256", Encoding: "hex", Prefix: "sha256="}, "sha256=88a67f24bbcdaed0e6c997404bb79a743baf44c6bab2f4c27328e3009d22e342"},
		{Signature{Algorithm: "sha512", Encoding: "base64"}, "3H2KankmBZ6YaX71SmX3Rdkk/D4TwRdoedzchOrEgLrjd/oG0evMb6sTdc2b1hGhiZaUzEyn3A9inYuBM8XIPQ=="},
	} {
		if got := test.scheme.mac("key", []byte(`{"a":1}`)); got != test.want {
			t.Errorf("%+v: mac() = %s, want %s", test.scheme, got, test.want)
		}
	}
}

func TestPayPalSignedText(t *testing.T) {
	got := paypalSigned("id", "2026-01-04T10:00:00Z", "8PT5", []byte(`{"id":"WH-1"}`))
	if want := "id|2026-01-04T10:00:00Z|8PT5|838965618"; got != want {
		t.Errorf("paypalSigned() = %s, want %s", got, want)
	}
}

// A receiver that trusts ca.pem gets the certificate, finds it signed, and verifies with
// its key.
func TestPayPalSignature(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "paypal")
	certificates, err := serveCertificates(t.Context(), dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &credentials{Config: &Config{WebhookID: "8PT5"}, certificates: certificates}
	signed, err := paypalRequest(k, "", []event{{body: object{"id": "WH-1"}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(signed.header.Get("Paypal-Cert-Url"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	chain, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(chain)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: paypalSubject}); err != nil {
		t.Errorf("the certificate of the key: %v", err)
	}
	signature, err := base64.StdEncoding.DecodeString(signed.header.Get("Paypal-Transmission-Sig"))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(paypalSigned(signed.header.Get("Paypal-Transmission-Id"), signed.header.Get("Paypal-Transmission-Time"), "8PT5", signed.body)))
	if err := rsa.VerifyPKCS1v15(leaf.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], signature); err != nil {
		t.Errorf("the signature: %v, want one of the certificate's key", err)
	}
}

// The authority and the address outlive a run, because a server trusts them.
func TestAuthorityStays(t *testing.T) {
	dir := t.TempDir()
	first, err := writeAuthority(dir, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		t.Fatal(err)
	}
	second, err := writeAuthority(dir, "127.0.0.1:0")
	after, readErr := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil || readErr != nil || first != second || string(before) != string(after) {
		t.Errorf("writeAuthority() = %s, then %s, %v, want the same address and authority", first, second, err)
	}
	for _, file := range []string{caFile, caKeyFile, addressFile} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, %v, want 0600", file, info.Mode(), err)
		}
	}
}

// Every provider signs the body that is sent, at the time of sending.
func TestEveryProviderSigns(t *testing.T) {
	secrets := map[string]string{"adyen": hex.EncodeToString(randomBytes(32))}
	for name, p := range providers {
		if name == "paypal" {
			continue // see TestPayPalSignature
		}
		secret := secrets[name]
		if secret == "" {
			secret = "whsec_" + base64.StdEncoding.EncodeToString(randomBytes(32))
		}
		k := &credentials{Config: &Config{PublicKey: "wh_pk_1", Signature: Signature{Scheme: "standard-webhooks"}}}
		e := p.event(livesOf(t, name, 1)[0], 0, false)
		first, err1 := p.request(k, secret, []event{e}, time.Unix(1_700_000_000, 0))
		second, err2 := p.request(k, secret, []event{e}, time.Unix(1_700_000_007, 0))
		if err1 != nil || err2 != nil || len(first.body) == 0 || string(first.body) != string(second.body) {
			t.Fatalf("%s: %v, %v, want the same body at each attempt", name, err1, err2)
		}
		signsTime := name != "adyen" && name != "solidgate"
		if same := fmt.Sprint(first.header) == fmt.Sprint(second.header); same == signsTime {
			t.Errorf("%s: the headers of two attempts are the same: %t, want %t", name, same, !signsTime)
		}
	}
}
