package provider

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// Adyen is the name of the provider whose webhooks are batches of items. Each item has a
// signature of its own, in additionalData.hmacSignature.
const Adyen = "adyen"

// adyen is the adapter of Adyen's webhooks about payments and disputes.
//
// The HMAC of an item covers eight of its members: the references, the amount, the event
// code and success. It does not cover reason, eventDate, additionalData and live, so that
// the time, the status of a dispute and its deadline are only as authentic as the login of
// HTTP Basic authentication, which is required therefore.
type adyen struct {
	source, prefix string
	automatic      bool // capture
	login          loginDigest
	keys           keyring[[]byte]
}

func newAdyen(s Settings) (Adapter, error) {
	if s.BasicAuth == nil || s.BasicAuth.Username == "" || s.BasicAuth.Password == "" {
		return nil, errors.New("basic_auth is missing: Adyen's signature does not cover reason, eventDate, additionalData and live, so set the username and password of the webhook in the Customer Area here too")
	}
	keys, err := newKeyring(s.Secrets, adyenKey)
	if err != nil {
		return nil, err
	}
	return &adyen{source: s.Source, prefix: s.OrderIDPrefix, automatic: s.AutomaticCapture, login: digestLogin(s.BasicAuth.Username, s.BasicAuth.Password), keys: keys}, nil
}

// adyenKeyBytes is the size of a key. All keys of the Customer Area have it.
const adyenKeyBytes = 32

func adyenKey(s Secret) ([]byte, error) {
	key, err := hex.DecodeString(strings.TrimSpace(s.Value))
	switch {
	case err != nil: // the error would quote the secret
		return nil, errors.New("is not hexadecimal: copy the HMAC key of the webhook from the Customer Area, which has 64 hexadecimal digits")
	case len(key) < adyenKeyBytes:
		return nil, fmt.Errorf("has only %d hexadecimal digits: copy the whole HMAC key of the webhook from the Customer Area, which has 64", 2*len(key))
	}
	return key, nil
}

// Verify checks the login, and then the signature of every item: one item that is not
// authentic makes the whole webhook so, because Adyen sends all of it again.
//
// A body that cannot be read, or that has no item, has no signature. The login alone
// decides about it, and Decode returns no update of it. A webhook without the login is
// refused, whatever its body is.
func (a *adyen) Verify(_ context.Context, r *Request) (secret int, err error) {
	if err := a.login.check(r.Header); err != nil {
		return 0, err
	}
	batch, err := parseAdyen(r.Body)
	if err != nil {
		return 0, nil // Decode returns the error
	}
	r.parsed = batch
	for i := range batch.Items {
		used, err := a.verifyItem(r, &batch.Items[i].item)
		if failure, ok := errors.AsType[*Failure](err); ok {
			return 0, &Failure{failure.Code, fmt.Sprintf("item %d of %d: %s", i+1, len(batch.Items), failure.Message)}
		}
		if err != nil {
			return 0, err
		}
		secret = max(secret, used) // the last one in the list is the one that is rotated out
	}
	return secret, nil
}

// verifyItem returns the index of the secret that signed an item, or a Failure.
func (a *adyen) verifyItem(r *Request, item *adyenItem) (int, error) {
	encoded := string(item.Additional.Value.Signature)
	if encoded == "" {
		return 0, &Failure{SignatureMissing, "additionalData has no hmacSignature: generate an HMAC key for the webhook in the Customer Area"}
	}
	signature, err := decodeSignature(encoded, sha256.Size)
	if err != nil {
		return 0, &Failure{SignatureMalformed, "hmacSignature is not the base64 form of 32 bytes"}
	}
	signed, ok := item.signed()
	if !ok {
		return 0, &Failure{SignatureMalformed, "a signed member other than merchantReference contains a colon, so that the signature would hold for other values too"}
	}
	return a.keys.verify(r.ReceivedAt, func(key []byte) bool {
		mac := hmac.New(sha256.New, key)
		mac.Write(signed) // a hash does not return errors
		return hmac.Equal(mac.Sum(nil), signature)
	})
}

// Decode returns one update for each item. An item that cannot be read becomes one without
// a subject, which has the item's bytes, and does not affect its neighbors.
func (a *adyen) Decode(r *Request) (Webhook, error) {
	batch, parsed := r.parsed.(*adyenBatch)
	if !parsed {
		var err error
		if batch, err = parseAdyen(r.Body); err != nil {
			return Webhook{}, err
		}
	}
	if len(batch.Items) == 0 {
		return Webhook{}, errNoItems
	}
	w := Webhook{Event: payments.PlainText(string(batch.Items[0].item.EventCode)), Environment: batch.environment()}
	for i := range batch.Items {
		entry := &batch.Items[i]
		d := adyenDecoder{adyen: a, adyenItem: &entry.item, place: fmt.Sprintf("notificationItems[%d]", i)}
		update, err := d.update()
		if err != nil {
			update = payments.NewUnreadable(a.source, entry.raw, r.ReceivedAt)
			d.ignore("")
		}
		update.RawBody = entry.raw
		w.Updates, w.Ignored = append(w.Updates, update), append(w.Ignored, d.ignored...)
	}
	return w, nil
}

var (
	errNotABatch = jsonbody.NewMalformed("not_a_batch", "the body has no list notificationItems: choose the JSON format and the type Standard for the webhook in the Customer Area")
	errNoItems   = jsonbody.NewMalformed("no_items", "the list notificationItems is missing or empty: choose the JSON format and the type Standard for the webhook in the Customer Area")
)

