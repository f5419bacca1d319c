package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// signingKey is the secret of the source "signed".
const signingKey = "0123456789abcdef0123456789abcdef"

// signedSource configures a source with a signature, in the header X-Signature.
const signedSource = `
  - name: signed
    provider: generic
    secrets: [{secret: ` + signingKey + `}]
    signature: {scheme: hmac, header: X-Signature, algorithm: sha256, encoding: hex}
`

// withFile returns the configuration of a server with a file of sources.
func withFile(t *testing.T, sources string) Config {
	t.Helper()
	cfg := testConfig()
	cfg.SourcesFile = filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(cfg.SourcesFile, []byte("sources:"+sources), 0o600); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// withSources returns the handler of a server with the source "signed" and, because
// unsigned ones are allowed, "shop-2". Log gets its log.
func withSources(t *testing.T, next payments.Applier, log io.Writer) http.Handler {
	t.Helper()
	cfg := withFile(t, signedSource+"  - {name: shop-2, provider: generic}\n")
	cfg.InsecureNoSignature = true
	return serve(t, cfg, next, defaultTimeouts(cfg.Timeout), log).http.Handler
}

func signature(body string) string {
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(body))
	return fmt.Sprintf("%x", mac.Sum(nil))
}

// postSigned posts a body with the signature of the source "signed".
func postSigned(t testing.TB, h http.Handler, path, body string) reply {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Signature", signature(body))
	return do(t, h, r)
}

func TestSources(t *testing.T) {
	next := &recorder{}
	h := withSources(t, next, io.Discard)
	if got := post(t, h, "/webhooks/shop-2/orders", order()); got.status != http.StatusOK || next.only(t).GetProvider() != "shop-2" || got.header.Get(insecureHeader) == "" {
		t.Errorf("answer = %d %s %v, want 200 with the source shop-2 and the header %s", got.status, got.raw, got.header, insecureHeader)
	}
	if got := postSigned(t, h, "/webhooks/signed/chargebacks", dispute()); got.status != http.StatusOK || got.header.Get(insecureHeader) != "" {
		t.Errorf("answer = %d %s %v, want 200 without the header %s", got.status, got.raw, got.header, insecureHeader)
	}
	if u := next.calls[1][0]; u.GetProvider() != "signed" || u.GetDispute() == nil {
		t.Errorf("update = %v, want a dispute of the source signed", u)
	}
	for _, path := range []string{"/webhooks/shop-3/orders", "/webhooks/generic/orders", "/webhooks/shop-2/refunds", "/webhooks/shop-2", "/webhooks/shop-2/orders/x", "/webhooks/", "/webhooks/..%2Finternal/orders"} {
		wantRefusal(t, post(t, h, path, order()), http.StatusNotFound, "not_found")
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut} {
		for path, want := range map[string]int{"/webhooks/shop-2/orders": http.StatusMethodNotAllowed, "/webhooks/shop-3/orders": http.StatusNotFound} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != want {
				t.Errorf("%s %s = %d, want %d", method, path, w.Code, want)
			}
		}
	}
	closed := serve(t, withFile(t, signedSource), &recorder{}, quick(), io.Discard).http.Handler
	wantRefusal(t, post(t, closed, ordersPath, order()), http.StatusNotFound, "not_found")
	wantRefusal(t, post(t, closed, "/webhooks/signed/orders", order()), http.StatusUnauthorized, "signature_missing")
}

// TestRefusalsAreLogged checks what the log has about a body that is refused, and
// that it has the event and the order where those can be read.
func TestRefusalsAreLogged(t *testing.T) {
	for body, want := range map[string]string{
		order("status", `7`):                                       "event_id=evt-1 order_id=order-1",
		order("status", `7`, "order_id", "\"\xff\""):               "event_id=evt-1 order_id=\"\"",
		order("x", `1`)[:60]:                                       "event_id=evt-1 order_id=order-1",
		order("x", strings.Repeat("[", 200)):                       "event_id=evt-1 order_id=order-1",
		order("provider_event_id", `"a\u0007b"`):                   "event_id=a?b order_id=order-1",
		`{"object":"event","id":"evt_1","type":"charge.refunded"}`: "event_id=\"\" order_id=\"\"",
		order("order_id", `"a\u001b[31mb"`):                        "event_id=evt-1 order_id=a?[31mb",
		"[]":                                                       "event_id=\"\" order_id=\"\"",
	} {
		var log buffer
		got := post(t, withSources(t, &recorder{}, &log), "/webhooks/shop-2/orders", body)
		if got.status != http.StatusBadRequest {
			t.Errorf("answer to %s = %d %s, want 400", body, got.status, got.raw)
		}
		for _, part := range []string{"webhook refused", "level=INFO", "status=400", "remote=192.0.2.1", " error=", "request_id=" + got.Error.RequestID, "code=" + got.Error.Code, "path=/webhooks/shop-2/orders",
			"source=shop-2 " + want, fmt.Sprintf("body_sha256=%x", sha256.Sum256([]byte(body)))} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log of %s does not contain %s:\n%s", body, part, log.String())
			}
		}
	}
}

