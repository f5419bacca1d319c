package provider

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Stripe is the name of the provider Stripe.
const Stripe = "stripe"

// stripe is the adapter of a Stripe account, or of a platform with its connected accounts.
type stripe struct {
	keys      keyring[*stripeKey]
	tolerance time.Duration
	// orderIDKey is the key of metadata that holds the order id, or empty.
	orderIDKey string
	prefix     string // of order ids
}

func newStripe(s Settings) (Adapter, error) {
	if len(s.Secrets) == 0 {
		return nil, errors.New("a source of Stripe needs a secret: copy the signing secret of the webhook endpoint, which begins with whsec_, from Stripe's dashboard")
	}
	keys, err := newKeyring(s.Secrets, newStripeKey)
	if err != nil {
		return nil, err
	}
	return &stripe{keys: keys, tolerance: s.Tolerance, orderIDKey: s.OrderIDKey, prefix: s.OrderIDPrefix}, nil
}

const (
	stripeHeader = "Stripe-Signature"
	// minStripeSecret is the smallest length of a secret. Stripe's have 38 bytes, and those
	// of its command-line tool have 70.
	minStripeSecret = 24
	// maxStripeSignatures is the largest number of signatures that are compared. Stripe
	// sends one for each secret that is valid during a rotation.
	maxStripeSignatures = 10
)

// stripeKey makes MACs with a secret. The key is the whole text of the secret, including
// whsec_.
type stripeKey struct{ macs sync.Pool }

func newStripeKey(s Secret) (*stripeKey, error) {
	switch {
	case !strings.HasPrefix(s.Value, "whsec_"):
		return nil, errors.New("does not begin with whsec_: copy the signing secret of the webhook endpoint from Stripe's dashboard, not an API key")
	case strings.ContainsFunc(s.Value, unicode.IsSpace):
		return nil, errors.New("contains a space or a line break: copy the signing secret alone")
	case len(s.Value) < minStripeSecret:
		return nil, errors.New("is too short: copy the whole signing secret of the webhook endpoint from Stripe's dashboard")
	}
	value := []byte(s.Value)
	k := new(stripeKey)
	k.macs.New = func() any { return hmac.New(sha256.New, value) }
	return k, nil
}

// signed reports whether one of the signatures is that of the key.
func (k *stripeKey) signed(by *stripeSignature, body []byte) bool {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	by.scratch = append(strconv.AppendInt(by.scratch[:0], by.time, 10), '.')
	mac.Write(by.scratch)
	mac.Write(body)
	by.scratch = mac.Sum(by.scratch[:0])
	for i := range by.count {
		if hmac.Equal(by.macs[i][:], by.scratch) {
			return true
		}
	}
	return false
}

// stripeSignature is a parsed header Stripe-Signature.
type stripeSignature struct {
	time    int64 // in seconds since 1970
	macs    [maxStripeSignatures][sha256.Size]byte
	count   int
	scratch []byte
}

// stripeSignatures holds signatures for reuse.
var stripeSignatures = sync.Pool{New: func() any { return new(stripeSignature) }}

// parse reads a header such as t=1495999758,v1=…,v1=…,v0=…. Schemes other than v1 are
// ignored, so that no weaker one is accepted, and so are values of v1 that are not a MAC
// in hexadecimal digits.
func (s *stripeSignature) parse(header string) error {
	s.count = 0
	var timed, signed bool
	for pair := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || strings.Contains(value, "=") {
			return malformed(stripeHeader, "t=TIME,v1=SIGNATURE")
		}
		switch name {
		case "t":
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return malformed(stripeHeader, "t=TIME,v1=SIGNATURE: t is not a number of seconds")
			}
			s.time, timed = seconds, true
		case "v1":
			signed = true
			if s.count < len(s.macs) && len(value) == hex.EncodedLen(sha256.Size) {
				s.scratch = append(s.scratch[:0], value...)
				if _, err := hex.Decode(s.macs[s.count][:], s.scratch); err == nil {
					s.count++
				}
			}
		}
	}
	if !timed || !signed {
		return malformed(stripeHeader, "t=TIME,v1=SIGNATURE: it has no time, or no signature of the scheme v1")
	}
	return nil
}

// Verify checks the header Stripe-Signature. Connected accounts sign with the same secret.
func (s *stripe) Verify(_ context.Context, r *Request) (int, error) {
	header, err := onlyHeader(r, stripeHeader)
	if err != nil {
		return 0, err
	}
	by := stripeSignatures.Get().(*stripeSignature)
	defer stripeSignatures.Put(by)
	if err := by.parse(header); err != nil {
		return 0, err
	}
	secret, err := s.keys.verify(r.ReceivedAt, func(k *stripeKey) bool { return k.signed(by, r.Body) })
	if err != nil {
		return 0, err
	}
	return secret, checkTime(time.Unix(by.time, 0), r.ReceivedAt, s.tolerance)
}

// Decode returns the update that an event reports. An event whose type is not known becomes
// a note, and so does a thin event, which has only the id of its object.
func (s *stripe) Decode(r *Request) (Webhook, error) {
	e := stripeDocuments.Get().(*stripeEvent)
	defer e.putBack()
	e.source = s
	if err := e.parse(r.Body); err != nil {
		return Webhook{}, err
	}
	update, kind := e.update()
	if e.err != nil {
		return Webhook{}, e.err
	}
	update.RawBody = r.Body
	w := Webhook{Updates: []*payrelayv1.Update{update}, Event: kind}
	switch e.livemode.Kind() {
	case jsontext.KindTrue:
		w.Environment = Live
	case jsontext.KindFalse:
		w.Environment = Test
	}
	return w, nil
}

// maxStripeTime is the last second of the year 9999.
const maxStripeTime = 253402300799

// stripeSeconds returns a time that is stated in seconds since 1970, or nil if it is absent,
// 0 or later than an update can state.
func stripeSeconds(v jsontext.Value) *timestamppb.Timestamp {
	seconds, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || seconds <= 0 || seconds > maxStripeTime {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: seconds}
}

// occurredAt returns the time of the event: in seconds, or in RFC 3339 in a thin event.
func (e *stripeEvent) occurredAt() *timestamppb.Timestamp {
	if at := stripeSeconds(e.created); at != nil {
		return at
	}
	at, err := payments.ParseTime(stripeText(e.created))
	if err != nil || at.Unix() <= 0 || at.Unix() > maxStripeTime {
		e.fail("invalid_time", "created must be a time in seconds since 1970, or in RFC 3339, between the years 1970 and 9999")
		return nil
	}
	return timestamppb.New(at.Truncate(time.Microsecond))
}
