package provider

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// Solidgate is the name of the provider whose webhooks name the pair of keys that signs
// them.
const Solidgate = "solidgate"

// solidgate is the adapter of Solidgate's webhooks about cards.
//
// The signature covers the body and nothing else. The id, the type and the time of the
// event are in headers that are not signed, and there is no signed time, so that a webhook
// cannot be too old. What arrives under the id of a recorded event is a duplicate. What an
// attacker who has seen a webhook sends again under another id is a second event with the
// same facts and the same signed times, which changes nothing of an order or a dispute:
// therefore the times in the body come before the one in the header.
type solidgate struct {
	prefix string
	keys   keyring[solidgateKey]
}

type solidgateKey struct{ public, secret string }

func newSolidgate(s Settings) (Adapter, error) {
	keys, err := newKeyring(s.Secrets, parseSolidgateKey)
	if err != nil {
		return nil, err
	}
	return &solidgate{prefix: s.OrderIDPrefix, keys: keys}, nil
}

// minSolidgateSecret is the smallest size of a secret that cannot be guessed.
const minSolidgateSecret = 24

func parseSolidgateKey(s Secret) (solidgateKey, error) {
	switch {
	case s.PublicKey == "":
		return solidgateKey{}, errors.New("has no public_key: copy both keys of the webhook from the Solidgate Hub, wh_pk_… and wh_sk_…")
	case strings.HasPrefix(s.PublicKey, "api_"), strings.HasPrefix(s.Value, "api_"):
		return solidgateKey{}, errors.New("is an API key: copy the keys of the webhook from the Solidgate Hub, wh_pk_… and wh_sk_…")
	case strings.HasPrefix(s.PublicKey, "wh_sk_"), strings.HasPrefix(s.Value, "wh_pk_"):
		return solidgateKey{}, errors.New("and its public_key are exchanged: public_key is wh_pk_…, and the secret is wh_sk_…")
	case len(s.Value) < minSolidgateSecret:
		return solidgateKey{}, errors.New("is too short: copy the whole secret key wh_sk_… from the Solidgate Hub")
	}
	return solidgateKey{s.PublicKey, s.Value}, nil
}

// Verify checks the signature with the secrets whose public key the header merchant names.
func (s *solidgate) Verify(_ context.Context, r *Request) (int, error) {
	merchant, err := onlyHeader(r, "merchant")
	if err != nil {
		return 0, err
	}
	header, err := onlyHeader(r, "signature")
	if err != nil {
		return 0, err
	}
	// The signature is the base64 form of the hexadecimal text of the MAC.
	text, err := decodeSignature(header, hex.EncodedLen(sha512.Size))
	if err != nil {
		return 0, malformed("signature", "of the base64 form of 128 hexadecimal digits")
	}
	signature, err := hex.AppendDecode(nil, text)
	if err != nil {
		return 0, malformed("signature", "of the base64 form of 128 hexadecimal digits")
	}
	named := false
	secret, err := s.keys.verify(r.ReceivedAt, func(k solidgateKey) bool {
		if k.public != merchant {
			return false
		}
		named = true
		mac := hmac.New(sha512.New, []byte(k.secret))
		for _, part := range [][]byte{[]byte(k.public), r.Body, []byte(k.public)} {
			mac.Write(part) // a hash does not return errors
		}
		return hmac.Equal(mac.Sum(nil), signature)
	})
	if err != nil && !named {
		return 0, &Failure{SignatureInvalid, "no secret of the source has the public key that the header merchant names: check public_key"}
	}
	return secret, err
}

// solidgateBody has the members that payrelay reads.
type solidgateBody struct {
	Order        jsonbody.Object[solidgateOrder]       `json:"order"`
	Transaction  jsonbody.Object[solidgateTransaction] `json:"transaction"`
	Transactions jsonbody.List[solidgateTransaction]   `json:"transactions"`
	Chargeback   jsonbody.Object[solidgateChargeback]  `json:"chargeback"`
	Flow         jsonbody.List[solidgateStage]         `json:"chargeback_flow"`
	// The others are those of alerts and subscriptions.
	OrderID      jsonbody.Text `json:"order_id"`
	UpdatedAt    jsonbody.Text `json:"updated_at"`
	Subscription jsonbody.Object[struct {
		ID jsonbody.Text `json:"id"`
	}] `json:"subscription"`
}

