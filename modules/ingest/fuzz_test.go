package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// FuzzDecode passes every body to every decoder. Each returns an update or a refusal
// with a code, and other JSON parsers must read an accepted body in the same way. The
// seeds are the examples in testdata and bodies that are hard to parse.
func FuzzDecode(f *testing.F) {
	for _, examples := range readGolden(f) {
		for _, body := range examples.bodies {
			f.Add(body)
		}
	}
	for _, seed := range []string{
		order(), dispute(), orderWebhook,
		order("meta", `{"amount":100.50,"currency":"USD"}`), dispute("amount", `"1"`, "currency", `"JPY"`),
		dispute("status", `"closed"`, "meta", `{"resolution":"won"}`), order("status", `"\u00e9\ud83d\ude00"`),
		order("K", `1`, "k", `2`), order("x", `"\ud800"`), order("x", `"\u0000"`), order("x", `[[[{}]]]`),
		`{"a":{"b":1,"B":2}}`, `null`, `[]`, `{}{}`, ` `, "{\xff}", strings.Repeat("[", 40),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, decode := range decoders {
			update, err := newUpdate(body, decode)
			if err != nil {
				if r := refusalOf(err); r.status != http.StatusBadRequest || r.code == "" || r.message == "" {
					t.Errorf("refusalOf(newUpdate(%q)) = %+v, want 400 with a code and a message", body, r)
				}
				continue
			}
			if !json.Valid(body) {
				t.Errorf("json.Valid(%q) = false, but the decoder accepts it", body)
			}
			if _, err := proto.Marshal(update); err != nil {
				t.Errorf("proto.Marshal(the update of %q) failed: %v", body, err)
			}
			if name := duplicateName(t, body); name != "" {
				t.Errorf("%q is accepted, and has the name %q twice in one object", body, name)
			}
			if update.GetProvider() != genericProvider {
				continue
			}
			var other struct { // a program that uses encoding/json
				EventID string `json:"provider_event_id"`
				OrderID string `json:"order_id"`
			}
			if err := json.Unmarshal(body, &other); err != nil || other.EventID != update.GetEventId() || other.OrderID != update.GetOrderId() {
				t.Errorf("%q: encoding/json reads %+v, %v, the decoder reads %v", body, other, err, update)
			}
		}
	})
}

// duplicateName returns a name that an object has twice, regardless of letter case.
// It is slow and simple on purpose.
func duplicateName(t *testing.T, body []byte) string {
	t.Helper()
	tokens := json.NewDecoder(bytes.NewReader(body))
	var walk func() string
	walk = func() string {
		token, err := tokens.Token()
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		open, _ := token.(json.Delim)
		var names []string
		for (open == '{' || open == '[') && tokens.More() {
			if open == '{' {
				token, _ := tokens.Token()
				for _, name := range names {
					if strings.EqualFold(name, token.(string)) {
						return name
					}
				}
				names = append(names, token.(string))
			}
			if name := walk(); name != "" {
				return name
			}
		}
		if open != 0 {
			_, _ = tokens.Token()
		}
		return ""
	}
	return walk()
}

// TestOneRequestIsAppliedAtMostOnce sends valid and damaged webhooks, while the
// Applier returns outcomes and errors at random. Each webhook is applied at most once,
// the answer agrees with whether it was, and a 2xx needs a verdict.
func TestOneRequestIsAppliedAtMostOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type result struct {
		outcomes []*payrelayv1.Outcome
		err      error
	}
	results := []result{
		{verdict(payrelayv1.Verdict_VERDICT_APPLIED), nil}, {verdict(payrelayv1.Verdict_VERDICT_QUEUED), nil},
		{nil, errors.New("down")}, {nil, payments.ErrTooLarge}, {nil, nil},
	}
	var now result
	next := &recorder{apply: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return now.outcomes, now.err
	}}
	h := handler(t, next)
	for i := range 5000 {
		before := next.count()
		now = results[random.IntN(len(results))]
		path, body := ordersPath, []byte(order("meta", `{"amount":"1.00","currency":"USD"}`))
		if random.IntN(2) == 0 {
			path, body = disputesPath, []byte(dispute("amount", `1.00`, "currency", `"USD"`))
		}
		for range random.IntN(3) {
			body[random.IntN(len(body))] = "{}[]\":,\\ \x00\xff0aA"[random.IntN(14)]
		}
		got := post(t, h, path, string(body))
		called := got.Error.Code == "unavailable" || got.status == http.StatusRequestEntityTooLarge || got.status < 300
		if calls := next.count() - before; calls > 1 || (calls == 1) != called {
			t.Fatalf("webhook %d: POST(%q) = %d %s after %d calls of Apply", i, body, got.status, got.raw, calls)
		}
		if good := now.err == nil && len(now.outcomes) == 1; got.status < 300 && !good {
			t.Fatalf("webhook %d: POST(%q) = %d without a verdict", i, body, got.status)
		}
	}
}
