package cmd

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// writeText writes a file and returns its path.
func writeText(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// signedBy starts a server that records which of the secrets "one" and "two" signed the
// webhooks that it gets.
func signedBy(t *testing.T) (url string, secrets func() []string) {
	t.Helper()
	var mu sync.Mutex
	seen := make(map[string]bool)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, secret := range []string{"one", "two"} {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(body)
			if r.Header.Get("X-Signature") == hex.EncodeToString(mac.Sum(nil)) {
				seen[secret] = true
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(maps.Keys(seen))
	}
}

// The secrets come from files or variables.
func TestSimulateSecrets(t *testing.T) {
	one, two := writeText(t, "one\n"), writeText(t, "two")
	for name, test := range map[string]struct {
		args     []string
		variable string
		want     []string
	}{
		"variable":      {nil, "one", []string{"one"}},
		"file":          {[]string{"--secret-file", two}, "", []string{"two"}},
		"file beats it": {[]string{"--secret-file", two}, "one", []string{"two"}},
		"both in turn":  {[]string{"--secret-file", one, "--second-secret-file", two}, "", []string{"one", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SIMULATE_SECRET", test.variable)
			url, secrets := signedBy(t)
			args := append([]string{"simulate", "--provider", "generic", "--signature-scheme", "hmac", "--scenario", "paid", "--url", url}, test.args...)
			out, err := execute(t, args...)
			if err != nil || !strings.Contains(out, "accepted 2") {
				t.Errorf("app %v = %s, %v, want two webhooks accepted", args, out, err)
			}
			if got := secrets(); !slices.Equal(got, test.want) {
				t.Errorf("the webhooks are signed by %v, want %v", got, test.want)
			}
		})
	}
}

func TestSimulateMistakes(t *testing.T) {
	t.Setenv("SIMULATE_SECRET", "")
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, `provider is ""`},
		{[]string{"--provider", "stripe"}, "there is no secret: set SIMULATE_SECRET or --secret-file"},
		{[]string{"--provider", "stripe", "--secret-file", writeText(t, "\n")}, "is empty"},
		{[]string{"--provider", "stripe", "--basic-auth-file", filepath.Join(t.TempDir(), "nothing")}, "SIMULATE_BASIC_AUTH_FILE"},
	} {
		if _, err := execute(t, append([]string{"simulate"}, test.args...)...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("app simulate %v = %v, want %s", test.args, err, test.want)
		}
	}
}

// A run that fails prints its report too.
func TestSimulateReportsFailures(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	t.Setenv("SIMULATE_SECRET", "whsec_0123456789")
	out, err := execute(t, "simulate", "--provider", "stripe", "--scenario", "paid", "--attempts", "1", "--url", server.URL)
	if err == nil || !strings.Contains(err.Error(), "refused 3, given up 3") || !strings.Contains(out, "3 times 404") {
		t.Errorf("app simulate = %s, %v, want three refusals", out, err)
	}
}
