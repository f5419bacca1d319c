package provider

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stripe/stripe-go/v84/webhook"
)

// FuzzStripeSignature compares the verdict about a header with that of stripe-go. The time
// is that of the receipt: SIGNED in a header stands for a good signature of it, and NOW for
// the time.
func FuzzStripeSignature(f *testing.F) {
	for _, header := range []string{"", "t=NOW,v1=SIGNED", "t=NOW,v0=SIGNED", "v1=SIGNED", "t=NOW", "t=,v1=SIGNED", "v1,t=1", "t=NOW,v1=zz,v1=SIGNED", "t=NOW,v1=SIGNED,",
		"t=+NOW,v1=SIGNED", "t=0NOW,v1=SIGNED", "t=1,t=NOW,v1=SIGNED", "t=NOW,t=1,v1=SIGNED", "t=NOW,v1=SIGNED=", "t=9223372036854775807,v1=SIGNED", "t=-NOW,v1=SIGNED",
		" t=NOW , v1=SIGNED", "t=NOW,v1=SIGNEDSIGNED", "T=NOW,V1=SIGNED"} {
		f.Add(header, []byte(`{"id":"evt_1"}`))
	}
	a := newTestStripe(f, stripeSecret)
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		now := time.Now()
		stamp, _, _ := strings.Cut(stripeSigned(now, body, stripeSecret), ",")
		header = strings.NewReplacer("NOW", stamp[2:], "SIGNED", signStripe(now, body, stripeSecret)).Replace(header)
		if strings.Count(header, "v1=") > maxStripeSignatures {
			t.Skip("the library compares any number of signatures")
		}
		r := stripeRequest(header, body)
		r.ReceivedAt = now
		kept := bytes.Clone(body)
		secret, got := a.Verify(t.Context(), r)
		want := webhook.ValidatePayloadWithTolerance(body, header, stripeSecret, DefaultTolerance)
		if (got == nil) != (want == nil) || secret != 0 {
			t.Errorf("Verify(%q) = %d, %v, but stripe-go returns %v", header, secret, got, want)
		}
		if !bytes.Equal(kept, body) {
			t.Errorf("Verify changes the body %q to %q", kept, body)
		}
	})
}

// FuzzStripeEvent decodes any body. The result is a valid update or a refusal with a code,
// and the ids are those that encoding/json reads.
func FuzzStripeEvent(f *testing.F) {
	files, err := filepath.Glob(stripeExamples + "*.json")
	if err != nil || len(files) < 40 {
		f.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, seed := range []string{"", "[]", "{}", `{"object":"event"}`, `{"object":"event","id":1,"type":"x","created":1}`, `{"object":"event","id":"1","type":"charge.refunded","created":1,"data":{"object":{"object":"charge","id":"ch","currency":"usd","amount":9223372036854775807,"amount_captured":-9223372036854775808,"amount_refunded":-1}}}`,
		`{"object":"v2.core.event","id":"e","type":"x","created":"2016-12-31t23:59:60z","related_object":{"charge":{"payment_intent":{"charge":{"id":"x"}}}}}`,
		`{"object":"event","id":"1","id":"2","type":"charge.dispute.x","created":"1","data":{"object":{"object":"dispute","id":"\ud800","status":"\u0000"},"object":{}}}`} {
		f.Add([]byte(seed))
	}
	a := newTestStripe(f, stripeSecret)
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		u, w, err := decodeStripe(a, body)
		if !bytes.Equal(kept, body) {
			t.Fatalf("Decode changes the body %q to %q", kept, body)
		}
		if err != nil {
			if code, message := stripeReason(err); code == "" || message == "" || u != nil {
				t.Errorf("Decode(%q) = %v, %v, want a refusal with a code, or a valid update", body, u, err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("Decode(%q) = %v, but the body is not valid", body, u)
		}
		if u.GetNote() != nil && (u.GetNote().GetKind() == "" || w.Event == "") {
			t.Errorf("Decode(%q) = %v, want a note with a kind", body, u)
		}
		members := make(map[string]json.RawMessage)
		if err := json.Unmarshal(body, &members); err != nil {
			t.Fatal(err)
		}
		var id string
		if json.Unmarshal(members["id"], &id) == nil && id != u.GetEventId() {
			t.Errorf("EventId of %q = %q, want %q", body, u.GetEventId(), id)
		}
	})
}

// BenchmarkStripe compares the adapter with its control: what no adapter can do without.
// Signature and body are of an event of 2.5 KB.
func BenchmarkStripe(b *testing.B) {
	body := readStripe(b, "payment_intent.succeeded")
	b.Run("verify, decode and map", func(b *testing.B) {
		a := newTestStripe(b, stripeSecret)
		r := stripeRequest(stripeSigned(stripeNow, body, stripeSecret), body)
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Verify(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			if _, err := a.Decode(r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("HMAC and one JSON pass alone", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			mac := hmac.New(sha256.New, []byte(stripeSecret))
			mac.Write(body)
			mac.Sum(nil)
			if !jsontext.Value(body).IsValid() {
				b.Fatal("the body is not valid")
			}
		}
	})
}
