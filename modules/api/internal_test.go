package api

import (
	"net/http"
	"slices"
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

// While a token is replaced, the new and the old one are valid.
func TestTwoTokensAreAcceptedAtOnce(t *testing.T) {
	other := strings.Repeat("n", minTokenBytes)
	url := startInternal(t, &recorder{}, other+"\n"+testToken)
	for shown, want := range map[string]int{
		testToken: http.StatusOK, other: http.StatusOK, "": http.StatusUnauthorized,
		other + " " + testToken: http.StatusUnauthorized, strings.ToUpper(testToken): http.StatusUnauthorized,
	} {
		got := send(t, http.MethodPost, url+"/internal/updates/orders", []byte(orderJSON), "Content-Type", "application/json", "Authorization", "Bearer "+shown)
		if got.status != want {
			t.Errorf("with the token %q: %d %s, want %d", shown, got.status, got.body, want)
		}
	}
}

// The policy of a listener comes before the token, and holds for every path.
func TestWrapWrapsEveryPath(t *testing.T) {
	refuse := func(http.Handler) http.Handler { return http.NotFoundHandler() }
	next := &recorder{}
	internal, err := NewInternal(Config{InternalTokens: []string{testToken}, Wrap: refuse}, listen(t), NewRelay(next, quiet()), quiet())
	if err != nil {
		t.Fatal(err)
	}
	public := newTestPublic(t, Config{Wrap: refuse}, new(memory), quiet())
	run(t, internal)
	run(t, public)
	for _, url := range []string{
		internal.Addr() + "/internal/updates/orders", internal.Addr() + "/payrelay.v1.RelayService/ApplyUpdate",
		internal.Addr() + "/grpc.health.v1.Health/Check", internal.Addr() + "/nothing", public.Addr() + "/orders", public.Addr() + "/nothing",
	} {
		if got := send(t, http.MethodPost, "http://"+url, []byte("{}"), "Content-Type", "application/json"); got.body != "404 page not found\n" {
			t.Errorf("POST %s = %d %s, want the answer of Wrap", url, got.status, got.body)
		}
	}
	if next.calls() != 0 {
		t.Errorf("Apply was called %d times, want 0", next.calls())
	}
}

func TestWrongTokensAreReported(t *testing.T) {
	var reported []string
	cfg := Config{InternalTokens: []string{testToken}, Unauthenticated: func(r *http.Request) { reported = append(reported, r.URL.Path) }}
	internal, err := NewInternal(cfg, listen(t), NewRelay(&recorder{}, quiet()), quiet())
	if err != nil {
		t.Fatal(err)
	}
	run(t, internal)
	url := "http://" + internal.Addr()
	for _, path := range []string{"/internal/updates/orders", "/payrelay.v1.RelayService/ApplyUpdate"} {
		send(t, http.MethodPost, url+path, []byte(orderJSON), "Content-Type", "application/json", "Authorization", "Bearer x")
		send(t, http.MethodPost, url+path, []byte(orderJSON), "Content-Type", "application/json", "Authorization", "Bearer "+testToken)
	}
	send(t, http.MethodPost, url+"/grpc.health.v1.Health/Check", []byte("{}"), "Content-Type", "application/json")
	if want := []string{"/internal/updates/orders", "/payrelay.v1.RelayService/ApplyUpdate"}; !slices.Equal(reported, want) {
		t.Errorf("reported %q, want %q", reported, want)
	}
}
