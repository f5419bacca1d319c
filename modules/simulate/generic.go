package simulate

import (
	"crypto/ed25519"
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
	"time"
)

// genericEvent returns the webhook of a step in the generic contract, which has a path
// for orders and one for disputes.
func genericEvent(l *life, i int, _ bool) event {
	s := l.scenario.steps[i]
	id, at := "evt-"+l.uuid(fmt.Sprint("event ", i)), l.at(s)
	subject, status, _ := strings.Cut(s.event, ".")
	body := object{
		"provider_event_id": id, "order_id": l.orderID, "user_id": "user-" + l.ref("user", digits, 8), "status": status,
		"ip_address": "198.51.100.7", "shop": object{"name": "Example Shop", "language": "en"},
	}
	if subject == "dispute" {
		genericDispute(l, s, body)
		return event{id: id, kind: s.event, at: at, path: "/chargebacks", body: body}
	}
	body["created_at"], body["updated_at"] = l.began.UTC().Format(time.RFC3339Nano), at.UTC().Format(time.RFC3339Nano)
	meta := object{"cart": l.uuid("cart")}
	for _, name := range []string{"amount", "authorized", "captured", "refunded"} {
		if amount := l.decimal(s, name); amount != "" {
			meta[name], meta["currency"] = amount, s.fields["currency"]
		}
	}
	body["meta"] = meta
	if part := s.fields["part"]; part != "" {
		body["part"] = part
	}
	return event{id: id, kind: s.event, at: at, path: "/orders", body: body}
}

func genericDisputeID(l *life) string { return "dispute-" + l.uuid("dispute") }

func genericDispute(l *life, s step, body object) {
	body["dispute_id"], body["occurred_at"] = genericDisputeID(l), l.at(s).UTC().Format(time.RFC3339Nano)
	body["reason"] = s.field("reason", "fraud")
	meta := object{"cart": l.uuid("cart")}
	for _, name := range []string{"amount", "outcome_amount"} {
		if amount := l.decimal(s, name); amount != "" {
			body[name], body["currency"] = amount, s.fields["currency"]
		}
	}
	if stage := s.fields["stage"]; stage != "" {
		body["stage"] = stage
	}
	if due, ok := l.due(s); ok {
		body["evidence_due_at"] = due.UTC().Format(time.RFC3339Nano)
	}
	if resolution := s.fields["resolution"]; resolution != "" {
		meta["resolution"] = resolution
	}
	body["meta"] = meta
}

// standardEvent returns the same webhook in the envelope of Standard Webhooks. The header
// has its id.
func standardEvent(l *life, i int, again bool) event {
	e := genericEvent(l, i, again)
	id := "msg_" + l.ref(fmt.Sprint("event ", i), alphanumeric, 27)
	delete(e.body, "provider_event_id")
	return event{id: id, kind: e.kind, at: e.at, body: object{"type": e.kind, "timestamp": e.at.UTC().Format(time.RFC3339Nano), "data": e.body}}
}

// Signature is the scheme of a generic source.
type Signature struct {
	// Scheme is standard-webhooks; hmac for the MAC of the body in a header, which the
	// other fields describe; or none.
	Scheme, Header, Algorithm, Encoding, Prefix string
}

func (s Signature) validate() error {
	switch {
	case s.Scheme != "standard-webhooks" && s.Scheme != "hmac" && s.Scheme != "none":
		return fmt.Errorf("signature-scheme is %q: choose standard-webhooks, hmac or none", s.Scheme)
	case s.Algorithm != "sha256" && s.Algorithm != "sha512":
		return fmt.Errorf("signature-algorithm is %q: choose sha256 or sha512", s.Algorithm)
	case s.Encoding != "hex" && s.Encoding != "base64":
		return fmt.Errorf("signature-encoding is %q: choose hex or base64", s.Encoding)
	case s.Header == "":
		return errors.New("signature-header is empty: write the name of a header, such as X-Signature")
	}
	return nil
}

// genericRequest signs a webhook with the scheme of the source.
func genericRequest(k *credentials, secret string, events []event, sent time.Time) (request, error) {
	body := compact(events[0].body)
	header := make(http.Header)
	switch k.Signature.Scheme {
	case "hmac":
		header.Set(k.Signature.Header, k.Signature.mac(secret, body))
	case "none":
	default:
		if err := signStandard(header, secret, events[0].id, sent, body); err != nil {
			return request{}, err
		}
	}
	return request{path: events[0].path, header: header, body: body}, nil
}

// mac returns the value of the header: the prefix and the MAC of the body.
func (s Signature) mac(secret string, body []byte) string {
	var algorithm func() hash.Hash = sha256.New
	if s.Algorithm == "sha512" {
		algorithm = sha512.New
	}
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write(body) // a hash does not return errors
	if s.Encoding == "base64" {
		return s.Prefix + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return s.Prefix + hex.EncodeToString(mac.Sum(nil))
}

// standardRequest signs a webhook by the scheme of Standard Webhooks.
func standardRequest(_ *credentials, secret string, events []event, sent time.Time) (request, error) {
	body := compact(events[0].body)
	header := make(http.Header)
	return request{header: header, body: body}, signStandard(header, secret, events[0].id, sent, body)
}

// signStandard sets the headers of Standard Webhooks. The signature is v1a, of Ed25519, if
// the secret is a private key (whsk_), and otherwise v1, of HMAC-SHA256.
func signStandard(header http.Header, secret, id string, sent time.Time, body []byte) error {
	private, isPrivate := strings.CutPrefix(secret, "whsk_")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(private, "whsec_"))
	if err != nil || len(key) == 0 {
		return errors.New("the secret is not base64 after whsec_ or whsk_: copy it as the sender shows it")
	}
	signed := fmt.Appendf(nil, "%s.%d.%s", id, sent.Unix(), body)
	signature := ""
	switch {
	case isPrivate && len(key) == ed25519.SeedSize:
		signature = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(key), signed))
	case isPrivate && len(key) == ed25519.PrivateKeySize:
		signature = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed))
	case isPrivate:
		return fmt.Errorf("the private key has %d bytes, and one of Ed25519 has %d or %d", len(key), ed25519.SeedSize, ed25519.PrivateKeySize)
	default:
		mac := hmac.New(sha256.New, key)
		mac.Write(signed) // a hash does not return errors
		signature = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", fmt.Sprint(sent.Unix()))
	header.Set("Webhook-Signature", signature)
	return nil
}
