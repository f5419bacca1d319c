package payments_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func occurred(ts *timestamppb.Timestamp) change {
	return func(u *payrelayv1.Update) { u.OccurredAt = ts }
}

func TestValidatePasses(t *testing.T) {
	long := strings.Repeat("x", payments.MaxIDBytes)
	for name, u := range map[string]*payrelayv1.Update{
		"an order":                order("e1", 0, orderCreated),
		"a dispute":               dispute("e1", 0, disputeOpen),
		"schema version 1":        order("e1", 0, orderCreated, schema(1)),
		"an unknown schema":       order("e1", 0, orderCreated, schema(2)),
		"an unknown, empty one":   {SchemaVersion: 999},
		"ids of 255 bytes":        order(long, 0, orderCreated, of(long), user(long), from(long)),
		"a dispute id of 255":     dispute("e1", 0, disputeOpen, disputeID(long)),
		"ids beyond ASCII":        order("é\u0301", 0, orderCreated, of("заказ-1"), user("\U0001F4B6")),
		"markup in an id":         order("<img src=x>", 0, orderCreated, of("'; drop table orders")),
		"an unknown enum number":  order("e1", 0, payrelayv1.OrderStatus(99)),
		"an unknown dispute's":    dispute("e1", 0, payrelayv1.DisputeStatus(-1)),
		"the provider's word":     order("e1", 0, orderNone, providerStatus("chargeback_pending")),
		"the provider's, dispute": dispute("e1", 0, disputeNone, providerStatus("arbitration")),
		"an amount":               order("e1", 0, orderCreated, amount(1, "KWD")),
		"an amount of zero":       order("e1", 0, orderCreated, amount(0, "USD")),
		"a disputed amount":       dispute("e1", 0, disputeOpen, amount(1, "USD")),
		"a disputed zero":         dispute("e1", 0, disputeOpen, amount(0, "USD")),
		"an unknown currency":     order("e1", 0, orderCreated, amount(1, "USDT")),
		"a currency of 10":        dispute("e1", 0, disputeOpen, amount(1, "ABCDEFGH10")),
		"an exponent":             order("e1", 0, orderCreated, amount(1, "CLP"), exponent(2)),
		"the largest exponent":    order("e1", 0, orderCreated, amount(1, "CLP"), exponent(18)),
		"a note":                  note("e1", 0, "comment"),
		"a note with a text":      note("e1", 0, "comment", func(u *payrelayv1.Update) { u.GetNote().Text = "call the buyer" }),
		"no body":                 order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.RawBody = []byte{} }),
		"a body without digest":   order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.RawBody = []byte("x") }),
		"the first instant":       order("e1", 0, orderCreated, occurred(&timestamppb.Timestamp{})),
		"the last instant":        order("e1", 0, orderCreated, occurred(&timestamppb.Timestamp{Seconds: 253402300799, Nanos: 999999999})),
		"a future time":           order("e1", 0, orderCreated, occurred(timestamppb.New(time.Now().Add(1000*time.Hour)))),
		"a reason of 1024 bytes":  dispute("e1", 0, disputeOpen, reason(strings.Repeat("é", 512))),
	} {
		if err := payments.Validate(u); err != nil {
			t.Errorf("Validate(%s) = %v, want nil", name, err)
		}
	}
}

func reason(text string) change { return func(u *payrelayv1.Update) { u.GetDispute().Reason = text } }

