package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Which certificates are trusted.
func TestPayPalCertificate(t *testing.T) {
	server := startCertServer(t)
	stranger := newAuthority(t, nil)
	between := newAuthority(t, server.authority)
	named := func(names ...string) []byte {
		return toPEM(server.signer(t, func(cert *x509.Certificate) { cert.DNSNames = names }))
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withKey := func(key any) []byte {
		return toPEM(server.issue(t, &x509.Certificate{DNSNames: []string{testSigner}}, key))
	}
	valid := func(from, to time.Duration) []byte {
		return toPEM(server.signer(t, func(cert *x509.Certificate) {
			cert.NotBefore, cert.NotAfter = time.Now().Add(from), time.Now().Add(to)
		}))
	}
	genuine := server.signer(t, nil)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"genuine":                           {toPEM(genuine), ""},
		"with the root":                     {toPEM(genuine, server.cert.Raw), ""},
		"the root first":                    {toPEM(server.cert.Raw, genuine), ""},
		"with a stranger":                   {toPEM(stranger.cert.Raw, genuine), ""},
		"issuer included":                   {toPEM(between.signer(t, nil), between.cert.Raw), ""},
		"issuer unknown":                    {toPEM(between.signer(t, nil)), CertificateNotTrusted},
		"name of the live environment":      {named("messageverificationcerts.paypal.com"), ""},
		"issued by a stranger":              {toPEM(stranger.signer(t, nil), stranger.cert.Raw), CertificateNotTrusted},
		"issued by a stranger, and genuine": {toPEM(stranger.signer(t, nil), genuine), CertificateNotTrusted},
		"issued by PayPal itself":           {toPEM(selfSigned(t)), CertificateNotTrusted},
		"expired":                           {valid(-2*time.Hour, -time.Hour), CertificateNotTrusted},
		"not yet valid":                     {valid(time.Hour, 2*time.Hour), CertificateNotTrusted},
		"another name":                      {named("www.paypal.com"), CertificateNotTrusted},
		"a name with a suffix":              {named(testSigner + ".evil.example"), CertificateNotTrusted},
		"a name with a prefix":              {named("x" + testSigner), CertificateNotTrusted},
		"a wildcard":                        {named("*.sandbox.paypal.com"), CertificateNotTrusted},
		"a common name only":                {named(), CertificateNotTrusted},
		"several names":                     {named("www.sandbox.paypal.com", testSigner), ""},
		"an elliptic key":                   {withKey(&elliptical.PublicKey), CertificateNotTrusted},
		"a short key":                       {withKey(&small.PublicKey), CertificateNotTrusted},
		"another key":                       {toPEM(server.issue(t, &x509.Certificate{DNSNames: []string{testSigner}}, &otherKey(t).PublicKey)), SignatureInvalid},
		"empty":                             {nil, "another error"},
		"a page":                            {[]byte("<html>under maintenance</html>"), "another error"},
		"DER":                               {genuine, "another error"},
		"a broken certificate":              {toPEM([]byte("x")), "another error"},
		"too long":                          {append(toPEM(genuine), make([]byte, maxCertBytes)...), "another error"},
	} {
		server.serve(c.content)
		if _, err := server.adapter(t).Verify(t.Context(), server.request(t, paypalBody)); failureCode(err) != c.want {
			t.Errorf("%s: Verify() = %v, want %q", name, err, c.want)
		}
	}
}

func selfSigned(t *testing.T) []byte {
	t.Helper()
	template := &x509.Certificate{DNSNames: []string{testSigner}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &signerKey().PublicKey, signerKey())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func otherKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// PayPal's file has only the certificate of the signer. The certificate names the address
// of its issuer.
func TestPayPalFetchesTheIssuer(t *testing.T) {
	server := startCertServer(t)
	between := newAuthority(t, server.authority)
	for name, c := range map[string]struct {
		status  int
		content []byte
		want    string
	}{
		"DER":          {http.StatusOK, between.cert.Raw, ""},
		"PEM":          {http.StatusOK, toPEM(between.cert.Raw), ""},
		"another one":  {http.StatusOK, newAuthority(t, server.authority).cert.Raw, CertificateNotTrusted},
		"a stranger":   {http.StatusOK, newAuthority(t, nil).cert.Raw, CertificateNotTrusted},
		"a page":       {http.StatusOK, []byte("<html>"), "another error"},
		"not found":    {http.StatusNotFound, nil, "another error"},
		"out of order": {http.StatusBadGateway, nil, "another error"},
	} {
		plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write(c.content)
		}))
		server.serve(toPEM(between.signer(t, func(cert *x509.Certificate) { cert.IssuingCertificateURL = []string{plain.URL} })))
		if _, err := server.adapter(t).Verify(t.Context(), server.request(t, paypalBody)); failureCode(err) != c.want {
			t.Errorf("%s: Verify() = %v, want %q", name, err, c.want)
		}
		plain.Close()
	}
}

