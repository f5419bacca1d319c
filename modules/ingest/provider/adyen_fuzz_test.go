package provider

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/modules/payments"
)

// FuzzAdyen passes bodies to the adapter. Whatever it returns is valid, without a panic,
// and does not depend on whether Verify ran.
func FuzzAdyen(f *testing.F) {
	for _, e := range readExamples(f)[Adyen] {
		f.Add(e.body)
	}
	f.Add([]byte(`{"notificationItems":[null,{},{"NotificationRequestItem":{"amount":[],"success":1}}],"live":{}}`))
	f.Add([]byte(`{"notificationItems":[{"NotificationRequestItem":{"eventDate":"2021-01-01T00:00:00Z","pspReference":"\ud800","eventCode":"X"}},`))
	f.Fuzz(func(t *testing.T, body []byte) {
		adapter, r := newAdyenSource(t), adyenRequest(string(body))
		kept := bytes.Clone(body)
		_, failure := adapter.Verify(t.Context(), r)
		w, err := adapter.Decode(r)
		again, err2 := adapter.Decode(adyenRequest(string(body)))
		if !bytes.Equal(body, kept) || (err == nil) != (err2 == nil) || len(w.Updates) != len(again.Updates) {
			t.Fatalf("Decode(%q) = %v, %v and, without Verify, %v, %v", body, w, err, again, err2)
		}
		if err != nil {
			if code, message := reason(err); failure != nil || code == "" || message == "" || len(w.Updates) > 0 {
				t.Errorf("Decode(%q) = %v and Verify = %v, want a code, a message, and no failure", body, err, failure)
			}
			return
		}
		if len(w.Updates) == 0 {
			t.Errorf("Decode(%q) has no update", body)
		}
		for i, u := range w.Updates {
			if !bytes.Contains(body, u.GetRawBody()) || len(u.GetRawBody()) == 0 {
				t.Errorf("RawBody %q is no part of %q", u.GetRawBody(), body)
			}
			if !proto.Equal(u, again.Updates[i]) {
				t.Errorf("update %d of %q = %v and, without Verify, %v", i, body, u, again.Updates[i])
			}
			u.Provider = "adyen-eu"
			if err := payments.Validate(u); err != nil {
				t.Errorf("update %d of %q is not valid: %v", i, body, err)
			}
		}
	})
}

// FuzzAdyenHeaders passes logins and signatures. Only the right ones are accepted.
func FuzzAdyenHeaders(f *testing.F) {
	login, signature := adyenRequest("").Header.Get("Authorization"), signItem(f, adyenTestKey, newItem(f, nil))
	for _, seed := range []string{login, "Basic ", "basic " + login[6:], "Bearer x", "Basic YWR5ZW4=", "Basic\x00", login + ","} {
		f.Add(seed, signature)
	}
	for _, seed := range []string{"", "=", signature[1:], signature + "=", strings.Repeat("A", 43) + "=", "\n" + signature} {
		f.Add(login, seed)
	}
	f.Fuzz(func(t *testing.T, authorization, hmacSignature string) {
		item := newItem(t, nil)
		item["additionalData"] = map[string]any{"hmacSignature": hmacSignature}
		r := newBatch(t, item)
		r.Header.Set("Authorization", authorization)
		_, err := newAdyenSource(t).Verify(t.Context(), r)
		sameLogin := len(authorization) > 6 && strings.EqualFold(authorization[:6], login[:6]) && authorization[6:] == login[6:]
		if (err == nil) != (sameLogin && hmacSignature == signature) {
			t.Errorf("Verify(%q, %q) = %v", authorization, hmacSignature, err)
		}
	})
}
