package provider

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// paypalFetchTimeout is the deadline for fetching a certificate. It leaves time for
	// the answer to the webhook.
	paypalFetchTimeout = 5 * time.Second
	// paypalRetryAfter is how long a fetch that failed is not repeated.
	paypalRetryAfter = 5 * time.Second
	// maxPayPalFetches is the largest number of fetches in flight. Each may be caused by a
	// webhook that is not authentic.
	maxPayPalFetches = 4
	// maxPayPalCerts bounds the certificates that are kept, and the failures.
	maxPayPalCerts = 64
	maxCertBytes   = 64 << 10
	minRSABits     = 2048
)

// paypalCertificates fetches and keeps the certificates of PayPal.
type paypalCertificates struct {
	signers []string       // the DNS names, one of which a certificate must have
	roots   *x509.CertPool // nil means those of the system
	client  *http.Client
	timeout time.Duration

	flights singleflight.Group
	slots   chan struct{} // holds one value for each fetch in flight

	mu sync.Mutex
	// trusted holds only certificates that PayPal signed. Webhooks that are not authentic
	// fill failed, and cannot displace a certificate.
	trusted, failed map[string]paypalCertificate
}

// paypalCertificate is the result of a fetch.
type paypalCertificate struct {
	key         *rsa.PublicKey
	err         error
	from, until time.Time
}

func newPayPalCertificates(signers []string, test *PayPalTest) (*paypalCertificates, error) {
	c := &paypalCertificates{
		signers: signers, timeout: paypalFetchTimeout, slots: make(chan struct{}, maxPayPalFetches),
		trusted: make(map[string]paypalCertificate), failed: make(map[string]paypalCertificate),
	}
	if test != nil {
		text, err := os.ReadFile(test.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the roots of paypal_test: %w", err)
		}
		c.roots = x509.NewCertPool()
		if !c.roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("the file %s of paypal_test has no certificate in PEM", test.CAFile)
		}
	}
	c.client = &http.Client{
		// Without a proxy of the environment, and without idle connections: a certificate
		// is fetched about once a year.
		Transport: &http.Transport{
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.roots},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// key returns the key of the certificate at a URL, which must be one of PayPal's. The
// error is a [Failure] if the certificate is not to be trusted, and another one if it
// cannot be fetched at the moment.
func (c *paypalCertificates) key(ctx context.Context, url string, now time.Time) (*rsa.PublicKey, error) {
	cert, known := c.lookup(url, now)
	if !known {
		flight := c.flights.DoChan(url, func() (any, error) {
			// Another flight may have ended since the lookup.
			cert, known := c.lookup(url, now)
			if !known {
				if cert = c.load(url, now); !errors.Is(cert.err, errTooManyFetches) {
					c.keep(url, cert)
				}
			}
			return cert, nil
		})
		select {
		case result := <-flight:
			cert = result.Val.(paypalCertificate)
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the certificate of PayPal: %w", context.Cause(ctx))
		}
	}
	return cert.key, cert.err
}

func (c *paypalCertificates) lookup(url string, now time.Time) (paypalCertificate, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range []map[string]paypalCertificate{c.trusted, c.failed} {
		if cert, ok := known[url]; ok && !now.Before(cert.from) && !now.After(cert.until) {
			return cert, true
		}
	}
	return paypalCertificate{}, false
}

// keep records the result of a fetch. If there are too many, the one that ends first
// makes room.
func (c *paypalCertificates) keep(url string, cert paypalCertificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.trusted
	if cert.err != nil {
		known = c.failed
	}
	if _, again := known[url]; !again && len(known) >= maxPayPalCerts {
		first := url
		for other, cert := range known {
			if first == url || cert.until.Before(known[first].until) {
				first = other
			}
		}
		delete(known, first)
	}
	known[url] = cert
}

// load fetches and checks a certificate. All webhooks that wait for it share the
// deadline, which is that of none of them.
func (c *paypalCertificates) load(url string, now time.Time) paypalCertificate {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	cert, err := c.fetch(ctx, url, now)
	if err != nil {
		return paypalCertificate{err: err, from: now, until: now.Add(paypalRetryAfter)}
	}
	return cert
}

// errTooManyFetches says nothing about a certificate, so that it is not kept.
var errTooManyFetches = errors.New("fetch the certificate of PayPal: too many other fetches are in flight")

// fetch fetches a certificate and checks it.
func (c *paypalCertificates) fetch(ctx context.Context, url string, now time.Time) (paypalCertificate, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return paypalCertificate{}, errTooManyFetches
	}
	text, server, err := c.get(ctx, url)
	if err != nil {
		return paypalCertificate{}, err
	}
	chain := parseCertificates(text)
	if len(chain) == 0 {
		return paypalCertificate{}, fmt.Errorf("fetch the certificate of PayPal: the answer of %s is not a certificate in PEM", url)
	}
	return c.check(ctx, chain, server, now)
}

