package provider

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
)

// FuzzDecode passes every body to every decoder. Each returns an update that agrees
// with what encoding/json reads, or a refusal with the right code. The seeds are the
// examples in testdata and bodies that are hard to parse.
func FuzzDecode(f *testing.F) {
	for _, examples := range readExamples(f) {
		for _, e := range examples {
			f.Add(e.body)
		}
	}
	for _, seed := range []string{
		order(), dispute(), orderWebhook, "\ufeff" + order(),
		order("meta", `{"amount":100.50,"currency":"USD"}`), dispute("amount", `"1"`, "currency", `"JPY"`),
		order("amount", `1`, "currency", `"EUR"`, "meta", `{"amount":"2.00","currency":"usd","captured":1,"refunded":true}`),
		dispute("amount", `0`, "currency", `"USD"`, "outcome_amount", `1.5`, "stage", `"inquiry"`, "reason", `"a\u0000\ud800"`, "evidence_due_at", `"0001-01-01"`),
		dispute("status", `"closed"`, "meta", `{"resolution":"won"}`), order("status", `"\u00e9\ud83d\ude00"`),
		order("K", `1`, "k", `2`), order("x", `"\ud800"`), order("x", `"\u0000"`), order("x", `[[[{}]]]`), order("part", `"pi_1"`, "PART", `2`),
		order("meta", `{"amount":1,"AMOUNT":1}`), order("meta.amount", `1`, "META", `{}`), order("updated_at", `"2016-12-31t23:59:60z"`),
		order("created_at", `0`), order("user_id", `[]`), order("order_id", `"\udc00"`), `{"meta":{},"meta":{}}`,
		`{"a":{"b":1,"B":2}}`, `null`, `[]`, `{}{}`, ` `, "{\xff}", strings.Repeat("[", 40), strings.Repeat("[", 140), `{"object":"event","id":"evt_1","type":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(agree)
}

// agree passes a body to every decoder, and compares the results with those of
// encoding/json.
func agree(t *testing.T, body []byte) {
	adapter, err := New(Settings{Source: "generic", Provider: Generic})
	if err != nil {
		t.Fatal(err)
	}
	for path, f := range map[string]format{ordersPath: genericOrder, disputesPath: genericDispute} {
		kept := bytes.Clone(body)
		update, ignored, err := decodeOne(adapter, &Request{Path: path, Body: body, ReceivedAt: time.Now()})
		if !bytes.Equal(body, kept) {
			t.Fatalf("decode(%q) changes the body to %q", kept, body)
		}
		text := bytes.TrimPrefix(body, []byte("\ufeff"))
		valid, isObject := json.Valid(text), bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
		var slow *reading
		if valid && isObject {
			slow = readSlowly(t, text, f.form)
		}
		if err != nil {
			if code, message := reason(err); code == "" || message == "" {
				t.Errorf("decode(%q) = %v, want a code and a message", body, err)
			}
			switch err {
			case jsonbody.ErrTooDeep:
			case jsonbody.ErrInvalidJSON:
				if valid {
					t.Errorf("decode(%q) = %v, but it is valid", body, err)
				}
			case jsonbody.ErrNotAnObject:
				if !valid || isObject {
					t.Errorf("decode(%q) = %v, but it is an object or not valid", body, err)
				}
			case jsonbody.ErrDuplicateKey:
				if valid && !slow.ambiguous {
					t.Errorf("decode(%q) = %v, but no member is there twice", body, err)
				}
			default:
				if slow == nil || slow.ambiguous {
					t.Errorf("decode(%q) = %v, want another refusal", body, err)
				}
			}
			continue
		}
		if slow == nil || slow.ambiguous {
			t.Fatalf("decode(%q) = %v, want a refusal", body, update)
		}
		if _, err := proto.Marshal(update); err != nil {
			t.Errorf("proto.Marshal(the update of %q) failed: %v", body, err)
		}
		if slow.check(update, ignored); t.Failed() {
			t.Errorf("body %q\nupdate %v\nignored %q", body, update, ignored)
		}
	}
}

// TestRandomMembersAgree composes bodies from members that are hard to read. About
// half of them are accepted.
func TestRandomMembersAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{"user_id", "part", "reason", "dispute_id", "stage", "amount", "currency", "outcome_amount", "created_at", "evidence_due_at",
		"x", "X", "PART", "ſtage", "Meta", "meta.amount", "\\u0070art"}
	inner := []string{"amount", "currency", "authorized", "captured", "refunded", "resolution", "stage", "outcome_amount", "x", "Amount", "stage.x"}
	values := []string{`null`, `""`, `" "`, `[]`, `0`, `1`, `1.50`, `"2.00"`, `"100.5000"`, `"USD"`, `"usd"`, `"JPY"`, `"ITL"`, `"lost"`, `"inquiry"`, `"arbitration"`,
		`"2026-01-04T10:00:00Z"`, `"2026-01-04t10:00:00.123456789+01:00"`, `"1970-01-01T00:00:00Z"`, `"a\u0000b"`, `"\ud800"`, "\"\xff\"", `"é\n"`, `"pi_1"`, `true`, `{}`}
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	compose := func(names []string, first ...string) string {
		members := first
		for range random.IntN(4) {
			members = append(members, `"`+pick(names)+`":`+pick(values))
		}
		random.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		return "{" + strings.Join(members, ",") + "}"
	}
	accepted := 0
	for range 10000 {
		required := []string{`"provider_event_id":"evt-1"`, `"order_id":"order-1"`, `"updated_at":"2026-01-04T10:00:00Z"`, `"occurred_at":"2026-01-04T10:00:00Z"`,
			`"status":` + pick([]string{`"success"`, `"returned"`, `"closed"`, `"opened"`, `"\u0000"`, `"x"`})}
		if random.IntN(3) > 0 {
			required = append(required, `"meta":`+compose(inner))
		}
		body := []byte(compose(names, required...))
		if _, _, err := decode(ordersPath, string(body)); err == nil {
			accepted++
		}
		if agree(t, body); t.Failed() {
			return
		}
	}
	if accepted < 4000 {
		t.Errorf("%d of 10000 bodies were accepted, want at least 4000", accepted)
	}
}
