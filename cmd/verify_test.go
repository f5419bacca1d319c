package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The vector TestWebhookSign of github.com/standard-webhooks/standard-webhooks.
const (
	verifySecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	verifyHeaders = "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\nwebhook-timestamp: 1614265330\nwebhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n"
	verifyBody    = `{"test": 2432232314}`
	verifySources = `sources:
  - {name: shop, provider: standard-webhooks, secrets: [{secret: "${VERIFY_SECRET}"}]}
  - {name: other, provider: standard-webhooks, secrets: [{secret: whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}]}
  - {name: absent, provider: standard-webhooks, secrets: [{secret: "${VERIFY_NOT_SET}"}]}
  - {name: own, provider: generic, signature: {scheme: hmac, header: X-Mac}, secrets: [{secret: It's a Secret to Everybody}]}
`
)

// runExplain runs app verify explain on a webhook. It checks that no secret is printed.
func runExplain(t *testing.T, headers, body string, args ...string) (string, error) {
	t.Helper()
	t.Setenv("VERIFY_SECRET", verifySecret)
	dir := t.TempDir()
	for name, text := range map[string]string{"sources.yaml": verifySources, "headers": headers, "body": body} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := newRoot()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetArgs(append([]string{"verify", "explain", "--sources", filepath.Join(dir, "sources.yaml"), "--headers", filepath.Join(dir, "headers"), "--body", filepath.Join(dir, "body")}, args...))
	err := command.ExecuteContext(t.Context())
	for _, secret := range []string{"MfKQ9r8G", "AAAAAAAA", "Secret to"} {
		if strings.Contains(out.String(), secret) || err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("app verify explain prints a secret: %v\n%s", err, &out)
		}
	}
	return out.String(), err
}

func TestVerifyExplain(t *testing.T) {
	const at = "--received-at=2021-02-25T15:02:10Z"
	const mac = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	captured := "> POST /webhooks/shop HTTP/1.1\r\n> Host: payrelay.example:443\r\n> " + strings.ReplaceAll(strings.TrimSpace(verifyHeaders), "\n", "\r\n> ") + "\r\n> \r\nwebhook-id: of the body\r\n"
	for name, c := range map[string]struct {
		headers, body string
		args          []string
		authentic     bool
		want          []string
	}{
		"authentic":    {verifyHeaders, verifyBody, []string{"--source=shop", at}, true, []string{"ok       signature: secret 1 of the source", "warning  body: "}},
		"curl -v":      {captured, verifyBody, []string{"--source=shop", at}, true, []string{"ok       signature: "}},
		"now":          {verifyHeaders, verifyBody, []string{"--source=shop"}, false, []string{"failed   timestamp_out_of_tolerance: ", "cause    time: the signature is right"}},
		"re-encoded":   {verifyHeaders, `{"test":2432232314}`, []string{"--source=shop", at}, false, []string{"failed   signature_invalid: ", "cause    body: ", "with a space after each comma and colon"}},
		"other source": {verifyHeaders, verifyBody, []string{"--source=other", at}, false, []string{"cause    source: the webhook is authentic for the source shop"}},
		"no signature": {"Host: a\n", verifyBody, []string{"--source=shop", at}, false, []string{"failed   signature_missing: "}},
		"generic":      {"x-mac: " + mac + "\n", "Hello, World!", []string{"--source=own", "--path=chargebacks"}, true, []string{"ok       signature: secret 1", "warning  body: "}},
	} {
		out, err := runExplain(t, c.headers, c.body, c.args...)
		if (err == nil) != c.authentic || err != nil && err != errNotAuthentic {
			t.Errorf("%s: app verify explain = %v, want authentic = %t\n%s", name, err, c.authentic, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: app verify explain prints\n%swant it to contain %q", name, out, want)
			}
		}
	}
}

// TestVerifyExplainInput has mistakes of the user.
func TestVerifyExplainInput(t *testing.T) {
	for want, c := range map[string]struct {
		headers, body string
		args          []string
	}{
		"source is missing":                         {verifyHeaders, verifyBody, nil},
		"body is missing":                           {verifyHeaders, verifyBody, []string{"--source=shop", "--body="}},
		`has no source "shops"`:                     {verifyHeaders, verifyBody, []string{"--source=shops"}},
		"VERIFY_NOT_SET is not set":                 {verifyHeaders, verifyBody, []string{"--source=absent"}},
		"has no line of the form Name: value":       {"nothing\n", verifyBody, []string{"--source=shop"}},
		"is empty: store the body as it arrived":    {verifyHeaders, "", []string{"--source=shop"}},
		"received-at is \"yesterday\"":              {verifyHeaders, verifyBody, []string{"--source=shop", "--received-at=yesterday"}},
		`path is "orders": the provider standard-w`: {verifyHeaders, verifyBody, []string{"--source=shop", "--path=orders"}},
		"no such file":                              {verifyHeaders, verifyBody, []string{"--source=shop", "--headers=/nonexistent"}},
	} {
		if out, err := runExplain(t, c.headers, c.body, c.args...); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("app verify explain %q = %v, want an error with %q and no output\n%s", c.args, err, want, out)
		}
	}
}
