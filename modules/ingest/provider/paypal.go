package provider

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/payrelay/payrelay/modules/payments"
)

// PayPal is the name of the provider PayPal.
const PayPal = "paypal"

// The headers of a webhook of PayPal.
const (
	paypalID        = "Paypal-Transmission-Id"
	paypalTime      = "Paypal-Transmission-Time"
	paypalSignature = "Paypal-Transmission-Sig"
	paypalCertURL   = "Paypal-Cert-Url"
	paypalAlgorithm = "Paypal-Auth-Algo"
)

// paypal is the adapter of PayPal. PayPal signs with an RSA key, whose certificate the
// webhook names by URL. The source has no secret: the id of the webhook binds a signature
// to the source.
//
// The signature covers only the CRC-32 of the body. Someone who knows the headers of an
// authentic webhook can compose other bodies with that checksum, so that the tolerance of
// the time and TLS are part of the protection.
type paypal struct {
	Settings
	certs *paypalCertificates
}

// paypalSigners are the DNS names that the certificates of an environment may have.
var paypalSigners = map[Environment][]string{
	Live: {"messageverificationcerts.paypal.com"},
	Test: {"messageverificationcerts.sandbox.paypal.com", "messageverificationcerts.paypal.com"},
}

var paypalWebhookID = regexp.MustCompile(`^[A-Za-z0-9]{1,50}$`)

func newPayPal(s Settings) (Adapter, error) {
	signers := paypalSigners[s.Environment]
	switch {
	case signers == nil:
		return nil, fmt.Errorf("environment %q is not known: choose live or test", s.Environment)
	case s.WebhookID == "":
		return nil, errors.New("webhook_id is missing: PayPal shows it in the list of webhooks of the app, and signs it")
	case s.WebhookID == "WEBHOOK_ID":
		return nil, errors.New("webhook_id WEBHOOK_ID is that of PayPal's webhook simulator, which anyone can use: copy your own from the list of webhooks of the app")
	case !paypalWebhookID.MatchString(s.WebhookID):
		return nil, errors.New("webhook_id has other characters than letters and digits: copy it from the list of webhooks of the app at PayPal")
	case s.OrderIDKey != "" && s.OrderIDKey != "custom_id" && s.OrderIDKey != "invoice_id":
		return nil, fmt.Errorf("metadata_key %q is not known at PayPal: choose custom_id or invoice_id", s.OrderIDKey)
	case s.PayPalTest != nil && s.Environment != Test:
		return nil, errors.New("paypal_test is for the environment test only")
	}
	certs, err := newPayPalCertificates(signers, s.PayPalTest)
	if err != nil {
		return nil, err
	}
	return &paypal{Settings: s, certs: certs}, nil
}

// Verify checks the time and the signature. The error is no [Failure] if the certificate
// cannot be fetched.
func (p *paypal) Verify(ctx context.Context, r *Request) (int, error) {
	var headers [5]string
	for i, name := range []string{paypalID, paypalTime, paypalSignature, paypalCertURL, paypalAlgorithm} {
		value, err := onlyHeader(r, name)
		if err != nil {
			return 0, err
		}
		headers[i] = value
	}
	id, signed, certURL := headers[0], headers[1], headers[3]
	if headers[4] != "SHA256withRSA" {
		return 0, malformed(paypalAlgorithm, "SHA256withRSA, which is the only algorithm that is accepted")
	}
	signedAt, err := payments.ParseTime(signed)
	if err != nil {
		return 0, malformed(paypalTime, "of a time in RFC 3339")
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(headers[2])
	if err != nil {
		return 0, malformed(paypalSignature, "of base64")
	}
	if err := checkTime(signedAt, r.ReceivedAt, p.Tolerance); err != nil {
		return 0, err
	}
	if err := p.checkCertURL(certURL); err != nil {
		return 0, err
	}
	key, err := p.certs.key(ctx, certURL, r.ReceivedAt)
	if err != nil {
		return 0, err
	}
	checksum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(r.Body)), 10)
	digest := sha256.Sum256([]byte(strings.Join([]string{id, signed, p.WebhookID, checksum}, "|")))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
		return 0, errPayPalSignature
	}
	return 0, nil
}

var errPayPalSignature = &Failure{SignatureInvalid, "PayPal did not make this signature for the webhook_id of the source: " +
	"check that webhook_id is the one of this URL, that the event does not come from the webhook simulator, and that no proxy changes the body"}

// maxCertURL is the largest length of the URL of a certificate, by PayPal's contract.
const maxCertURL = 500

var (
	paypalHost     = regexp.MustCompile(`^([a-z0-9-]+\.)+[a-z]+$`)
	paypalCertPath = regexp.MustCompile(`^/v1/notifications/certs/[A-Za-z0-9_-]{1,128}$`)
)

// checkCertURL returns a failure unless a URL names a certificate at PayPal, in the
// environment of the source. Nothing signs the URL: it may come from an attacker.
func (p *paypal) checkCertURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxCertURL || !p.isPayPal(u.Host) || !paypalCertPath.MatchString(u.Path) ||
		text != "https://"+u.Host+u.Path { // it has no other parts
		return &Failure{CertificateNotTrusted, "the URL in the header " + paypalCertURL + " is not that of a certificate of PayPal in the environment " +
			string(p.Environment) + ": check the environment of the source"}
	}
	return nil
}

// isPayPal reports whether a host is one of PayPal in the environment of the source.
func (p *paypal) isPayPal(host string) bool {
	if p.PayPalTest != nil {
		return host == p.PayPalTest.CertHost
	}
	in := func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
	return paypalHost.MatchString(host) && in("paypal.com") && in("sandbox.paypal.com") == (p.Environment == Test)
}
