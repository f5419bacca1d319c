package workload

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// authentic reports whether the receiver of a webhook must accept its headers.
func authentic(t *testing.T, header http.Header, body string, now time.Time) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(history.Secret)
	if err != nil {
		t.Fatal(err)
	}
	seconds, _ := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", header.Get("webhook-id"), seconds, body)
	return now.Sub(time.Unix(seconds, 0)).Abs() < 5*time.Minute && header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestSignatures: only the authentic signature is that of the body, the secret and the
// time.
func TestSignatures(t *testing.T) {
	w, now := *(Generator{1}).Order(0)[0].Webhook, time.Now()
	for _, signature := range append([]string{history.Authentic}, history.Forgeries...) {
		header := make(http.Header)
		w.Signature = signature
		if setSignature(header, &w, now); authentic(t, header, w.Body, now) != (signature == history.Authentic) {
			t.Errorf("the signature %q has the headers %v", signature, header)
		}
	}
	header := make(http.Header)
	w.Signature = ""
	if setSignature(header, &w, now); len(header) != 0 {
		t.Errorf("an unsigned webhook has the headers %v", header)
	}
}

// TestForgedWebhooks: a forged webhook would be accepted but for its signature, and all
// kinds of them are sent.
func TestForgedWebhooks(t *testing.T) {
	kinds := make(map[string]int)
	for number := range 3000 {
		for _, d := range (Generator{1}).Order(number) {
			if w := d.Webhook; w.Forged() {
				kinds[w.Signature]++
				if w.Refusal != http.StatusUnauthorized || w.Source != history.Signed || !strings.HasSuffix(w.Event, "-forged") ||
					!strings.Contains(w.Body, `"`+w.Event+`"`) || !strings.HasPrefix(w.Path, "/webhooks/signed/") || d.Held {
					t.Errorf("forged webhook = %+v", d)
				}
			}
		}
	}
	for _, kind := range history.Forgeries {
		if kinds[kind] == 0 {
			t.Errorf("no webhook has the signature %q: %v", kind, kinds)
		}
	}
}

// TestSignedOrders: a source has all valid webhooks of an order, because a dispute belongs
// to its source, and those that are invalid are not signed.
func TestSignedOrders(t *testing.T) {
	for number := range 300 {
		source := ""
		for _, d := range (Generator{1}).Order(number) {
			for _, w := range append([]*history.Webhook{d.Webhook}, d.Then...) {
				signed := w.Source == history.Signed
				switch {
				case w.Forged():
				case !w.Valid():
					if signed || w.Signature != "" {
						t.Errorf("the invalid webhook %s is signed", w.ID)
					}
				case source != "" && w.Source != source, signed != (w.Signature == history.Authentic), signed != strings.HasPrefix(w.Path, signedPath):
					t.Errorf("%s is of the source %s with the signature %q on %s, and another one of %s", w.ID, w.Source, w.Signature, w.Path, source)
				default:
					source = w.Source
				}
			}
		}
	}
}

// TestForge: a forged webhook is another one.
func TestForge(t *testing.T) {
	of := OrderWebhook("e1", history.Facts{Order: "o", User: "u", Status: "created"})
	w := forge(rand.New(rand.NewPCG(1, 1)), of)
	if w.Key() == of.Key() || w.ID == of.ID || w.Body == of.Body || of.Source != history.Unsigned {
		t.Errorf("forge(%+v) = %+v, want another event", of, w)
	}
}
