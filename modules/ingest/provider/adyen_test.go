package provider

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// adyenTestKey is the key of the test of adyen-go-api-library,
// src/hmacvalidator/hmacvalidator_test.go.
const adyenTestKey = "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00"

var adyenSettings = Settings{Secrets: []Secret{{Value: adyenTestKey}}, BasicAuth: &BasicAuth{"adyen", "open: sesame"}}

// wantAdyenFailure checks the code of a refusal, and that its message has no secret.
func wantAdyenFailure(t testing.TB, what string, err error, code string) {
	t.Helper()
	failure, ok := err.(*Failure)
	if !ok || failure.Code != code {
		t.Errorf("Verify of %s = %v, want %s", what, err, code)
		return
	}
	for _, secret := range []string{adyenTestKey, "sesame"} {
		if strings.Contains(failure.Message, secret) {
			t.Errorf("Verify of %s = %v, which contains a secret", what, err)
		}
	}
}

// The signatures are those that Adyen publishes with its libraries.
func TestAdyenPublishedVectors(t *testing.T) {
	for _, vector := range []struct{ name, key, item string }{
		{"adyen-go-api-library hmacvalidator_test.go", adyenTestKey,
			`{"additionalData":{"hmacSignature":"ipnxGCaUZ4l8TUW75a71/ghd2Fe5ffvX0pV4TLTntIc="},"amount":{"currency":"EUR","value":1000},
			"eventCode":"EVENT","eventDate":"1970-01-01T00:00:00Z","merchantAccountCode":"merchantAccount","merchantReference":"reference",
			"originalReference":"originalReference","paymentMethod":"VISA","pspReference":"pspReference","reason":"reason","success":"true"}`},
		{"adyen-java-api-library HMACValidatorTest testValidateHMAC", "9064450A8892A093D9E97EFCC9639DE31B74F3A7803135555A3C96F5A57915D6",
			`{"additionalData":{"hmacSignature":"NuEkADFmlCC6VgX+wcoPAegIWxVPNBPCuKlM4Hzo5qc="},"amount":{"currency":"EUR","value":"0"},
			"eventCode":"REPORT_AVAILABLE","merchantAccountCode":"Magento2Rik","merchantReference":"testMerchantRef1",
			"pspReference":"test_REPORT_AVAILABLE","success":"true"}`},
		{"adyen-java-api-library HMACValidatorTest testValidateHMACWithoutEscaping", "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174",
			`{"additionalData":{"hmacSignature":"CZErGCNQaSsxbaQfZaJlakqo7KPP+mIa8a+wx3yNs9A="},"amount":{"currency":"EUR","value":1000},
			"eventCode":"AUTHORISATION","merchantAccountCode":"AntoniStroinski","merchantReference":"\\:/\\/slashes are fun",
			"pspReference":"ZVWN7D3WSMK2WN82","success":"true"}`},
	} {
		r := adyenRequest(`{"live":"false","notificationItems":[{"NotificationRequestItem":` + vector.item + `}]}`)
		if _, err := newAdyenSource(t, Secret{Value: strings.ToLower(vector.key)}).Verify(t.Context(), r); err != nil {
			t.Errorf("Verify of the vector of %s failed: %v", vector.name, err)
		}
	}
}

func TestAdyenRefusesOneChangedByte(t *testing.T) {
	signed := []string{`"pspReference":"Q`, `"originalReference":"9`, `"merchantAccountCode":"S`, `"merchantReference":"o`, `"value":1`, `"currency":"E`, `"eventCode":"C`, `"success":"t`}
	for _, member := range signed {
		r := newBatch(t, newItem(t, nil))
		at := strings.Index(string(r.Body), member) + len(member) - 1
		if at < len(member)-1 {
			t.Fatalf("the body has no %s", member)
		}
		r.Body[at] = '7'
		_, err := newAdyenSource(t).Verify(t.Context(), r)
		wantAdyenFailure(t, member+" changed by one byte", err, SignatureInvalid)
	}
	for _, member := range []string{"originalReference", "merchantReference", "amount", "success"} {
		item := newItem(t, nil)
		delete(item, member)
		_, err := newAdyenSource(t).Verify(t.Context(), newBatch(t, item))
		wantAdyenFailure(t, "an item without "+member, err, SignatureInvalid)
	}
}

