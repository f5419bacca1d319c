package provider

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/modules/payments"
)

// FuzzPayPalDecode decodes every body with each key of order ids. The result is updates
// with ids that differ, or a refusal with a code.
func FuzzPayPalDecode(f *testing.F) {
	for _, e := range readExamples(f)[PayPal] {
		f.Add(e.body)
	}
	for _, seed := range []string{
		paypalBody, "null", "{}{}", "\ufeff{}", `{"id":"\ud800","event_type":"\u0000","create_time":"2016-12-31t23:59:60z"}`,
		paypalEventBody("WH-1", "CUSTOMER.DISPUTE.CREATED", "2026-01-04T10:00:00Z", `{"status":"RESOLVED","disputed_transactions":[{},{},7,{"seller_transaction_id":"1"},{"buyer_transaction_id":"1"}]}`),
		paypalEventBody("WH-1", "CHECKOUT.ORDER.APPROVED", "2026-01-04T10:00:00Z", `{"purchase_units":[{"custom_id":"a","amount":{"currency_code":"USD","value":"1"}},{"custom_id":"b"},{"custom_id":"a","amount":{"currency_code":"JPY","value":"1"}}]}`),
		paypalEventBody("WH-1", "PAYMENT.CAPTURE.REFUNDED", "2026-01-04T10:00:00Z", `{"amount":{"currency_code":"USD","value":"9223372036854775807"},"links":[{"rel":"up","href":"/captures/"}]}`),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, key := range []string{"", "custom_id", "invoice_id"} {
			kept := bytes.Clone(body)
			w, err := newTestPayPal(t, key).Decode(&Request{Body: body})
			if !bytes.Equal(body, kept) {
				t.Fatalf("Decode(%q) changes the body to %q", kept, body)
			}
			if code, message := reason(err); err != nil && (code == "" || message == "" || !utf8.ValidString(message)) {
				t.Errorf("Decode(%q) = %v, want a code and a message", body, err)
			}
			if err == nil && (len(w.Updates) == 0 || w.Event == "") {
				t.Errorf("Decode(%q) = %v, want updates and an event", body, w)
			}
			ids := make(map[string]bool)
			for _, u := range w.Updates {
				if ids[u.GetEventId()] {
					t.Errorf("two updates of Decode(%q) have the event id %s", body, u.GetEventId())
				}
				ids[u.GetEventId()] = true
				if _, err := proto.Marshal(u); err != nil {
					t.Errorf("proto.Marshal(an update of %q) failed: %v", body, err)
				}
				u.Provider = "paypal"
				if _, invalid := errors.AsType[*payments.InvalidError](payments.Validate(u)); !invalid && payments.Validate(u) != nil {
					t.Errorf("Validate(an update of %q) = %v, want an InvalidError", body, payments.Validate(u))
				}
			}
		}
	})
}

// FuzzPayPalHeaders passes all headers to Verify. It must not panic, accept, or send a
// request to another host than one of PayPal's sandbox.
func FuzzPayPalHeaders(f *testing.F) {
	now := time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	const url = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1"
	f.Add("1", "2026-01-04T10:00:00Z", "AAAA", url, "SHA256withRSA")
	f.Add("1|2", "2026-01-04T11:00:00.5+01:00", "", "https://user@api.sandbox.paypal.com:443/v1/notifications/certs/CERT-1?a#b", "SHA256withRSA")
	f.Add("", "2016-12-31t23:59:60z", "AB==", "https://api.sandbox.paypal.com.evil.example/v1/notifications/certs/../x", "none")
	f.Add("1", "2026-01-04T10:00:00Z", "AA==", "https://[::1]/v1/notifications/certs/\x00", "SHA256withRSA")
	adapter, err := New(Settings{Provider: PayPal, Environment: Test, WebhookID: testWebhookID})
	if err != nil {
		f.Fatal(err)
	}
	p := adapter.(*paypal)
	f.Fuzz(func(t *testing.T, id, at, signature, certURL, algorithm string) {
		p.certs.client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if !strings.HasSuffix("."+r.URL.Host, ".sandbox.paypal.com") || r.URL.Scheme != "https" || r.URL.User != nil || r.URL.RawQuery != "" || r.URL.String() != certURL {
				t.Errorf("Verify() with the URL %q requests %s", certURL, r.URL)
			}
			return nil, errors.New("there is no network")
		})
		r := &Request{Body: []byte("{}"), ReceivedAt: now, Header: http.Header{
			paypalID: {id}, paypalTime: {at}, paypalSignature: {signature}, paypalCertURL: {certURL}, paypalAlgorithm: {algorithm},
		}}
		if _, err := p.Verify(t.Context(), r); err == nil {
			t.Errorf("Verify(%v) = nil, want an error", r.Header)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