type solidgateOrder struct {
	ID         jsonbody.Text `json:"order_id"`
	AlertID    jsonbody.Text `json:"id"` // of the order, in alerts
	Customer   jsonbody.Text `json:"customer_account_id"`
	Status     jsonbody.Text `json:"status"`
	Amount     jsonbody.Text `json:"amount"`
	Authorized jsonbody.Text `json:"authorized_amount"`
	Refunded   jsonbody.Text `json:"refunded_amount"`
	Currency   jsonbody.Text `json:"currency"`
	UpdatedAt  jsonbody.Text `json:"updated_at"`
}

type solidgateTransaction struct {
	Operation jsonbody.Text `json:"operation"`
	Status    jsonbody.Text `json:"status"`
	Amount    jsonbody.Text `json:"amount"`
	Currency  jsonbody.Text `json:"currency"`
	UpdatedAt jsonbody.Text `json:"updated_at"`
}

type solidgateChargeback struct {
	ID          jsonbody.Text `json:"id"`
	Type        jsonbody.Text `json:"type"`
	Status      jsonbody.Text `json:"status"`
	Amount      jsonbody.Text `json:"amount"`
	Currency    jsonbody.Text `json:"currency"`
	ReasonCode  jsonbody.Text `json:"reason_code"`
	Description jsonbody.Text `json:"reason_description"`
}

type solidgateStage struct {
	Type      jsonbody.Text `json:"type"`
	Deadline  jsonbody.Text `json:"deadline_date"`
	UpdatedAt jsonbody.Text `json:"updated_date"`
}

// solidgateStatuses has the statuses of orders. A partial settlement does not decide the
// payment.
var solidgateStatuses = map[jsonbody.Text]payrelayv1.OrderStatus{
	"created":         payrelayv1.OrderStatus_ORDER_STATUS_CREATED,
	"processing":      payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"3ds_verify":      payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"settle_pending":  payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"partial_settled": payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"auth_ok":         payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED,
	"auth_failed":     payrelayv1.OrderStatus_ORDER_STATUS_FAILED,
	"settle_ok":       payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
	"void_ok":         payrelayv1.OrderStatus_ORDER_STATUS_CANCELED,
	"refunded":        payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED,
}

var solidgateDisputes = map[jsonbody.Text]payrelayv1.DisputeStatus{
	"in_progress": disputeOpen, "document_sent": disputeSubmitted, "reversed": disputeWon,
	"accepted": disputeLost, "resolved": disputeLost, "resolved_reversal": disputeWon,
}

var solidgateStages = map[jsonbody.Text]payrelayv1.DisputeStage{
	"1st_chb": stageChargeback, "2nd_chb": stagePreArbitration, "arbitration": stageArbitration,
}

// Decode returns the update that a webhook reports. The header with the
// type is not signed, so that a body with a chargeback is one under every type.
func (s *solidgate) Decode(r *Request) (Webhook, error) {
	id, err := onlyHeader(r, "solidgate-event-id")
	if err != nil {
		return Webhook{}, jsonbody.NewMalformed("event_id_missing", "the webhook has no single header solidgate-event-id, so that its event cannot be identified")
	}
	body := bytes.TrimPrefix(r.Body, []byte("\ufeff"))
	if jsonbody.TooDeep(body) {
		return Webhook{}, jsonbody.ErrTooDeep
	}
	d := solidgateDecoder{event: r.Header.Get("solidgate-event-type"), sentAt: jsonbody.Text(r.Header.Get("solidgate-event-created-at"))}
	if err := json.Unmarshal(body, &d.object, jsonbody.Lenient); err != nil {
		return Webhook{}, jsonbody.ErrInvalidJSON
	}
	if jsontext.Value(body).Kind() != jsontext.KindBeginObject {
		return Webhook{}, jsonbody.ErrNotAnObject
	}
	order := &d.object.Value.Order.Value
	u := &payrelayv1.Update{
		EventId: id, RawBody: r.Body,
		OrderId: s.prefix + jsonbody.FirstText(order.ID, order.AlertID, d.object.Value.OrderID, d.object.Value.Subscription.Value.ID, jsonbody.Text(id)),
		UserId:  d.customer(),
	}
	switch {
	case d.object.Value.Chargeback.Value != (solidgateChargeback{}):
		u.Subject = &payrelayv1.Update_Dispute{Dispute: d.dispute()}
	case d.event == "card_gate.order.updated":
		u.Subject = &payrelayv1.Update_Order{Order: d.order()}
	default:
		u.Subject = &payrelayv1.Update_Note{Note: d.note()}
	}
	u.OccurredAt = d.time()
	return Webhook{Updates: []*payrelayv1.Update{u}, Event: payments.PlainText(d.event), Ignored: d.ignored}, d.err
}