// unreadableBodies are bodies that no decoder can read.
var unreadableBodies = map[string]string{
	"invalid_json": `{"provider_event_id":"evt-1","order_id":`, "not_an_object": `[1]`, "duplicate_key": order("STATUS", `1`),
	"too_deep": order("x", strings.Repeat("[", 200)), "invalid_utf8": order("order_id", "\"\xff\""), "invalid_field": order("status", `7`),
	"field_required": order("order_id", ""), "invalid_amount": order("meta", `{"amount":-1,"currency":"USD"}`),
	"invalid_time": order("updated_at", `"yesterday"`), "other_contract": `{"object":"event","id":"evt_1","type":"charge.refunded"}`,
}

func TestUnreadableBodyOfAVerifiedSourceIsRecorded(t *testing.T) {
	for code, body := range unreadableBodies {
		var log buffer
		next := returning([]*payrelayv1.Outcome{{Verdict: payrelayv1.Verdict_VERDICT_DEAD_LETTERED, Reason: payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNDECODABLE}}, nil)
		for _, path := range []string{"/webhooks/shop-2/orders", ordersPath} {
			wantRefusal(t, post(t, withSources(t, next, io.Discard), path, body), http.StatusBadRequest, code)
		}
		got := postSigned(t, withSources(t, next, &log), "/webhooks/signed/orders", body)
		if got.status != http.StatusOK || got.Verdict != "dead_lettered" || got.Reason != "undecodable" || got.Ignored != nil {
			t.Errorf("answer to %s = %d %s, want 200 dead_lettered, undecodable", body, got.status, got.raw)
			continue
		}
		u := proto.CloneOf(next.only(t))
		if err := payments.Validate(u); err != nil {
			t.Errorf("Validate(the update of %s) = %v, want nil", body, err)
		}
		want := payments.NewUnreadable("signed", []byte(body), u.GetReceivedAt().AsTime())
		if want.RequestId = got.RequestID; !proto.Equal(u, want) || u.GetReceivedAt().GetSeconds() == 0 {
			t.Errorf("update of %s = %v, want %v", body, u, want)
		}
		for _, part := range []string{"level=WARN", "becomes a dead letter", "request_id=" + got.RequestID, "code=" + code, "source=signed", " error=",
			"path=/webhooks/signed/orders", fmt.Sprintf("body_sha256=%x", sha256.Sum256([]byte(body)))} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log of %s does not contain %s:\n%s", body, part, log.String())
			}
		}
	}
}

// TestVerifiedSourceIsRefusedOtherwise checks what is refused although the source is
// verified: what is not about the content of a body.
func TestVerifiedSourceIsRefusedOtherwise(t *testing.T) {
	next := &recorder{}
	h := withSources(t, next, io.Discard)
	const path = "/webhooks/signed/orders"
	wantRefusal(t, postSigned(t, h, path, ""), http.StatusBadRequest, "empty_body")
	wantRefusal(t, postSigned(t, h, path, strings.Repeat("x", 256<<10+1)), http.StatusRequestEntityTooLarge, "body_too_large")
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("<order/>"))
	r.Header.Set("Content-Type", "application/xml")
	wantRefusal(t, do(t, h, r), http.StatusUnsupportedMediaType, "unsupported_media_type")
	if next.count() != 0 {
		t.Errorf("Apply was called %d times, want 0", next.count())
	}
	failing := withSources(t, returning(nil, io.ErrUnexpectedEOF), io.Discard)
	wantRefusal(t, postSigned(t, failing, path, "[1]"), http.StatusServiceUnavailable, "unavailable")
}
