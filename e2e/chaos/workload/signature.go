package workload

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

const (
	signedOrders = 0.50 // orders whose webhooks are signed
	forged       = 0.02 // signed webhooks that are followed by a forged one
)

// signatureSeed keeps the signatures of an order apart from its life: they are drawn from
// numbers of their own.
const signatureSeed = 0x7369676e

// sign signs the valid webhooks of some orders, and adds forged ones. A body that is
// invalid is sent without a signature, because an authentic one is never refused.
func (g Generator) sign(number int, deliveries []Delivery) []Delivery {
	r := rand.New(rand.NewPCG(g.Seed^signatureSeed, uint64(number)))
	if r.Float64() >= signedOrders {
		return deliveries
	}
	var fakes []*history.Webhook
	for _, d := range deliveries {
		if !d.Webhook.Valid() {
			continue
		}
		if r.Float64() < forged && !IsLong(number) {
			fakes = append(fakes, forge(r, d.Webhook))
		}
		for _, w := range append([]*history.Webhook{d.Webhook}, d.Then...) {
			w.Source, w.Signature, w.Path = history.Signed, history.Authentic, toSigned(w.Path)
		}
	}
	for _, w := range fakes {
		deliveries = slices.Insert(deliveries, r.IntN(len(deliveries)+1), Delivery{Webhook: w, Copies: 1})
	}
	return deliveries
}

func toSigned(path string) string { return signedPath + strings.TrimPrefix(path, unsignedPath) }

// forge returns a webhook that an attacker sends instead of one that is not sent yet. It
// has its own event id, which must not be in the database later.
func forge(r *rand.Rand, of *history.Webhook) *history.Webhook {
	w := *of
	w.ID, w.Event = w.ID+" forged", w.Event+"-forged"
	w.Body = strings.Replace(w.Body, `"`+of.Event+`"`, `"`+w.Event+`"`, 1)
	w.Source, w.Path, w.Refusal = history.Signed, toSigned(w.Path), http.StatusUnauthorized
	w.Signature = history.Forgeries[r.IntN(len(history.Forgeries))]
	return &w
}

// staleBy is more than the tolerance of the source.
const staleBy = 10 * time.Minute

// setSignature sets the headers of Standard Webhooks.
func setSignature(header http.Header, w *history.Webhook, now time.Time) {
	if w.Signature == "" || w.Signature == history.Unspecified {
		return
	}
	body, secret := []byte(w.Body), history.Secret
	switch w.Signature {
	case history.WrongSecret:
		secret = "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIhISE="
	case history.ChangedBody:
		body[len(body)/2] ^= 1
	case history.Stale:
		now = now.Add(-staleBy)
	}
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		panic(err) // both secrets are in base64
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", w.Event, now.Unix(), body)
	header.Set("Webhook-Id", w.Event)
	header.Set("Webhook-Timestamp", fmt.Sprint(now.Unix()))
	header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
