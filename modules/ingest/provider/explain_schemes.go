package provider

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// signedContent is a content that a sender may have made the MAC of.
type signedContent struct {
	message string // completes "of … "
	bytes   func(r *Request) []byte
}

var bodyAlone = signedContent{"the body alone", func(r *Request) []byte { return r.Body }}

// joined returns a content that is the values of headers and the body, with dots between
// them.
func joined(message string, headers ...string) signedContent {
	return signedContent{message, func(r *Request) []byte {
		var content []byte
		for _, name := range headers {
			content = append(append(content, r.Header.Get(name)...), '.')
		}
		return append(content, r.Body...)
	}}
}

var (
	macAlgorithms = []struct {
		name string
		hash func() hash.Hash
	}{{"SHA-256", sha256.New}, {"SHA-512", sha512.New}, {"SHA-1", sha1.New}}
	macForms = []struct {
		name   string
		encode func([]byte) string
	}{
		{"base64", base64.RawStdEncoding.EncodeToString},
		{"hexadecimal digits", hex.EncodeToString},
		{"base64 for URLs", base64.RawURLEncoding.EncodeToString},
		{"base64 of hexadecimal digits", func(mac []byte) string { return base64.RawStdEncoding.EncodeToString([]byte(hex.EncodeToString(mac))) }},
	}
)

// macMistakes returns the ways to make a MAC of one of some contents, and to write it
// somewhere into one of some headers.
func macMistakes(headers []string, contents ...signedContent) []mistake {
	var mistakes []mistake
	for _, header := range headers {
		for _, content := range contents {
			for _, algorithm := range macAlgorithms {
				for _, form := range macForms {
					mistakes = append(mistakes, mistake{
						message: "as the HMAC-" + algorithm.name + " of " + content.message + ", in " + form.name + " in the header " + header,
						signedWith: func(key []byte, r *Request) bool {
							mac := hmac.New(algorithm.hash, key)
							mac.Write(content.bytes(r))
							text := form.encode(mac.Sum(nil))
							return slices.ContainsFunc(r.Header.Values(header), func(value string) bool {
								return strings.Contains(value, text) || form.name == "hexadecimal digits" && strings.Contains(strings.ToLower(value), text)
							})
						},
					})
				}
			}
		}
	}
	return mistakes
}

func (*standardScheme) headers() []string {
	return []string{standardNames.id, standardNames.timestamp, standardNames.signature, svixNames.id, svixNames.timestamp, svixNames.signature}
}

func (*standardScheme) signedAt(r *Request) (time.Time, bool) {
	at, err := unixTime(r.Header.Get(namesIn(r.Header).timestamp))
	return at, err == nil
}

func (*standardScheme) key(s Secret) []byte {
	key, _ := parseStandardKey(s)
	return key.symmetric
}

func (*standardScheme) signedWith(key []byte, r *Request) bool {
	signed, err := readStandardHeaders(r)
	return err == nil && len(key) > 0 && signed.matches(standardKey{symmetric: key}, r.Body)
}

func (*standardScheme) mistakes(r *Request) []mistake {
	n := namesIn(r.Header)
	return macMistakes([]string{n.signature}, joined("id.timestamp.body", n.id, n.timestamp), bodyAlone, joined("timestamp.body", n.timestamp),
		joined("id.body", n.id), joined("timestamp.id.body", n.timestamp, n.id))
}

func (s *hmacScheme) headers() []string { return []string{s.header} }

func (*hmacScheme) signedAt(*Request) (time.Time, bool) { return time.Time{}, false }

func (*hmacScheme) key(s Secret) []byte { return []byte(s.Value) }

func (s *hmacScheme) signedWith(key []byte, r *Request) bool {
	single := hmacScheme{header: s.header, prefix: s.prefix, hash: s.hash, decode: s.decode, keys: keyring[[]byte]{{value: key}}}
	_, err := single.Verify(context.Background(), r)
	return err == nil
}

// mistakes has other algorithms, encodings and headers.
func (s *hmacScheme) mistakes(r *Request) []mistake {
	headers := slices.Sorted(maps.Keys(r.Header))
	return macMistakes(headers, bodyAlone, joined("timestamp.body", "X-Timestamp"))
}

func (*stripe) headers() []string { return []string{stripeHeader} }

func (*stripe) signedAt(r *Request) (time.Time, bool) {
	var by stripeSignature
	err := by.parse(r.Header.Get(stripeHeader))
	return time.Unix(by.time, 0), err == nil
}

func (*stripe) key(s Secret) []byte { return []byte(s.Value) }

