package provider

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// The schemes of [Signature].
const (
	// SchemeHMAC is the MAC of the body alone, in a header. It protects from forged
	// webhooks, and not from webhooks that are sent again.
	SchemeHMAC = "hmac"
	// SchemeStandardWebhooks is the scheme of Standard Webhooks.
	SchemeStandardWebhooks = "standard-webhooks"
)

// newVerifier returns the signature scheme of a generic source.
func newVerifier(s Settings) (verifier, error) {
	g := s.Signature
	switch g.Scheme {
	case "", SchemeStandardWebhooks:
		if g.Header+g.Algorithm+g.Encoding+g.Prefix != "" {
			return nil, errors.New("signature: header, algorithm, encoding and prefix belong to the scheme hmac: add scheme: hmac, or remove them")
		}
	case SchemeHMAC:
	default:
		return nil, fmt.Errorf("signature: the scheme %q is not known: choose standard-webhooks or hmac", g.Scheme)
	}
	switch {
	case len(s.Secrets) == 0:
		return unsigned{}, nil
	case g.Scheme == SchemeHMAC:
		return newHMACScheme(s)
	default:
		return newStandardScheme(s)
	}
}

// hmacScheme is the signature scheme "hmac" of a generic source.
type hmacScheme struct {
	keys   keyring[[]byte]
	header string
	prefix string
	hash   func() hash.Hash
	decode func(string) ([]byte, error)
	form   string // of the header, for people
}

// minHMACKey is the smallest size of a secret, in bytes.
const minHMACKey = 24

func newHMACScheme(s Settings) (*hmacScheme, error) {
	scheme := &hmacScheme{header: http.CanonicalHeaderKey(s.Signature.Header), prefix: s.Signature.Prefix}
	if !httpguts.ValidHeaderFieldName(s.Signature.Header) {
		return nil, fmt.Errorf("signature: %q is not the name of a header: set header to the one that has the MAC, such as X-Signature", s.Signature.Header)
	}
	if !httpguts.ValidHeaderFieldValue(scheme.prefix) || strings.TrimSpace(scheme.prefix) != scheme.prefix {
		return nil, fmt.Errorf("signature: no header can begin with the prefix %q: set prefix to the text before the MAC, such as sha256=", scheme.prefix)
	}
	switch s.Signature.Algorithm {
	case "", "sha256":
		scheme.hash = sha256.New
	case "sha512":
		scheme.hash = sha512.New
	default:
		return nil, fmt.Errorf("signature: the algorithm %q is not known: choose sha256 or sha512", s.Signature.Algorithm)
	}
	switch s.Signature.Encoding {
	case "", "hex":
		scheme.decode, scheme.form = hex.DecodeString, scheme.prefix+"HEX"
	case "base64":
		scheme.decode, scheme.form = base64.StdEncoding.Strict().DecodeString, scheme.prefix+"BASE64"
	default:
		return nil, fmt.Errorf("signature: the encoding %q is not known: choose hex or base64", s.Signature.Encoding)
	}
	var err error
	scheme.keys, err = newKeyring(s.Secrets, func(s Secret) ([]byte, error) {
		if len(s.Value) < minHMACKey {
			return nil, fmt.Errorf("has %d bytes: use a random secret of at least %d bytes", len(s.Value), minHMACKey)
		}
		return []byte(s.Value), nil
	})
	return scheme, err
}

func (s *hmacScheme) Verify(_ context.Context, r *Request) (int, error) {
	value, err := onlyHeader(r, s.header)
	if err != nil {
		return 0, err
	}
	text, ok := strings.CutPrefix(value, s.prefix)
	if !ok {
		return 0, malformed(s.header, s.form)
	}
	mac, err := s.decode(text)
	if err != nil || len(mac) != s.hash().Size() {
		return 0, malformed(s.header, fmt.Sprintf("%s, of %d bytes", s.form, s.hash().Size()))
	}
	return s.keys.verify(r.ReceivedAt, func(key []byte) bool {
		h := hmac.New(s.hash, key)
		h.Write(r.Body)
		return hmac.Equal(mac, h.Sum(nil))
	})
}

// signedID returns an empty id: the MAC covers the body only.
func (*hmacScheme) signedID(http.Header) string { return "" }
