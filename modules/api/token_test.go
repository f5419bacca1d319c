package api

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// wrongTokens are what a stranger could try.
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

func TestStrangersAreRefusedOverREST(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	for name, shown := range wrongTokens {
		got := send(t, http.MethodPost, url+"/internal/updates/orders", []byte(orderJSON), "Content-Type", "application/json", "Authorization", shown)
		got.wantError(t, http.StatusUnauthorized, "unauthenticated")
		if got.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: the answer does not say how to authenticate", name)
		}
	}
	// Not even which paths exist is for strangers.
	send(t, http.MethodGet, url+"/nowhere", nil).wantError(t, http.StatusUnauthorized, "unauthenticated")
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		got := send(t, method, url+"/internal/updates/orders", nil)
		got.wantError(t, http.StatusUnauthorized, "unauthenticated")
		if got.header.Get("Allow") != "" {
			t.Errorf("%s: a stranger is told %q", method, got.header.Get("Allow"))
		}
	}
	if next.calls() != 0 {
		t.Error("a stranger's update was applied")
	}
}

func TestStrangersAreRefusedOverEveryProtocol(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	for protocol, client := range clients(url) {
		for name, shown := range wrongTokens {
			ctx, call := connect.NewClientContext(t.Context())
			call.RequestHeader().Set("Authorization", shown)
			_, err := client.ApplyUpdate(ctx, &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")})
			if connect.CodeOf(err) != connect.CodeUnauthenticated || !strings.Contains(err.Error(), "INTERNAL_TOKEN") {
				t.Errorf("%s, %s: error is %v", protocol, name, err)
			}
		}
	}
	if next.calls() != 0 {
		t.Error("a stranger's update was applied")
	}
}

func TestTokenOpensEveryProtocol(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	for protocol, client := range clients(url) {
		ctx, call := connect.NewClientContext(t.Context())
		call.RequestHeader().Set("Authorization", "Bearer "+testToken)
		if _, err := client.ApplyUpdate(ctx, &payrelayv1.ApplyUpdateRequest{Update: orderUpdate("e1")}); err != nil {
			t.Errorf("%s: %v", protocol, err)
		}
	}
	got := send(t, http.MethodPost, url+"/internal/updates/orders", []byte(orderJSON), "Content-Type", "application/json", "Authorization", "Bearer "+testToken)
	if got.status != http.StatusOK {
		t.Errorf("REST answers %d %s", got.status, got.body)
	}
	if want := len(clients(url)) + 1; next.calls() != want {
		t.Errorf("%d updates were applied, want %d", next.calls(), want)
	}
}

func TestHealthNeedsNoToken(t *testing.T) {
	next := &recorder{}
	url := startInternal(t, next, testToken)
	got := send(t, http.MethodPost, url+"/grpc.health.v1.Health/Check", []byte("{}"), "Content-Type", "application/json")
	if got.status != http.StatusOK || !strings.Contains(got.body, "SERVING") {
		t.Errorf("health answers %d %s", got.status, got.body)
	}
	// A path that only begins like health opens nothing else.
	for _, path := range []string{"/grpc.health.v1.Health/../internal/updates/orders", "/grpc.health.v1.Health/%2e%2e/internal/updates/orders"} {
		if got := post(t, url+path, orderJSON); got.status < 400 || next.calls() != 0 {
			t.Errorf("%s answers %d %s", path, got.status, got.body)
		}
	}
}