func (*stripe) signedWith(key []byte, r *Request) bool {
	var by stripeSignature
	if by.parse(r.Header.Get(stripeHeader)) != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(append(strconv.AppendInt(nil, by.time, 10), '.'))
	mac.Write(r.Body)
	sum := mac.Sum(nil)
	return slices.ContainsFunc(by.macs[:by.count], func(m [sha256.Size]byte) bool { return hmac.Equal(m[:], sum) })
}

func (*stripe) mistakes(*Request) []mistake { return macMistakes([]string{stripeHeader}, bodyAlone) }

func (*adyen) headers() []string { return []string{"Authorization"} }

// signedAt returns no time: Adyen signs none.
func (*adyen) signedAt(*Request) (time.Time, bool) { return time.Time{}, false }

func (*adyen) key(s Secret) []byte {
	key, _ := adyenKey(s)
	return key
}

func (a *adyen) signedWith(key []byte, r *Request) bool {
	return signedItems(key, r, func(value string) string { return value })
}

// signedItems reports whether a key made the signatures of all items, of their values
// after a change.
func signedItems(key []byte, r *Request, change func(string) string) bool {
	batch, err := parseAdyen(r.Body)
	if err != nil || len(batch.Items) == 0 {
		return false
	}
	return !slices.ContainsFunc(batch.Items, func(e adyenEntry) bool {
		i := e.item
		var values []string
		for _, value := range []jsonbody.Text{i.PSPReference, i.OriginalReference, i.MerchantAccount, i.MerchantReference, i.Amount.Value.Value, i.Amount.Value.Currency, i.EventCode, i.Success} {
			values = append(values, change(string(value)))
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(strings.Join(values, ":")))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil)) != string(i.Additional.Value.Signature)
	})
}

func (*adyen) mistakes(*Request) []mistake {
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace
	mistakes := []mistake{
		{message: `with each \ and : in the values escaped by a \, as old libraries did: Adyen does not escape, so that this webhook comes from another sender`,
			signedWith: func(key []byte, r *Request) bool { return signedItems(key, r, escape) }},
		{message: "with spaces around the values removed", signedWith: func(key []byte, r *Request) bool { return signedItems(key, r, strings.TrimSpace) }},
	}
	return append(mistakes, macMistakes([]string{"Hmacsignature"}, bodyAlone)...)
}

func (*paypal) headers() []string {
	return []string{paypalID, paypalTime, paypalSignature, paypalCertURL, paypalAlgorithm}
}

func (*paypal) signedAt(r *Request) (time.Time, bool) {
	at, err := payments.ParseTime(r.Header.Get(paypalTime))
	return at, err == nil
}

// key returns nil: PayPal signs with a private key.
func (*paypal) key(Secret) []byte { return nil }

func (*paypal) signedWith([]byte, *Request) bool { return false }

func (p *paypal) mistakes(*Request) []mistake {
	return []mistake{{
		message: "for the webhook_id WEBHOOK_ID: the webhook comes from PayPal's webhook simulator, which anyone can use",
		keyless: true,
		signedWith: func(_ []byte, r *Request) bool {
			simulated := &paypal{Settings: p.Settings, certs: p.certs}
			simulated.WebhookID = "WEBHOOK_ID"
			r = r.copy()
			if at, ok := p.signedAt(r); ok {
				r.ReceivedAt = at
			}
			_, err := simulated.Verify(context.Background(), r)
			return err == nil
		},
	}}
}

func (*solidgate) headers() []string { return []string{"Merchant", "Signature"} }

// signedAt returns no time: Solidgate signs none.
func (*solidgate) signedAt(*Request) (time.Time, bool) { return time.Time{}, false }

func (*solidgate) key(s Secret) []byte { return []byte(s.Value) }

// signedWith makes the signature with the public key that the webhook names.
func (*solidgate) signedWith(key []byte, r *Request) bool {
	merchant := r.Header.Get("Merchant")
	single := solidgate{keys: keyring[solidgateKey]{{value: solidgateKey{merchant, string(key)}}}}
	_, err := single.Verify(context.Background(), r)
	return err == nil
}

func (s *solidgate) mistakes(*Request) []mistake {
	named := signedContent{"the public key, the body and the public key", func(r *Request) []byte {
		merchant := r.Header.Get("Merchant")
		return []byte(merchant + string(r.Body) + merchant)
	}}
	return append([]mistake{{
		message: "with a secret of the source whose public_key is not the one that the header merchant names: correct public_key",
		keyless: true,
		signedWith: func(_ []byte, r *Request) bool {
			return slices.ContainsFunc(s.keys, func(k key[solidgateKey]) bool { return s.signedWith([]byte(k.value.secret), r) })
		},
	}}, macMistakes([]string{"Signature"}, named, bodyAlone)...)
}
