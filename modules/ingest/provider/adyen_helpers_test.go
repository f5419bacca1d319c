package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"
)

// testItem is an item of Adyen as JSON.
type testItem map[string]any

// newItem returns a signed item. The members replace those of a captured payment, except
// "additionalData", whose members are added. A nil value removes a member.
func newItem(t testing.TB, members testItem) testItem {
	t.Helper()
	item := testItem{
		"additionalData": map[string]any{}, "amount": map[string]any{"currency": "EUR", "value": 1000}, "eventCode": "CAPTURE",
		"eventDate": "2021-01-01T01:00:00+01:00", "merchantAccountCode": "ShopExampleECOM", "merchantReference": "order-1",
		"originalReference": "9913140798220028", "paymentMethod": "visa", "pspReference": "QFQTPCQ8HXSKGK82", "reason": "", "success": "true",
	}
	for name, value := range members {
		if item[name] = value; value == nil {
			delete(item, name)
		}
	}
	extra, isObject := item["additionalData"].(map[string]any)
	if !isObject {
		return item
	}
	extra = maps.Clone(extra)
	extra["hmacSignature"] = signItem(t, adyenTestKey, item)
	item["additionalData"] = extra
	return item
}

// signItem returns the signature of an item as the documentation of Adyen describes it.
func signItem(t testing.TB, key string, item testItem) string {
	t.Helper()
	decoded, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(v any) string {
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	amount, _ := item["amount"].(map[string]any)
	mac := hmac.New(sha256.New, decoded)
	fmt.Fprintf(mac, "%s:%s:%s:%s:%s:%s:%s:%s", text(item["pspReference"]), text(item["originalReference"]), text(item["merchantAccountCode"]),
		text(item["merchantReference"]), text(amount["value"]), text(amount["currency"]), text(item["eventCode"]), text(item["success"]))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// newBatch returns a request with items and the login of adyenSettings.
func newBatch(t testing.TB, items ...testItem) *Request {
	t.Helper()
	entries := []any{}
	for _, item := range items {
		entries = append(entries, map[string]any{"NotificationRequestItem": item})
	}
	body, err := json.Marshal(map[string]any{"live": "true", "notificationItems": entries})
	if err != nil {
		t.Fatal(err)
	}
	return adyenRequest(string(body))
}

func adyenRequest(body string) *Request {
	header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("adyen:open: sesame"))}}
	return &Request{Header: header, Body: []byte(body), ReceivedAt: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)}
}

// newAdyenSource returns an adapter with the secrets, or that of adyenSettings if there
// are none.
func newAdyenSource(t testing.TB, secrets ...Secret) Adapter {
	t.Helper()
	settings := adyenSettings
	settings.Provider, settings.Source = Adyen, "adyen-eu"
	if len(secrets) > 0 {
		settings.Secrets = secrets
	}
	adapter, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return adapter
}