// Answers of the server that are not a certificate. After all but one, the webhook must be
// sent again.
func TestPayPalFetchFails(t *testing.T) {
	server := startCertServer(t)
	elsewhere := startCertServer(t)
	genuine := toPEM(server.signer(t, nil))
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.url("CERT-1"), http.StatusFound)
		}, "another error"},
		"redirect to a certificate": {func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/CERT-1") {
				http.Redirect(w, r, server.url("CERT-2"), http.StatusMovedPermanently)
			}
			_, _ = w.Write(genuine)
		}, "another error"},
		"not found":        {status(http.StatusNotFound), CertificateNotTrusted},
		"gone":             {status(http.StatusGone), CertificateNotTrusted},
		"forbidden":        {status(http.StatusForbidden), "another error"},
		"too many":         {status(http.StatusTooManyRequests), "another error"},
		"out of order":     {status(http.StatusInternalServerError), "another error"},
		"no content":       {status(http.StatusNoContent), "another error"},
		"connection lost":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "another error"},
		"too many headers": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) }, "another error"},
	} {
		server.handle(c.handler)
		if _, err := server.adapter(t).Verify(t.Context(), server.request(t, paypalBody)); failureCode(err) != c.want {
			t.Errorf("%s: Verify() = %v, want %q", name, err, c.want)
		}
	}
	if n := elsewhere.requests.Load(); n != 0 {
		t.Errorf("the target of a redirect got %d requests, want 0", n)
	}
	r := server.request(t, paypalBody)
	s := server.settings()
	s.PayPalTest.CAFile = elsewhere.caFile
	adapter, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adapter.Verify(t.Context(), r); failureCode(err) != "another error" {
		t.Errorf("Verify() with a server that is not to be trusted = %v, want another error", err)
	}
	s = server.settings()
	s.PayPalTest.CertHost = "127.0.0.1:1"
	if adapter, err = New(s); err != nil {
		t.Fatal(err)
	}
	r.Header.Set(paypalCertURL, "https://127.0.0.1:1/v1/notifications/certs/CERT-1")
	if _, err := adapter.Verify(t.Context(), r); failureCode(err) != "another error" {
		t.Errorf("Verify() without a server = %v, want another error", err)
	}
}

// One fetch serves all webhooks that arrive at the same time, and all later ones.
func TestPayPalFetchesOnce(t *testing.T) {
	server := startCertServer(t)
	p := server.adapter(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	content := toPEM(server.signer(t, nil))
	server.handle(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived) // panics at a second request
		<-release
		_, _ = w.Write(content)
	})
	r := server.request(t, paypalBody)
	errs := make(chan error, 100)
	for range cap(errs) {
		go func() {
			_, err := p.Verify(t.Context(), r)
			errs <- err
		}()
	}
	<-arrived
	close(release)
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Errorf("Verify() = %v, want no error", err)
		}
	}
	for range 10 {
		if _, err := p.Verify(t.Context(), server.request(t, paypalBody)); err != nil {
			t.Errorf("a later Verify() = %v, want no error", err)
		}
	}
	if n := server.requests.Load(); n != 1 {
		t.Errorf("the server got %d requests, want 1", n)
	}
}

// A certificate is fetched again when it or its issuer has expired, and a fetch that
// failed is repeated.
func TestPayPalFetchesAgain(t *testing.T) {
	server := startCertServer(t)
	between := newAuthority(t, server.authority)
	now := time.Now().Truncate(time.Second)
	p := server.adapter(t)
	expires := func(at time.Time) {
		server.serve(toPEM(between.signer(t, func(cert *x509.Certificate) {
			cert.NotBefore, cert.NotAfter = now.Add(-time.Hour), at
		}), between.cert.Raw))
	}
	verify := func(at time.Time, want string, requests int64) {
		t.Helper()
		before := server.requests.Load()
		if _, err := p.Verify(t.Context(), server.requestAt(t, paypalBody, at)); failureCode(err) != want {
			t.Errorf("Verify() = %v, want %q", err, want)
		}
		if n := server.requests.Load() - before; n != requests {
			t.Errorf("Verify() made %d requests, want %d", n, requests)
		}
	}
	server.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	verify(now, "another error", 1)
	verify(now.Add(paypalRetryAfter), "another error", 0)
	expires(now.Add(time.Hour))
	verify(now.Add(paypalRetryAfter+time.Second), "", 1)
	verify(now.Add(time.Hour), "", 0)
	expires(now.Add(100 * time.Hour))
	verify(now.Add(time.Hour+time.Second), "", 1)
	// The certificate of the issuer expires first.
	verify(between.cert.NotAfter, "", 0)
	verify(between.cert.NotAfter.Add(time.Second), CertificateNotTrusted, 1)
}

