package provider

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// stripeEvent is an event that is read, with its members as in the body. Versions of
// Stripe's API differ in the types of members, and an id may be an expanded object with
// that id, so a value is converted only where it is used. Other members only have to be
// JSON.
type stripeEvent struct {
	stripeMembers
	// intentID and chargeID are the ids of the payment intent and of the charge that the
	// object is, or belongs to.
	intentID, chargeID string

	source *stripe
	body   []byte
	buffer bytes.Buffer // of the body, for tokens
	tokens jsontext.Decoder
	err    error // the first refusal
}

type stripeMembers struct {
	id, object, kind, created, livemode jsontext.Value
	// of is what the event is about: data.object or, in a thin event, related_object, which
	// has an id only. charge and intent are the expanded objects in it.
	of, charge, intent stripeObject
}

// stripeObject has the members of all kinds of objects that are read. An object has some
// of them.
type stripeObject struct {
	id, object, status, created, currency                                    jsontext.Value
	amount, amountReceived, amountCapturable, amountCaptured, amountRefunded jsontext.Value
	charge, paymentIntent, captured                                          jsontext.Value
	failureBalanceTransaction, failureReason, reason, fraudType              jsontext.Value
	orderID                                                                  jsontext.Value // of metadata
	dueBy                                                                    jsontext.Value // of evidence_details
	networkReasonCode                                                        jsontext.Value // of payment_method_details.card, or of a dispute itself in old versions
}

// stripeDocuments holds events without members.
var stripeDocuments = sync.Pool{New: func() any { return new(stripeEvent) }}

// putBack clears the event and returns it to the pool.
func (e *stripeEvent) putBack() {
	e.buffer = bytes.Buffer{}
	e.tokens.Reset(&e.buffer)
	e.stripeMembers = stripeMembers{}
	e.source, e.body, e.intentID, e.chargeID, e.err = nil, nil, "", "", nil
	stripeDocuments.Put(e)
}

// parse reads the members in one pass over the body.
func (e *stripeEvent) parse(body []byte) error {
	if jsonbody.TooDeep(body) {
		return jsonbody.ErrTooDeep
	}
	e.body, e.buffer = body, *bytes.NewBuffer(body)
	e.tokens.Reset(&e.buffer, jsonbody.Lenient)
	if e.tokens.PeekKind() != jsontext.KindBeginObject {
		if jsontext.Value(body).IsValid(jsonbody.Lenient) {
			return jsonbody.ErrNotAnObject
		}
		return jsonbody.ErrInvalidJSON
	}
	if !e.members(inStripeEvent, nil) {
		return jsonbody.ErrInvalidJSON
	}
	if _, err := e.tokens.ReadToken(); err != io.EOF {
		return jsonbody.ErrInvalidJSON
	}
	return nil
}

// stripeForm returns the place of a member of an object in the body, by its name as in the
// body. Of gets what is read of the object.
type stripeForm func(e *stripeEvent, of *stripeObject, name []byte) stripeMember

// stripeMember is the place of a member. The zero value means that it is not read.
type stripeMember struct {
	value *jsontext.Value // gets the value
	// inner is the form of a value whose members are read if it is an object. Of gets them.
	inner stripeForm
	of    *stripeObject
}

// members reads the members of an object. It returns false if they are not valid JSON.
func (e *stripeEvent) members(form stripeForm, of *stripeObject) bool {
	if _, err := e.tokens.ReadToken(); err != nil {
		return false
	}
	for e.tokens.PeekKind() == jsontext.KindString {
		name, err := e.tokens.ReadValue()
		if err != nil {
			return false
		}
		member := form(e, of, name)
		if member.inner != nil && e.tokens.PeekKind() == jsontext.KindBeginObject {
			if !e.members(member.inner, member.of) {
				return false
			}
			continue
		}
		value, err := e.tokens.ReadValue()
		if err != nil {
			return false
		}
		if member.value != nil {
			end := int(e.tokens.InputOffset()) // value is valid until the next call only
			*member.value = e.body[end-len(value) : end]
		}
	}
	_, err := e.tokens.ReadToken()
	return err == nil
}

func inStripeEvent(e *stripeEvent, _ *stripeObject, name []byte) stripeMember {
	switch string(name) {
	case `"id"`:
		return stripeMember{value: &e.id}
	case `"object"`:
		return stripeMember{value: &e.object}
	case `"type"`:
		return stripeMember{value: &e.kind}
	case `"created"`:
		return stripeMember{value: &e.created}
	case `"livemode"`:
		return stripeMember{value: &e.livemode}
	case `"data"`:
		return stripeMember{inner: inStripeData}
	case `"related_object"`:
		return stripeMember{inner: inStripeObject, of: &e.of}
	}
	return stripeMember{}
}

func inStripeData(e *stripeEvent, _ *stripeObject, name []byte) stripeMember {
	if string(name) == `"object"` {
		return stripeMember{inner: inStripeObject, of: &e.of}
	}
	return stripeMember{}
}