func TestValidateRefuses(t *testing.T) {
	long := strings.Repeat("x", payments.MaxIDBytes+1)
	tooEarly, badNanos := &timestamppb.Timestamp{Seconds: -1}, &timestamppb.Timestamp{Nanos: 1e9}
	for name, test := range map[string]struct {
		u    *payrelayv1.Update
		code string
	}{
		"nothing":               {nil, "field_required"},
		"an empty update":       {new(payrelayv1.Update), "field_required"},
		"no provider":           {order("e1", 0, orderCreated, from("")), "field_required"},
		"no event id":           {order("", 0, orderCreated), "field_required"},
		"a blank event id":      {order(" \t\u00a0", 0, orderCreated), "field_required"},
		"no order id":           {order("e1", 0, orderCreated, of("")), "field_required"},
		"a blank order id":      {order("e1", 0, orderCreated, of("   ")), "field_required"},
		"a blank user id":       {order("e1", 0, orderCreated, user(" ")), "field_required"},
		"a blank dispute id":    {dispute("e1", 0, disputeOpen, disputeID("\n")), "field_required"},
		"a long provider":       {order("e1", 0, orderCreated, from(long)), "field_too_long"},
		"a long event id":       {order(long, 0, orderCreated), "field_too_long"},
		"a long order id":       {order("e1", 0, orderCreated, of(long)), "field_too_long"},
		"a long user id":        {order("e1", 0, orderCreated, user(long)), "field_too_long"},
		"a long dispute id":     {dispute("e1", 0, disputeOpen, disputeID(long)), "field_too_long"},
		"a NUL":                 {order("e\x001", 0, orderCreated), "invalid_field"},
		"a line break":          {order("e1", 0, orderCreated, of("o\n1")), "invalid_field"},
		"an escape":             {order("e1", 0, orderCreated, user("\x1b[2J")), "invalid_field"},
		"DEL":                   {order("e1\x7f", 0, orderCreated), "invalid_field"},
		"a C1 control":          {order("e1\u0085x", 0, orderCreated), "invalid_field"},
		"no UTF-8":              {order("\xff", 0, orderCreated), "invalid_utf8"},
		"half a rune":           {order("e1", 0, orderCreated, of("o\xc3")), "invalid_utf8"},
		"no UTF-8, dispute":     {dispute("e1", 0, disputeOpen, disputeID("\xed\xa0\x80")), "invalid_utf8"},
		"no time":               {order("e1", 0, orderCreated, occurred(nil)), "field_required"},
		"before 1970":           {order("e1", 0, orderCreated, occurred(tooEarly)), "invalid_time"},
		"after 9999":            {order("e1", 0, orderCreated, occurred(&timestamppb.Timestamp{Seconds: 253402300800})), "invalid_time"},
		"a second of nanos":     {order("e1", 0, orderCreated, occurred(badNanos)), "invalid_time"},
		"received before":       {order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.ReceivedAt = tooEarly }), "invalid_time"},
		"created before":        {order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.GetOrder().CreatedAt = tooEarly }), "invalid_time"},
		"evidence due before":   {dispute("e1", 0, disputeOpen, func(u *payrelayv1.Update) { u.GetDispute().EvidenceDueAt = badNanos }), "invalid_time"},
		"another body":          {order("e1", 0, orderCreated, body("one"), func(u *payrelayv1.Update) { u.RawBody = []byte("onf") }), "digest_mismatch"},
		"a cut digest":          {order("e1", 0, orderCreated, body("one"), func(u *payrelayv1.Update) { u.BodySha256 = u.BodySha256[:31] }), "digest_mismatch"},
		"a digest of no body":   {order("e1", 0, orderCreated, body("one"), func(u *payrelayv1.Update) { u.RawBody = []byte{} }), "digest_mismatch"},
		"no subject":            {order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.Subject = nil }), "field_required"},
		"an order of nothing":   {order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.Subject = &payrelayv1.Update_Order{} }), "field_required"},
		"a dispute of nothing":  {order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.Subject = &payrelayv1.Update_Dispute{} }), "field_required"},
		"no status":             {order("e1", 0, orderNone), "field_required"},
		"no dispute status":     {dispute("e1", 0, disputeNone), "field_required"},
		"a blank status":        {order("e1", 0, orderNone, providerStatus("  ")), "field_required"},
		"a control in a status": {order("e1", 0, orderNone, providerStatus("a\x00b")), "invalid_field"},
		"a long status":         {order("e1", 0, orderNone, providerStatus(strings.Repeat("x", 1025))), "field_too_long"},
		"a status of no UTF-8":  {dispute("e1", 0, disputeNone, providerStatus("\xff")), "invalid_utf8"},
		"a long reason":         {dispute("e1", 0, disputeOpen, reason(strings.Repeat("é", 513))), "field_too_long"},
		"a control in a reason": {dispute("e1", 0, disputeOpen, reason("a\x00b")), "invalid_field"},
		"a negative amount":     {order("e1", 0, orderCreated, amount(-1, "USD")), "invalid_amount"},
		"negative captured":     {order("e1", 0, orderSuccess, captured(-1, "USD")), "invalid_amount"},
		"negative authorized":   {order("e1", 0, orderSuccess, authorized(-1, "USD")), "invalid_amount"},
		"negative refunded":     {order("e1", 0, orderSuccess, refundedTotal(-1, "USD")), "invalid_amount"},
		"a negative outcome":    {dispute("e1", 0, disputeLost, outcomeAmount(-1, "USD")), "invalid_amount"},
		"a negative exponent":   {order("e1", 0, orderCreated, amount(1, "CLP"), exponent(-1)), "invalid_amount"},
		"a large exponent":      {order("e1", 0, orderCreated, amount(1, "CLP"), exponent(19)), "invalid_amount"},
		"a long part":           {order("e1", 0, orderCreated, partOf(long)), "field_too_long"},
		"a blank part":          {order("e1", 0, orderCreated, partOf(" ")), "field_required"},
		"a note of no kind":     {note("e1", 0, " "), "field_required"},
		"a control in a kind":   {note("e1", 0, "a\x00"), "invalid_field"},
		"a control in a note":   {note("e1", 0, "comment", func(u *payrelayv1.Update) { u.GetNote().Text = "a\x00" }), "invalid_field"},
		"a long note":           {note("e1", 0, "comment", func(u *payrelayv1.Update) { u.GetNote().Text = strings.Repeat("x", 1025) }), "field_too_long"},
		"a long id in a note":   {note("e1", 0, "comment", func(u *payrelayv1.Update) { u.GetNote().DisputeId = long }), "field_too_long"},
		"no currency":           {order("e1", 0, orderCreated, amount(1, "")), "invalid_currency"},
		"a small currency":      {order("e1", 0, orderCreated, amount(1, "usd")), "invalid_currency"},
		"a short currency":      {order("e1", 0, orderCreated, amount(1, "US")), "invalid_currency"},
		"a long currency":       {dispute("e1", 0, disputeOpen, amount(1, "ABCDEFGHI11")), "invalid_currency"},
		"a currency of no text": {dispute("e1", 0, disputeOpen, amount(1, "\xff\xff\xff")), "invalid_currency"},
	} {
		wantInvalid(t, name, payments.Validate(test.u), test.code)
	}
}

// A refusal names the field and does not quote its value, which may be a card number or
// a terminal escape sequence.
func TestRefusalsNameTheFieldOnly(t *testing.T) {
	err := payments.Validate(order("e1", 0, orderCreated, user("4111111111111111\x1b[31m")))
	if err == nil || !strings.HasPrefix(err.Error(), "user_id ") || strings.Contains(err.Error(), "4111") {
		t.Errorf("Validate() = %v, want an error about user_id without the value", err)
	}
	refusal, ok := err.(*payments.InvalidError)
	if !ok || !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(refusal.Code()) {
		t.Errorf("Validate() = %T, want an InvalidError with a code in snake_case", err)
	}
}
