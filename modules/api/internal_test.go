package api

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// wrongTokens holds values of Authorization without the token.
var wrongTokens = map[string]string{
	"none":        "",
	"other":       "Bearer " + strings.Repeat("x", len(testToken)),
	"longer":      "Bearer " + testToken + "x",
	"shorter":     "Bearer " + testToken[1:],
	"empty":       "Bearer ",
	"other kind":  "Basic " + testToken,
	"bare":        testToken,
	"lower case":  "bearer" + testToken,
	"second of 2": "Bearer x, Bearer " + testToken,
}

func TestWrongTokenIsRefusedOverREST(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	for name, shown := range wrongTokens {
		got := send(t, http.MethodPost, url+"/internal/updates/orders", []byte(orderJSON), "Content-Type", "application/json", "Authorization", shown)
		got.wantError(t, http.StatusUnauthorized, "unauthenticated")
		if got.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: WWW-Authenticate = %q, want Bearer", name, got.header.Get("WWW-Authenticate"))
		}
	}
	// Without the token, a caller does not even learn which paths exist.
	send(t, http.MethodGet, url+"/nowhere", nil).wantError(t, http.StatusUnauthorized, "unauthenticated")
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		got := send(t, method, url+"/internal/updates/orders", nil)
		got.wantError(t, http.StatusUnauthorized, "unauthenticated")
		if got.header.Get("Allow") != "" {
			t.Errorf("%s without a token: Allow = %q, want none", method, got.header.Get("Allow"))
		}
	}
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times without the token, want 0", next.calls())
	}
}

func TestWrongTokenIsRefusedOverEveryProtocol(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	for protocol, client := range clients(url) {
		for name, shown := range wrongTokens {
			ctx, call := connect.NewClientContext(t.Context())
			call.RequestHeader().Set("Authorization", shown)
			_, err := client.ApplyUpdate(ctx, &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")})
			if connect.CodeOf(err) != connect.CodeUnauthenticated || !strings.Contains(err.Error(), "INTERNAL_TOKEN") {
				t.Errorf("%s, %s: error = %v, want unauthenticated with INTERNAL_TOKEN", protocol, name, err)
			}
		}
	}
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times without the token, want 0", next.calls())
	}
}

func TestTokenIsAcceptedOverEveryProtocol(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	for protocol, client := range clients(url) {
		ctx, call := connect.NewClientContext(t.Context())
		call.RequestHeader().Set("Authorization", "Bearer "+testToken)
		if _, err := client.ApplyUpdate(ctx, &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")}); err != nil {
			t.Errorf("%s: ApplyUpdate() = %v, want nil", protocol, err)
		}
	}
	got := send(t, http.MethodPost, url+"/internal/updates/orders", []byte(orderJSON), "Content-Type", "application/json", "Authorization", "Bearer "+testToken)
	if got.status != http.StatusOK {
		t.Errorf("REST = %d %s, want 200", got.status, got.body)
	}
	if want := len(clients(url)) + 1; next.calls() != want {
		t.Errorf("Apply was called %d times, want %d", next.calls(), want)
	}
}

func TestHealthNeedsNoToken(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	got := send(t, http.MethodPost, url+"/grpc.health.v1.Health/Check", []byte("{}"), "Content-Type", "application/json")
	if got.status != http.StatusOK || !strings.Contains(got.body, "SERVING") {
		t.Errorf("health = %d %s, want SERVING", got.status, got.body)
	}
	// A path that only begins with that of health needs the token.
	for _, path := range []string{"/grpc.health.v1.Health/../internal/updates/orders", "/grpc.health.v1.Health/%2e%2e/internal/updates/orders"} {
		if got := post(t, url+path, orderJSON); got.status < 400 || next.calls() != 0 {
			t.Errorf("POST %s = %d %s after %d calls of Apply, want a refusal", path, got.status, got.body, next.calls())
		}
	}
}

// internalPosts maps paths to bodies that a web page could make a browser send.
var internalPosts = map[string]string{
	"/internal/updates/orders":               orderJSON,
	"/payrelay.v1.RelayService/ApplyUpdate":  `{"update":` + orderJSON + `}`,
	"/payrelay.v1.RelayService/ApplyUpdates": `{"updates":[` + orderJSON + `]}`,
}

func TestCrossOriginRequestsAreRefused(t *testing.T) {
	for _, token := range []string{"", testToken} {
		next := new(recorder)
		url := startInternal(t, next, token)
		for path, body := range internalPosts {
			for _, header := range [][2]string{
				{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
				{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:1"},
			} {
				got := send(t, http.MethodPost, url+path, []byte(body), "Content-Type", "application/json",
					"Authorization", "Bearer "+token, header[0], header[1])
				got.wantError(t, http.StatusForbidden, "cross_origin")
			}
		}
		if next.calls() != 0 {
			t.Errorf("Apply was called %d times for cross-origin requests, want 0", next.calls())
		}
	}
}

func TestProgramsAndTheSameOriginAreAccepted(t *testing.T) {
	next := new(recorder)
	url := startInternal(t, next, "")
	for path, body := range internalPosts {
		for _, header := range [][2]string{{"Accept", "*/*"}, {"Origin", url}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}} {
			got := send(t, http.MethodPost, url+path, []byte(body), "Content-Type", "application/json", header[0], header[1])
			if got.status != http.StatusOK || !strings.Contains(got.body, "VERDICT_APPLIED") {
				t.Errorf("POST %s with %s: %s = %d %s, want APPLIED", path, header[0], header[1], got.status, got.body)
			}
		}
	}
}