// get returns the body at a URL, and the certificates of the server.
func (c *paypalCertificates) get(ctx context.Context, url string) ([]byte, []*x509.Certificate, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch the certificate of PayPal: %w", err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch the certificate of PayPal: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, nil, &Failure{CertificateNotTrusted, "PayPal has no certificate at the URL in the header " + paypalCertURL}
	default:
		return nil, nil, fmt.Errorf("fetch the certificate of PayPal: GET %s: %s", url, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxCertBytes+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("fetch the certificate of PayPal: %w", err)
	case len(text) > maxCertBytes:
		return nil, nil, fmt.Errorf("fetch the certificate of PayPal: the answer of %s is longer than %d bytes", url, maxCertBytes)
	}
	var server []*x509.Certificate
	if response.TLS != nil {
		server = response.TLS.PeerCertificates
	}
	return text, server, nil
}

// parseCertificates returns the certificates of a text in PEM, up to the first that
// cannot be read.
func parseCertificates(text []byte) (chain []*x509.Certificate) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			break
		}
		chain = append(chain, cert)
	}
	return chain
}

// check returns the key of the certificate that has the name of PayPal's signer, until
// one on its path to a root expires. PayPal's file usually has no other certificate. The
// one that issued it is often that of the server, too; otherwise its address is in the
// certificate, which may be relied on because PayPal's server sent it.
func (c *paypalCertificates) check(ctx context.Context, chain, server []*x509.Certificate, now time.Time) (paypalCertificate, error) {
	isSigner := func(name string) bool { return slices.Contains(c.signers, name) }
	i := slices.IndexFunc(chain, func(cert *x509.Certificate) bool { return slices.ContainsFunc(cert.DNSNames, isSigner) })
	if i < 0 {
		return paypalCertificate{}, &Failure{CertificateNotTrusted, "the certificate is not for " + strings.Join(c.signers, " or ")}
	}
	signer := chain[i]
	key, ok := signer.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minRSABits {
		return paypalCertificate{}, &Failure{CertificateNotTrusted, fmt.Sprintf("the certificate has no RSA key of at least %d bits", minRSABits)}
	}
	options := x509.VerifyOptions{
		Roots: c.roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, cert := range slices.Concat(chain, server) {
		options.Intermediates.AddCert(cert)
	}
	paths, err := signer.Verify(options)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown && len(signer.IssuingCertificateURL) > 0 {
		issuer, fetchErr := c.issuer(ctx, signer.IssuingCertificateURL[0])
		if fetchErr != nil {
			return paypalCertificate{}, fetchErr
		}
		options.Intermediates.AddCert(issuer)
		paths, err = signer.Verify(options)
	}
	if err != nil {
		return paypalCertificate{}, &Failure{CertificateNotTrusted, "the certificate is not to be trusted: " + err.Error() +
			": check the clock and the root certificates of this machine"}
	}
	result := paypalCertificate{key: key, from: signer.NotBefore, until: signer.NotAfter}
	for _, cert := range paths[0] {
		if cert.NotAfter.Before(result.until) {
			result.until = cert.NotAfter
		}
	}
	return result, nil
}

// issuer returns the certificate at an address of the extension Authority Information
// Access. The transport need not be secure: a path to a root is checked afterwards.
func (c *paypalCertificates) issuer(ctx context.Context, url string) (*x509.Certificate, error) {
	content, _, err := c.get(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("fetch the issuer of the certificate: %v", err) // not a Failure of the webhook
	}
	if chain := parseCertificates(content); len(chain) > 0 {
		return chain[0], nil
	}
	cert, err := x509.ParseCertificate(content)
	if err != nil {
		return nil, fmt.Errorf("fetch the issuer of the certificate: parse the answer of %s: %w", url, err)
	}
	return cert, nil
}