// What the HMAC does not cover can be changed by anyone who has the login.
func TestAdyenSignatureDoesNotCoverTheRest(t *testing.T) {
	item := newItem(t, testItem{"eventCode": "CHARGEBACK"})
	item["reason"], item["eventDate"] = "another", "2022-01-01T00:00:00Z"
	item["additionalData"].(map[string]any)["disputeStatus"] = "Won"
	if _, err := newAdyenSource(t).Verify(t.Context(), newBatch(t, item)); err != nil {
		t.Errorf("Verify failed: %v", err)
	}
}

// A colon may be in merchantReference only. Otherwise one signature would hold for two
// items.
func TestAdyenRefusesColonsThatMoveValues(t *testing.T) {
	genuine := newItem(t, testItem{"merchantReference": "a:b"})
	if _, err := newAdyenSource(t).Verify(t.Context(), newBatch(t, genuine)); err != nil {
		t.Errorf("Verify of a reference with a colon failed: %v", err)
	}
	forged := maps.Clone(genuine)
	forged["merchantAccountCode"], forged["merchantReference"] = "ShopExampleECOM:a", "b"
	if signItem(t, adyenTestKey, forged) != signItem(t, adyenTestKey, genuine) {
		t.Fatal("the signatures differ, so that the test shows nothing")
	}
	_, err := newAdyenSource(t).Verify(t.Context(), newBatch(t, forged))
	wantAdyenFailure(t, "an account with a colon", err, SignatureMalformed)
}

func TestAdyenSignatureForms(t *testing.T) {
	valid := signItem(t, adyenTestKey, newItem(t, nil))
	for signature, code := range map[any]string{
		nil: SignatureMissing, "": SignatureMissing, 7: SignatureMalformed, true: SignatureMalformed, "not base64": SignatureMalformed,
		valid[:40]: SignatureMalformed, valid + "=": SignatureMalformed, valid + "\n": SignatureMalformed, hex.EncodeToString([]byte(valid)): SignatureMalformed, base64.StdEncoding.EncodeToString(make([]byte, 32)): SignatureInvalid,
	} {
		item := newItem(t, nil)
		item["additionalData"] = map[string]any{"hmacSignature": signature}
		_, err := newAdyenSource(t).Verify(t.Context(), newBatch(t, item))
		wantAdyenFailure(t, fmt.Sprintf("the signature %v", signature), err, code)
	}
	for _, extra := range []any{nil, []any{}, "", 1, true} {
		_, err := newAdyenSource(t).Verify(t.Context(), newBatch(t, newItem(t, testItem{"additionalData": extra})))
		wantAdyenFailure(t, fmt.Sprintf("additionalData %v", extra), err, SignatureMissing)
	}
}

// One item that is not authentic refuses the webhook, wherever it is in the batch.
func TestAdyenBatchIsAllOrNothing(t *testing.T) {
	for bad := range 3 {
		items := []testItem{newItem(t, nil), newItem(t, testItem{"pspReference": "C2"}), newItem(t, testItem{"pspReference": "C3"})}
		r := newBatch(t, items...)
		if _, err := newAdyenSource(t).Verify(t.Context(), r); err != nil {
			t.Fatalf("Verify of a genuine batch failed: %v", err)
		}
		items[bad]["amount"] = map[string]any{"currency": "EUR", "value": 1}
		_, err := newAdyenSource(t).Verify(t.Context(), newBatch(t, items...))
		wantAdyenFailure(t, fmt.Sprintf("a batch whose item %d is forged", bad+1), err, SignatureInvalid)
		if want := fmt.Sprintf("item %d of 3", bad+1); err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Verify = %v, want the place %s", err, want)
		}
	}
	genuine := string(newBatch(t, newItem(t, nil)).Body)
	for _, element := range []string{`null`, `7`, `[]`, `{}`, `{"NotificationRequestItem":null}`, `{"NotificationRequestItem":[]}`, `{"notificationRequestItem":{}}`} {
		body := strings.TrimSuffix(genuine, `]}`) + "," + element + `]}`
		_, err := newAdyenSource(t).Verify(t.Context(), adyenRequest(body))
		wantAdyenFailure(t, "a batch with the element "+element, err, SignatureMissing)
	}
}

