package provider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// StandardWebhooks is the name of the provider whose webhooks are those of
// https://www.standardwebhooks.com, with orders and disputes as their data.
const StandardWebhooks = "standard-webhooks"

// standardWebhooks is the adapter of [StandardWebhooks].
type standardWebhooks struct {
	*standardScheme
	orderIDPrefix string
}

func newStandardWebhooks(s Settings) (Adapter, error) {
	scheme, err := newStandardScheme(s)
	if err != nil {
		return nil, err
	}
	return standardWebhooks{scheme, s.OrderIDPrefix}, nil
}

var (
	standardEnvelope = jsonbody.NewForm("type", "timestamp", "data")
	standardData     = jsonbody.NewForm("order_id")
)

// Decode decodes the data of an event "order.…" as a generic webhook about an order, and
// that of "dispute.…" or "chargeback.…" as one about a dispute. Any other event is a note.
// The id of the event is that in the header, and its time, if the data has none, that of
// the envelope.
func (s standardWebhooks) Decode(r *Request) (Webhook, error) {
	in := jsonbody.Fields{Document: jsonbody.NewDocument(standardEnvelope)}
	defer in.Release()
	if err := in.Parse(r.Body); err != nil {
		return Webhook{}, err
	}
	event, at, data := in.Words("type"), in.Time("timestamp"), in.Value("data")
	if event == "" {
		in.Fail("field_required", "type must not be empty or blank")
	}
	if in.Err != nil {
		return Webhook{}, in.Err
	}
	id := s.signedID(r.Header)
	w := Webhook{Event: event}
	var update *payrelayv1.Update
	var err error
	if f, ok := standardFormat(event); !ok {
		update, err = standardNote(id, event, at, data)
	} else if data.Kind() != jsontext.KindBeginObject {
		err = jsonbody.NewMalformed("invalid_field", "data must be an object")
	} else {
		update, w.Ignored, err = f.read(data, origin{id, at})
	}
	if err != nil {
		return Webhook{}, err
	}
	for i, path := range w.Ignored {
		w.Ignored[i] = "data." + path
	}
	if update.EventId != "" && update.EventId != id {
		w.Ignored = append(w.Ignored, "data.provider_event_id")
	}
	update.EventId, update.RawBody = id, r.Body
	prefixOrderID(update, s.orderIDPrefix)
	w.Updates = []*payrelayv1.Update{update}
	return w, nil
}

// standardFormat returns the format of the data of an event, if it is about the state of
// an order or a dispute.
func standardFormat(event string) (format, bool) {
	switch group, _, ok := strings.Cut(event, "."); group {
	case "order":
		return genericOrder, ok
	case "dispute", "chargeback":
		return genericDispute, ok
	default:
		return format{}, false
	}
}

// standardNote returns the note of an event that is not about the state of an order or a
// dispute. It is about the order that the data names or, without one, the event itself.
func standardNote(id, event string, at *timestamppb.Timestamp, data jsontext.Value) (*payrelayv1.Update, error) {
	if at == nil {
		return nil, jsonbody.NewMalformed("field_required", "timestamp is required, such as 2026-01-04T10:00:00Z")
	}
	order := ""
	d := jsonbody.NewDocument(standardData)
	defer d.Release()
	if d.Parse(data) == nil {
		if text, err := d.Text("order_id"); err == nil && jsonbody.CheckID("order_id", text) == nil {
			order = text
		}
	}
	return &payrelayv1.Update{OrderId: cmp.Or(order, id), OccurredAt: at,
		Subject: &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: payments.PlainText(event)}}}, nil
}

// standardScheme is the signature scheme of Standard Webhooks: a signature of
// id.timestamp.body, by HMAC-SHA256 (v1) or Ed25519 (v1a).
type standardScheme struct {
	keys      keyring[standardKey]
	tolerance time.Duration
}

// standardKey is the key of HMAC-SHA256 or the public key of Ed25519. The other is nil.
type standardKey struct {
	symmetric []byte
	public    ed25519.PublicKey
}

// newStandardScheme returns a scheme that refuses every webhook if there are no secrets.
func newStandardScheme(s Settings) (*standardScheme, error) {
	keys, err := newKeyring(s.Secrets, parseStandardKey)
	if err != nil {
		return nil, err
	}
	return &standardScheme{keys, s.Tolerance}, nil
}

// The sizes of a symmetric key, in bytes.
const (
	minStandardKey = 24
	maxStandardKey = 64
)

// parseStandardKey parses whsec_ and whpk_ keys. Without a prefix, a key is symmetric.
func parseStandardKey(s Secret) (standardKey, error) {
	if strings.HasPrefix(s.Value, "whsk_") {
		return standardKey{}, errors.New("is a private key (whsk_), which only the sender may have: configure its public key, which begins with whpk_")
	}
	text, asymmetric := strings.CutPrefix(s.Value, "whpk_")
	text = strings.TrimPrefix(text, "whsec_")
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	switch {
	case err != nil || strings.ContainsAny(text, "\r\n"):
		return standardKey{}, errors.New("is not in base64: copy it as the sender shows it, with whsec_ or whpk_ in front")
	case asymmetric && len(key) != ed25519.PublicKeySize:
		return standardKey{}, fmt.Errorf("has %d bytes, and a public key (whpk_) has %d: copy it as the sender shows it", len(key), ed25519.PublicKeySize)
	case asymmetric:
		return standardKey{public: key}, nil
	case len(key) < minStandardKey || len(key) > maxStandardKey:
		return standardKey{}, fmt.Errorf("has %d bytes in base64: use a random secret of %d to %d bytes", len(key), minStandardKey, maxStandardKey)
	default:
		return standardKey{symmetric: key}, nil
	}
}

