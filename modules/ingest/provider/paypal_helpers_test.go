package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testWebhookID = "8PT597110X687430LKGECATA"
	testSigner    = "messageverificationcerts.sandbox.paypal.com"
)

// signerKey is the key of PayPal in the tests. It is expensive to make.
var signerKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority returns an authority that signs itself, or one that the parent signs.
func newAuthority(t testing.TB, parent *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "payrelay test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), SerialNumber: big.NewInt(time.Now().UnixNano()),
	}
	if parent == nil {
		parent = &authority{cert: template, key: key}
	}
	if a.cert, err = x509.ParseCertificate(parent.issue(t, template, &key.PublicKey)); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue returns a certificate in DER. The template needs only what matters.
func (a *authority) issue(t testing.TB, template *x509.Certificate, key crypto.PublicKey) []byte {
	t.Helper()
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
	}
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// signer returns the certificate of PayPal's key.
func (a *authority) signer(t testing.TB, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: testSigner}, DNSNames: []string{testSigner}}
	if change != nil {
		change(template)
	}
	return a.issue(t, template, &signerKey().PublicKey)
}

func toPEM(ders ...[]byte) []byte {
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// certServer is PayPal's server of certificates, with an authority of its own.
type certServer struct {
	*authority
	host     string
	caFile   string
	requests atomic.Int64
	answer   atomic.Pointer[http.HandlerFunc]
}

func startCertServer(t testing.TB) *certServer {
	t.Helper()
	s := &certServer{authority: newAuthority(t, nil)}
	s.serve(toPEM(s.signer(t, nil)))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := s.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, &key.PublicKey)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		(*s.answer.Load())(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "https://")
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.caFile, toPEM(s.cert.Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// handle sets the answer of the server.
func (s *certServer) handle(handler http.HandlerFunc) { s.answer.Store(&handler) }

func (s *certServer) serve(content []byte) {
	s.handle(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
}

func (s *certServer) url(name string) string {
	return "https://" + s.host + "/v1/notifications/certs/" + name
}

func (s *certServer) settings() Settings {
	return Settings{
		Source: "paypal", Provider: PayPal, Environment: Test, WebhookID: testWebhookID,
		PayPalTest: &PayPalTest{CertHost: s.host, CAFile: s.caFile},
	}
}

func (s *certServer) adapter(t testing.TB) *paypal {
	t.Helper()
	adapter, err := New(s.settings())
	if err != nil {
		t.Fatal(err)
	}
	return adapter.(*paypal)
}

// paypalSignatureOf signs what PayPal signs: id, time, id of the webhook and checksum.
func paypalSignatureOf(t testing.TB, signed ...string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(strings.Join(signed, "|")))
	signature, err := rsa.SignPKCS1v15(nil, signerKey(), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// request returns an authentic webhook that was sent now.
func (s *certServer) request(t testing.TB, body string) *Request {
	t.Helper()
	return s.requestAt(t, body, time.Now())
}

func (s *certServer) requestAt(t testing.TB, body string, at time.Time) *Request {
	t.Helper()
	const id = "69cd13f0-d67a-11e5-baa3-778b53f4ae55"
	signed := at.UTC().Format(time.RFC3339)
	r := &Request{Body: []byte(body), ReceivedAt: at, Header: http.Header{}}
	for name, value := range map[string]string{
		"PAYPAL-TRANSMISSION-ID": id, "PAYPAL-TRANSMISSION-TIME": signed, "PAYPAL-CERT-URL": s.url("CERT-1"), "PAYPAL-AUTH-ALGO": "SHA256withRSA",
		"PAYPAL-TRANSMISSION-SIG": paypalSignatureOf(t, id, signed, testWebhookID, fmt.Sprint(crc32.ChecksumIEEE([]byte(body)))),
	} {
		r.Header.Set(name, value)
	}
	return r
}