func inStripeObject(e *stripeEvent, of *stripeObject, name []byte) stripeMember {
	switch string(name) {
	case `"id"`:
		return stripeMember{value: &of.id}
	case `"object"`:
		return stripeMember{value: &of.object}
	case `"status"`:
		return stripeMember{value: &of.status}
	case `"created"`:
		return stripeMember{value: &of.created}
	case `"currency"`:
		return stripeMember{value: &of.currency}
	case `"amount"`:
		return stripeMember{value: &of.amount}
	case `"amount_received"`:
		return stripeMember{value: &of.amountReceived}
	case `"amount_capturable"`:
		return stripeMember{value: &of.amountCapturable}
	case `"amount_captured"`:
		return stripeMember{value: &of.amountCaptured}
	case `"amount_refunded"`:
		return stripeMember{value: &of.amountRefunded}
	case `"captured"`:
		return stripeMember{value: &of.captured}
	case `"charge"`:
		return stripeMember{value: &of.charge, inner: inStripeObject, of: &e.charge}
	case `"payment_intent"`:
		return stripeMember{value: &of.paymentIntent, inner: inStripeObject, of: &e.intent}
	case `"failure_balance_transaction"`:
		return stripeMember{value: &of.failureBalanceTransaction}
	case `"failure_reason"`:
		return stripeMember{value: &of.failureReason}
	case `"reason"`:
		return stripeMember{value: &of.reason}
	case `"fraud_type"`:
		return stripeMember{value: &of.fraudType}
	case `"network_reason_code"`:
		return stripeMember{value: &of.networkReasonCode}
	case `"metadata"`:
		return stripeMember{inner: inStripeMetadata, of: of}
	case `"evidence_details"`, `"payment_method_details"`:
		return stripeMember{inner: inStripeDetails, of: of}
	}
	return stripeMember{}
}

func inStripeMetadata(e *stripeEvent, of *stripeObject, name []byte) stripeMember {
	key := e.source.orderIDKey
	if key == "" || string(name[1:len(name)-1]) != key && (bytes.IndexByte(name, '\\') < 0 || stripeText(name) != key) {
		return stripeMember{}
	}
	return stripeMember{value: &of.orderID}
}

// inStripeDetails reads evidence_details, payment_method_details and the card in these.
func inStripeDetails(_ *stripeEvent, of *stripeObject, name []byte) stripeMember {
	switch string(name) {
	case `"due_by"`:
		return stripeMember{value: &of.dueBy}
	case `"network_reason_code"`:
		return stripeMember{value: &of.networkReasonCode}
	case `"card"`:
		return stripeMember{inner: inStripeDetails, of: of}
	}
	return stripeMember{}
}

// stripeText returns a string, or the literal of a number. It is empty for other values.
// It has replacement characters where the string is not valid Unicode.
func stripeText(v jsontext.Value) string {
	switch v.Kind() {
	case jsontext.KindNumber:
		return string(v)
	case jsontext.KindString:
		text, _ := jsonbody.Unquote(v) // the error is that of invalid Unicode
		return text
	default:
		return ""
	}
}

// stripeIs reports whether a value is a string of ASCII without escapes.
func stripeIs(v jsontext.Value, text string) bool {
	return len(v) == len(text)+2 && v[0] == '"' && string(v[1:len(v)-1]) == text
}

// integer returns an integer, which may be quoted. Stated is false if the value is absent
// or null, and after a refusal of a value that is not an integer of 64 bits.
func (e *stripeEvent) integer(name string, v jsontext.Value) (n int64, stated bool) {
	switch v.Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		return 0, false
	case jsontext.KindString:
		v = v[1 : len(v)-1]
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		e.fail("invalid_field", name+" must be an integer of 64 bits")
	}
	return n, err == nil
}

// money returns an amount in the currency of an object, or nil if it has none.
func (e *stripeEvent) money(name string, v, currency jsontext.Value) *payrelayv1.Money {
	units, stated := e.integer(name, v)
	if !stated {
		return nil
	}
	return e.minorUnits(units, currency)
}

// minorUnits returns an amount in Stripe's minor units, which differ from those of ISO 4217
// in three currencies.
func (e *stripeEvent) minorUnits(units int64, currency jsontext.Value) *payrelayv1.Money {
	code := strings.ToUpper(stripeText(currency))
	digits := -1
	switch code {
	case "MGA":
		digits = 0
	case "ISK", "UGX":
		digits = 2
	}
	amount, err := payments.MinorUnits(units, code, digits)
	if err != nil && e.err == nil {
		e.err = err
	}
	return amount
}

// checked returns an id. It refuses one that no update can have.
func (e *stripeEvent) checked(name, id string) string {
	switch {
	case strings.TrimSpace(id) == "":
		e.fail("field_required", name+" is required")
	case len(id) > payments.MaxIDBytes:
		e.fail("field_too_long", fmt.Sprintf("%s must be at most %d bytes", name, payments.MaxIDBytes))
	case strings.ContainsFunc(id, unicode.IsControl):
		e.fail("invalid_field", name+" must not contain control characters")
	}
	return id
}

// fail refuses the event. The first refusal counts.
func (e *stripeEvent) fail(code, message string) {
	if e.err == nil {
		e.err = jsonbody.NewMalformed(code, message)
	}
}
