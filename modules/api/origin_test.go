package api

import (
	"net/http"
	"strings"
	"testing"
)

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