// A member that appears twice has one value, for the signature and for the update.
func TestAdyenDuplicateMembers(t *testing.T) {
	genuine := string(newBatch(t, newItem(t, nil)).Body)
	forged := strings.Replace(genuine, `"amount":{`, `"amount":{"currency":"EUR","value":9},"amount":{`, 1)
	r := adyenRequest(forged)
	if _, err := newAdyenSource(t).Verify(t.Context(), r); err != nil {
		t.Fatalf("Verify failed: %v", err)
	}
	w, err := newAdyenSource(t).Decode(r)
	if err != nil || w.Updates[0].GetOrder().GetCaptured().GetMinorUnits() != 1000 {
		t.Errorf("Decode = %v, %v, want the amount that is signed", w.Updates, err)
	}
	hidden := strings.TrimSuffix(genuine, "}") + `,"notificationItems":[]}`
	if w, err := newAdyenSource(t).Decode(adyenRequest(hidden)); err == nil {
		t.Errorf("Decode of a list that is replaced by an empty one = %v, want an error", w.Updates)
	}
	unsigned := strings.TrimSuffix(genuine, "}") + `,"notificationItems":[{"NotificationRequestItem":{"pspReference":"C9","success":"true"}}]}`
	_, err = newAdyenSource(t).Verify(t.Context(), adyenRequest(unsigned))
	wantAdyenFailure(t, "a second list", err, SignatureMissing)
}

func TestAdyenRotation(t *testing.T) {
	old, end := strings.Repeat("0A", 32), time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	item := newItem(t, nil)
	item["additionalData"] = map[string]any{"hmacSignature": signItem(t, old, item)}
	adapter := newAdyenSource(t, Secret{Value: adyenTestKey}, Secret{Value: old, NotAfter: end})
	r := newBatch(t, newItem(t, nil), item)
	if secret, err := adapter.Verify(t.Context(), r); secret != 1 || err != nil {
		t.Errorf("Verify at the end of the overlap = %d, %v, want secret 1", secret, err)
	}
	r.ReceivedAt = end.Add(time.Second)
	_, err := adapter.Verify(t.Context(), r)
	wantAdyenFailure(t, "an expired secret", err, SecretExpired)
}

func TestAdyenBasicAuth(t *testing.T) {
	basic := func(login string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(login)) }
	for _, test := range []struct {
		name   string
		header []string
		ok     bool
	}{
		{"the login", []string{basic("adyen:open: sesame")}, true},
		{"the scheme in lower case", []string{"basic " + basic("adyen:open: sesame")[6:]}, true},
		{"no header", nil, false},
		{"an empty header", []string{""}, false},
		{"another password", []string{basic("adyen:open: sesamf")}, false},
		{"an empty password", []string{basic("adyen:")}, false},
		{"another user", []string{basic("adyem:open: sesame")}, false},
		{"an empty user", []string{basic(":open: sesame")}, false},
		{"the colon elsewhere", []string{basic("adyen:open:: sesame")}, false},
		{"no colon", []string{basic("adyen")}, false},
		{"another scheme", []string{"Bearer " + basic("adyen:open: sesame")[6:]}, false},
		{"no base64", []string{"Basic adyen:open: sesame"}, false},
		{"the header twice", []string{basic("adyen:open: sesame"), basic("adyen:open: sesame")}, false},
	} {
		for _, r := range []*Request{newBatch(t, newItem(t, nil)), adyenRequest(`{"live":"true","notificationItems":[]}`), adyenRequest(`{`)} {
			r.Header = http.Header{}
			for _, value := range test.header {
				r.Header.Add("Authorization", value)
			}
			_, err := newAdyenSource(t).Verify(t.Context(), r)
			if test.ok && err != nil {
				t.Errorf("Verify with %s failed: %v", test.name, err)
			} else if !test.ok {
				wantAdyenFailure(t, test.name, err, CredentialsInvalid)
			}
		}
	}
}

