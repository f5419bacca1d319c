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

// FuzzDecode: whatever comes, there is an update or a refusal that has a code;
// and what is accepted, other parsers read as we did.
func FuzzDecode(f *testing.F) {
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
		for _, decode := range []decoder{decodeGenericOrder, decodeGenericDispute} {
			update, err := newUpdate(body, decode)
			if err != nil {
				if r := refusalOf(err); r.status != http.StatusBadRequest || r.code == "" || r.message == "" {
					t.Errorf("%q is answered %v", body, r)
				}
				continue
			}
			if !json.Valid(body) {
				t.Errorf("%q is no JSON to encoding/json", body)
			}
			if _, err := proto.Marshal(update); err != nil {
				t.Errorf("the update of %q cannot be sent: %v", body, err)
			}
			if twin := findTwin(t, body); twin != "" {
				t.Errorf("%q has %q twice in one object", body, twin)
			}
			var other struct { // as somebody with encoding/json would read it
				EventID string `json:"provider_event_id"`
				OrderID string `json:"order_id"`
			}
			if err := json.Unmarshal(body, &other); err != nil || other.EventID != update.GetEventId() || other.OrderID != update.GetOrderId() {
				t.Errorf("%q: encoding/json reads %+v, %v; we read %v", body, other, err, update)
			}
		}
	})
}

// findTwin returns a name that an object has twice, letter case aside. It is
// slow and plain on purpose.
func findTwin(t *testing.T, body []byte) string {
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
			if twin := walk(); twin != "" {
				return twin
			}
		}
		if open != 0 {
			_, _ = tokens.Token()
		}
		return ""
	}
	return walk()
}

// TestOneRequestIsAppliedAtMostOnce: good, damaged and hopeless webhooks meet an
// Applier in every mood. The answer tells whether it was asked; it never is
// asked twice, and 2xx is never said without its verdict.
func TestOneRequestIsAppliedAtMostOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type mood struct {
		outcomes []*payrelayv1.Outcome
		err      error
	}
	moods := []mood{
		{verdict(payrelayv1.Verdict_VERDICT_APPLIED), nil}, {verdict(payrelayv1.Verdict_VERDICT_QUEUED), nil},
		{nil, errors.New("down")}, {nil, payments.ErrTooLarge}, {nil, nil},
	}
	var now mood
	next := &recorder{apply: func(context.Context, []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return now.outcomes, now.err
	}}
	h := handler(t, next)
	for i := range 5000 {
		before := next.count()
		now = moods[random.IntN(len(moods))]
		path, body := ordersPath, []byte(order("meta", `{"amount":"1.00","currency":"USD"}`))
		if random.IntN(2) == 0 {
			path, body = disputesPath, []byte(dispute("amount", `1.00`, "currency", `"USD"`))
		}
		for range random.IntN(3) {
			body[random.IntN(len(body))] = "{}[]\":,\\ \x00\xff0aA"[random.IntN(14)]
		}
		got := post(t, h, path, string(body))
		asked := got.Error.Code == "unavailable" || got.status == http.StatusRequestEntityTooLarge || got.status < 300
		if calls := next.count() - before; calls > 1 || (calls == 1) != asked {
			t.Fatalf("%d: %q got %d %s and was applied %d times", i, body, got.status, got.raw, calls)
		}
		if good := now.err == nil && len(now.outcomes) == 1; got.status < 300 && !good {
			t.Fatalf("%d: %q got %d without a verdict", i, body, got.status)
		}
	}
}