// Webhooks that are not authentic name many URLs. They displace no certificate, and
// memory is bounded.
func TestPayPalKeepsABoundedNumber(t *testing.T) {
	server := startCertServer(t)
	p := server.adapter(t)
	content := toPEM(server.signer(t, nil))
	server.handle(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/CERT-1") {
			_, _ = w.Write(content)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	r := server.request(t, paypalBody)
	if _, err := p.Verify(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxPayPalCerts {
		if _, err := p.certs.key(t.Context(), server.url(fmt.Sprint("FORGED-", i)), r.ReceivedAt); failureCode(err) != CertificateNotTrusted {
			t.Fatalf("key(a URL that does not exist) = %v, want %s", err, CertificateNotTrusted)
		}
	}
	before := server.requests.Load()
	if _, err := p.Verify(t.Context(), r); err != nil || server.requests.Load() != before {
		t.Errorf("Verify() after many forged URLs = %v and %d requests, want none", err, server.requests.Load()-before)
	}
	for i := range 2 * maxPayPalCerts {
		p.certs.keep(fmt.Sprint("https://paypal.com/", i), paypalCertificate{until: r.ReceivedAt.Add(time.Duration(i))})
	}
	if a, b := len(p.certs.trusted), len(p.certs.failed); a != maxPayPalCerts || b != maxPayPalCerts {
		t.Errorf("%d certificates and %d failures are kept, want %d", a, b, maxPayPalCerts)
	}
	if _, known := p.certs.lookup(server.url("CERT-1"), r.ReceivedAt); !known {
		t.Error("the certificate that expires last is not kept")
	}
}

// A server that does not answer holds webhooks until the deadline, and those only that
// need it.
func TestPayPalServerIsSlow(t *testing.T) {
	server := startCertServer(t)
	p := server.adapter(t)
	content := toPEM(server.signer(t, nil))
	end := make(chan struct{})
	defer close(end) // the server waits for its requests when it is closed
	server.handle(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/CERT-1") {
			_, _ = w.Write(content)
			return
		}
		_, _ = w.Write([]byte("-----BEGIN"))
		w.(http.Flusher).Flush()
		<-end
	})
	if _, err := p.Verify(t.Context(), server.request(t, paypalBody)); err != nil {
		t.Fatal(err)
	}
	p.certs.timeout = 50 * time.Millisecond
	slow := server.request(t, paypalBody)
	slow.Header.Set(paypalCertURL, server.url("SLOW"))
	if _, err := p.Verify(t.Context(), slow); failureCode(err) != "another error" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Verify() with a slow server = %v, want the deadline", err)
	}
	p.certs.timeout = time.Hour
	for i := range maxPayPalFetches {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the provider hung up"))
		_, err := p.certs.key(ctx, server.url(fmt.Sprint("SLOW-", i)), time.Now())
		if failureCode(err) != "another error" || !strings.Contains(err.Error(), "the provider hung up") {
			t.Errorf("key() of a webhook that is canceled = %v, want the cause", err)
		}
	}
	if _, err := p.Verify(t.Context(), server.request(t, paypalBody)); err != nil {
		t.Errorf("Verify() with a known certificate while fetches hang = %v, want no error", err)
	}
}

// The number of fetches in flight is bounded.
func TestPayPalFetchesFewAtOnce(t *testing.T) {
	server := startCertServer(t)
	p := server.adapter(t)
	p.certs.timeout = time.Millisecond
	for range maxPayPalFetches {
		p.certs.slots <- struct{}{}
	}
	r := server.request(t, paypalBody)
	if _, err := p.Verify(t.Context(), r); failureCode(err) != "another error" || server.requests.Load() != 0 {
		t.Errorf("Verify() while %d fetches are in flight = %v after %d requests, want an error and none", maxPayPalFetches, err, server.requests.Load())
	}
	<-p.certs.slots
	p.certs.timeout = time.Minute
	// At once, since that failure says nothing about the certificate.
	if _, err := p.Verify(t.Context(), r); err != nil || len(p.certs.slots) != maxPayPalFetches-1 {
		t.Errorf("Verify() afterwards = %v with %d slots in use, want %d", err, len(p.certs.slots), maxPayPalFetches-1)
	}
}