// standardHeaders are the names of the headers of a webhook.
type standardHeaders struct{ id, timestamp, signature string }

var (
	standardNames = standardHeaders{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}
	svixNames     = standardHeaders{"Svix-Id", "Svix-Timestamp", "Svix-Signature"}
)

// namesIn returns the names that the sender uses. All values are taken from headers of
// one set of names, so that a signature is never combined with an id that it does not
// cover.
func namesIn(header http.Header) standardHeaders {
	if len(header[standardNames.signature]) == 0 && len(header[svixNames.signature]) > 0 {
		return svixNames
	}
	return standardNames
}

// signedID returns the id of the event, which is the same in all its deliveries.
func (*standardScheme) signedID(header http.Header) string { return header.Get(namesIn(header).id) }

// Verify checks the signature before the time, so that a wrong time is reported only of a
// webhook that the sender signed.
func (s *standardScheme) Verify(_ context.Context, r *Request) (int, error) {
	signed, err := readStandardHeaders(r)
	if err != nil {
		return 0, err
	}
	secret, err := s.keys.verify(r.ReceivedAt, func(k standardKey) bool { return signed.matches(k, r.Body) })
	if err != nil {
		return 0, err
	}
	return secret, checkTime(signed.at, r.ReceivedAt, s.tolerance)
}

// standardSignatures are the headers of a webhook.
type standardSignatures struct {
	prefix     []byte // of the signed content, before the body
	at         time.Time
	symmetric  []string // in base64
	asymmetric [][]byte
}

func readStandardHeaders(r *Request) (s standardSignatures, err error) {
	names := namesIn(r.Header)
	var values [3]string
	for i, name := range []string{names.signature, names.id, names.timestamp} {
		if values[i], err = onlyHeader(r, name); err != nil {
			return s, err
		}
	}
	signature, id, timestamp := values[0], values[1], values[2]
	if s.at, err = unixTime(timestamp); err != nil {
		return s, malformed(names.timestamp, "1767520800, in seconds since 1970")
	}
	s.prefix = append(append(append(append(s.prefix, id...), '.'), timestamp...), '.')
	return s, s.parse(names.signature, signature)
}

// maxTimeDigits is the largest number of digits of a time in seconds.
const maxTimeDigits = 11

// unixTime parses a number of seconds since 1970, in digits only.
func unixTime(text string) (time.Time, error) {
	seconds, err := strconv.ParseUint(text, 10, 64)
	if err != nil || len(text) > maxTimeDigits {
		return time.Time{}, strconv.ErrSyntax
	}
	return time.Unix(int64(seconds), 0), nil
}

// maxSignatures is the largest number of signatures of one webhook. A sender has one for
// each of its current keys.
const maxSignatures = 10

// parse parses a list of signatures, separated by spaces. It ignores those of other
// versions, and fails if no other is left.
func (s *standardSignatures) parse(name, list string) error {
	broken := false
	n := 0
	for text := range strings.SplitSeq(list, " ") {
		if text == "" {
			continue
		}
		if n++; n > maxSignatures {
			return malformed(name, fmt.Sprintf("of at most %d signatures", maxSignatures))
		}
		version, value, _ := strings.Cut(text, ",")
		switch version {
		case "v1":
			if _, err := decodeSignature(value, sha256.Size); err != nil {
				broken = true
				continue
			}
			s.symmetric = append(s.symmetric, value)
		case "v1a":
			signature, err := decodeSignature(value, ed25519.SignatureSize)
			if err != nil {
				broken = true
				continue
			}
			s.asymmetric = append(s.asymmetric, signature)
		}
	}
	switch {
	case len(s.symmetric)+len(s.asymmetric) > 0:
		return nil
	case broken:
		return malformed(name, "v1,BASE64 or v1a,BASE64, with a complete signature")
	default:
		return malformed(name, "v1,BASE64 or v1a,BASE64: it has no signature of these versions")
	}
}

// decodeSignature decodes base64 in its only form: with padding, and without bits that
// have no effect.
func decodeSignature(text string, size int) ([]byte, error) {
	signature, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(signature) != size || strings.ContainsAny(text, "\r\n") {
		return nil, strconv.ErrSyntax
	}
	return signature, nil
}

// matches reports whether a key made one of the signatures.
func (s *standardSignatures) matches(k standardKey, body []byte) bool {
	if k.public != nil {
		if len(s.asymmetric) == 0 {
			return false
		}
		content := append(bytes.Clone(s.prefix), body...)
		for _, signature := range s.asymmetric {
			if ed25519.Verify(k.public, content, signature) {
				return true
			}
		}
		return false
	}
	if len(s.symmetric) == 0 {
		return false
	}
	mac := hmac.New(sha256.New, k.symmetric)
	mac.Write(s.prefix)
	mac.Write(body)
	want := base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
	for _, signature := range s.symmetric {
		if hmac.Equal(want, []byte(signature)) {
			return true
		}
	}
	return false
}
