package provider

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	library "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// FuzzStandardHeaders verifies the body of the vector with any headers. What is accepted
// has the signature of the vector, and the library of Standard Webhooks accepts it too.
func FuzzStandardHeaders(f *testing.F) {
	public, sign := asymmetricVector()
	asymmetric := sign(vectorID, vectorTime, vectorBody)
	for _, seed := range [][3]string{
		{vectorID, "1614265330", vectorSignature}, {vectorID, "1614265330", asymmetric}, {vectorID, "01614265330", vectorSignature},
		{vectorID, "1614265330", "v1,x v1a,y v2,z " + vectorSignature}, {"", "", ""}, {"a.1", "2", "v1,"}, {"\xff", "-1", "v1a,AAAA"},
		{vectorID, "99999999999999999999", strings.Repeat("v0,x ", 11)}, {vectorID, "1614265330", strings.ToLower(vectorSignature)},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	a := newStandard(f, vectorSecret, public)
	theirs, err := library.NewWebhook(vectorSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, timestamp, signature string) {
		header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
		r := &Request{Header: header, Body: []byte(vectorBody), ReceivedAt: time.Unix(vectorTime, 0)}
		secret, err := a.Verify(t.Context(), r)
		if err != nil {
			failure, ok := err.(*Failure)
			if !ok || failure.Code == "" || failure.Message == "" {
				t.Fatalf("Verify(%q) = %v, want a failure", header, err)
			}
			return
		}
		want := []string{vectorSignature, asymmetric}[secret]
		if id != vectorID || timestamp != "1614265330" || !strings.Contains(signature, want) {
			t.Errorf("Verify(%q) = %d, want a failure", header, secret)
		}
		if err := theirs.VerifyIgnoringTimestamp(r.Body, header); secret == 0 && err != nil {
			t.Errorf("Verify(%q) = nil, and the library says %v", header, err)
		}
	})
}

// FuzzHMACHeader verifies GitHub's example with any header.
func FuzzHMACHeader(f *testing.F) {
	for _, seed := range []string{"sha256=" + gitHubMAC, "sha256=" + strings.ToUpper(gitHubMAC), gitHubMAC, "sha256=", "", "sha256=" + gitHubMAC[1:], "sha256==" + gitHubMAC} {
		f.Add(seed)
	}
	a := newHMAC(f, Signature{Header: "X-Mac", Prefix: "sha256="}, gitHubSecret)
	f.Fuzz(func(t *testing.T, value string) {
		_, err := a.Verify(t.Context(), hmacRequest("X-Mac", value, gitHubBody))
		if good := strings.HasPrefix(value, "sha256=") && strings.EqualFold(value[7:], gitHubMAC); (err == nil) != good {
			t.Errorf("Verify(%q) = %v, want success only of the MAC", value, err)
		}
		if err != nil && !isFailure(err, SignatureMissing, SignatureMalformed, SignatureInvalid) {
			t.Errorf("Verify(%q) = %v, want a failure", value, err)
		}
	})
}

// FuzzStandardDecode decodes any envelope. Of an order or a dispute, the update is that of
// its data as a generic webhook, but for the id and the time.
func FuzzStandardDecode(f *testing.F) {
	for directory, examples := range readExamples(f) {
		for _, e := range examples {
			f.Add(e.body, "msg_1")
			if strings.HasPrefix(directory, Generic) {
				f.Add([]byte(envelope("order.created", "data", string(e.body))), "msg_1")
				f.Add([]byte(envelope("dispute.opened", "data", string(e.body))), "msg_1")
			}
		}
	}
	f.Add([]byte(envelope("x", "type", `"\ud800"`)), "")
	f.Add([]byte(`{"type":"order.x","data":{"order_id":"o"},"DATA":1}`), "m")
	f.Add([]byte("\ufeff"+envelope("payout.paid", "data", `{"order_id":"a","order_id":"b"}`)), "\xff")
	a := newStandard(f, vectorSecret)
	f.Fuzz(func(t *testing.T, body []byte, id string) {
		kept := bytes.Clone(body)
		r := &Request{Header: http.Header{"Webhook-Id": {id}}, Body: body, ReceivedAt: time.Now()}
		u, _, err := decodeOne(a, r)
		if !bytes.Equal(body, kept) {
			t.Fatalf("Decode(%q) changes the body to %q", kept, body)
		}
		if err != nil {
			if code, message := reason(err); code == "" || message == "" {
				t.Errorf("Decode(%q) = %v, want a code and a message", body, err)
			}
			return
		}
		if u.GetEventId() != id || !bytes.Equal(u.GetRawBody(), body) {
			t.Errorf("Decode(%q) = %v, want the event %q and the body", body, u, id)
		}
		if _, err := proto.Marshal(u); err != nil {
			t.Errorf("proto.Marshal(the update of %q) failed: %v", body, err)
		}
		compareData(t, a, r)
	})
}

// compareData compares the update of an order or a dispute with that of its data.
func compareData(t *testing.T, a Adapter, r *Request) {
	w, err := a.Decode(r)
	if err != nil {
		t.Fatalf("Decode(%q) = %v the second time", r.Body, err)
	}
	got := w.Updates[0]
	path := map[bool]string{true: ordersPath, false: disputesPath}[got.GetOrder() != nil]
	if got.GetNote() != nil {
		if event := w.Event; strings.HasPrefix(event, "order.") || strings.HasPrefix(event, "dispute.") || got.GetNote().GetKind() != payments.PlainText(event) {
			t.Errorf("Decode(%q) is a note of %q", r.Body, event)
		}
		return
	}
	d := jsonbody.NewDocument(standardEnvelope)
	defer d.Release()
	if err := d.Parse(r.Body); err != nil {
		t.Fatal(err)
	}
	want, _, err := decode(path, string(d.Value("data")))
	if err != nil {
		return // it has no event id or no time of its own
	}
	want.EventId, want.RawBody, want.BodySha256, want.Provider, want.SchemaVersion, want.ReceivedAt = got.GetEventId(), got.GetRawBody(), nil, "", 0, nil
	if !proto.Equal(got, want) {
		t.Errorf("Decode(%q) = %v, want %v", r.Body, got, want)
	}
}