// adyenBatch is the body of a webhook. Members that appear twice have the last value, for
// the signature and for the update alike.
type adyenBatch struct {
	Live  jsonbody.Text `json:"live"`
	Items []adyenEntry  `json:"notificationItems"`
}

// environment returns what the webhook states.
func (b *adyenBatch) environment() Environment {
	switch strings.ToLower(string(b.Live)) {
	case "true":
		return Live
	case "false":
		return Test
	default:
		return ""
	}
}

// adyenEntry is an element of the list, {"NotificationRequestItem": {...}}.
type adyenEntry struct {
	item       adyenItem
	start, end int64  // offsets in the body; there may be a comma and spaces after start
	raw        []byte // the bytes of the element
}

// UnmarshalJSONFrom reads one value. It fails only for invalid JSON.
func (e *adyenEntry) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	e.start = in.InputOffset()
	var element jsonbody.Object[struct {
		Item jsonbody.Object[adyenItem] `json:"NotificationRequestItem"`
	}]
	if err := json.UnmarshalDecode(in, &element); err != nil {
		return err
	}
	e.item, e.end = element.Value.Item.Value, in.InputOffset()
	return nil
}

// adyenItem has the members of an item that payrelay reads.
type adyenItem struct {
	Additional        jsonbody.Object[adyenAdditional] `json:"additionalData"`
	Amount            jsonbody.Object[adyenAmount]     `json:"amount"`
	EventCode         jsonbody.Text                    `json:"eventCode"`
	EventDate         jsonbody.Text                    `json:"eventDate"`
	MerchantAccount   jsonbody.Text                    `json:"merchantAccountCode"`
	MerchantReference jsonbody.Text                    `json:"merchantReference"`
	OriginalReference jsonbody.Text                    `json:"originalReference"`
	PSPReference      jsonbody.Text                    `json:"pspReference"`
	Reason            jsonbody.Text                    `json:"reason"`
	Success           jsonbody.Text                    `json:"success"`
}

type adyenAmount struct {
	Currency jsonbody.Text `json:"currency"`
	Value    jsonbody.Text `json:"value"`
}

type adyenAdditional struct {
	Signature     jsonbody.Text `json:"hmacSignature"`
	DisputeStatus jsonbody.Text `json:"disputeStatus"`
	DefenseEndsAt jsonbody.Text `json:"defensePeriodEndsAt"`
	ReasonCode    jsonbody.Text `json:"chargebackReasonCode"`
	SchemeCode    jsonbody.Text `json:"chargebackSchemeCode"`
	RFIReasonCode jsonbody.Text `json:"rfiReasonCode"`
	RFISchemeCode jsonbody.Text `json:"rfiSchemeCode"`
	Action        jsonbody.Text `json:"modification.action"`
	Explanation   jsonbody.Text `json:"issuerComments.explanation"`
	Shopper       jsonbody.Text `json:"shopperReference"`
}

// signed returns the signed text: the values, with colons between them. Colons and
// backslashes in them are not escaped, so that the text alone does not tell where a value
// ends. It does if only one value has colons, and those of Adyen have none. signed reports
// whether that is so.
func (i *adyenItem) signed() (text []byte, ok bool) {
	before := []string{string(i.PSPReference), string(i.OriginalReference), string(i.MerchantAccount)}
	after := []string{string(i.Amount.Value.Value), string(i.Amount.Value.Currency), string(i.EventCode), string(i.Success)}
	values := slices.Concat(before, []string{string(i.MerchantReference)}, after)
	hasColon := func(value string) bool { return strings.Contains(value, ":") }
	return []byte(strings.Join(values, ":")), !slices.ContainsFunc(before, hasColon) && !slices.ContainsFunc(after, hasColon)
}

// parseAdyen parses a body once, for Verify and Decode.
func parseAdyen(body []byte) (*adyenBatch, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if jsonbody.TooDeep(body) {
		return nil, jsonbody.ErrTooDeep
	}
	batch := new(adyenBatch)
	if err := json.Unmarshal(body, batch, jsonbody.Lenient); err != nil {
		if _, invalid := errors.AsType[*jsontext.SyntacticError](err); invalid || !jsontext.Value(body).IsValid(jsonbody.Lenient) {
			return nil, jsonbody.ErrInvalidJSON
		}
		return nil, errNotABatch
	}
	for i := range batch.Items {
		e := &batch.Items[i]
		e.raw = bytes.TrimLeft(body[e.start:e.end], ", \t\r\n")
	}
	return batch, nil
}

// loginDigest is a login in a form whose comparison takes the same time for every guess.
type loginDigest struct{ username, password [sha256.Size]byte }

func digestLogin(username, password string) loginDigest {
	return loginDigest{sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))}
}

// check returns a failure unless the request has the login.
func (l loginDigest) check(header http.Header) error {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return &Failure{CredentialsInvalid, "the webhook has no header Authorization: set the username and password of basic_auth for the webhook in the Customer Area, and check that no proxy removes the header"}
	}
	request := http.Request{Header: http.Header{"Authorization": values}}
	username, password, ok := request.BasicAuth()
	if !ok || len(values) > 1 {
		return &Failure{CredentialsInvalid, "the header Authorization does not have the form of one login of HTTP Basic authentication"}
	}
	sent := digestLogin(username, password)
	sameName := subtle.ConstantTimeCompare(sent.username[:], l.username[:])
	if sameName&subtle.ConstantTimeCompare(sent.password[:], l.password[:]) != 1 {
		return &Failure{CredentialsInvalid, "the username or the password is not that of basic_auth: set the same in the Customer Area"}
	}
	return nil
}