// A body without items has no signature. With the login it is kept, and Decode returns
// the reason why it cannot be read.
func TestAdyenBodiesWithoutItems(t *testing.T) {
	for body, code := range map[string]string{
		`{`: "invalid_json", ``: "invalid_json", `{}{}`: "invalid_json", "live=true&eventCode=CAPTURE": "invalid_json",
		`null`: "no_items", `{}`: "no_items", `{"live":"true","notificationItems":[]}`: "no_items", `{"notificationItems":null}`: "no_items",
		`[]`: "not_a_batch", `7`: "not_a_batch", `{"notificationItems":{"NotificationRequestItem":{}}}`: "not_a_batch", `{"notificationItems":"x"}`: "not_a_batch",
		`{"type":"ach.notificationOfChange","version":"1","environment":"test","data":{}}`:  "no_items",
		`{"notificationItems":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`: "too_deep",
	} {
		r, adapter := adyenRequest(body), newAdyenSource(t)
		if _, err := adapter.Verify(t.Context(), r); err != nil {
			t.Errorf("Verify(%.60s) failed: %v", body, err)
		}
		_, err := adapter.Decode(r)
		if got, message := reason(err); got != code || message == "" {
			t.Errorf("Decode(%.60s) = %v, want %s", body, err, code)
		}
	}
}

func TestAdyenSettings(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Settings)
		want   string
	}{
		{"no login", func(s *Settings) { s.BasicAuth = nil }, "eventDate"},
		{"no user", func(s *Settings) { s.BasicAuth = &BasicAuth{"", "x"} }, "basic_auth is missing"},
		{"no password", func(s *Settings) { s.BasicAuth = &BasicAuth{"x", ""} }, "basic_auth is missing"},
		{"a key in base64", func(s *Settings) { s.Secrets = []Secret{{Value: "3dG+secret/key=="}} }, "secret 1 is not hexadecimal"},
		{"a key with an odd number of digits", func(s *Settings) { s.Secrets = []Secret{{Value: adyenTestKey[1:]}} }, "secret 1 is not hexadecimal"},
		{"a short key", func(s *Settings) { s.Secrets = []Secret{{Value: adyenTestKey}, {Value: adyenTestKey[2:]}} }, "secret 2 has only 62"},
		{"an empty key", func(s *Settings) { s.Secrets = []Secret{{}} }, "secret 1 has only 0"},
	} {
		settings := adyenSettings
		settings.Provider = Adyen
		test.change(&settings)
		_, err := New(settings)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New with %s = %v, want %q in the error", test.name, err, test.want)
		}
		for _, secret := range settings.Secrets {
			if err != nil && len(secret.Value) > 8 && strings.Contains(err.Error(), secret.Value[:8]) {
				t.Errorf("New with %s = %v, which contains the secret", test.name, err)
			}
		}
	}
	settings := adyenSettings
	settings.Provider, settings.Secrets = Adyen, nil
	adapter, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	_, err = adapter.Verify(t.Context(), newBatch(t, newItem(t, nil)))
	wantAdyenFailure(t, "a source without secrets", err, SignatureInvalid)
	if Accepted(Adyen) != "[accepted]" {
		t.Errorf("Accepted = %q", Accepted(Adyen))
	}
}
