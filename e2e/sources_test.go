package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRefusesBadSources: a source that cannot verify its webhooks, or that is configured
// wrongly, keeps the process from starting. The error is one sentence that names the file
// and the source, without a secret. The numbers are those of the table of bad inputs.
func TestRefusesBadSources(t *testing.T) {
	t.Parallel()
	const canary = "canary-secret"
	stripe := func(more string) string {
		return "sources:\n  - name: shop\n    provider: stripe\n    environment: live\n" + more
	}
	for name, c := range map[string]struct {
		yaml string
		env  string
		want string // besides the name of the file
	}{
		"38, empty secret":        {stripe("    secrets: [{secret: ''}]\n"), "", "source shop: secret 1: the secret is empty"},
		"38, prefix only":         {stripe("    secrets: [{secret: whsec_}]\n"), "", "source shop: secret 1 is too short"},
		"38, short secret":        {stripe("    secrets: [{secret: whsec_" + canary + "}]\n"), "", "source shop: secret 1 is too short"},
		"38, short second secret": {stripe("    secrets: [{secret: whsec_0123456789abcdef0123456789abcdef}, {secret: whsec_x}]\n"), "", "source shop: secret 2 is too short"},
		"38, API key":             {stripe("    secrets: [{secret: sk_live_" + canary + canary + "}]\n"), "", "source shop: secret 1 does not begin with whsec_"},
		"38, short, Standard Webhooks": {"sources:\n  - {name: shop, provider: standard-webhooks, secrets: [{secret: whsec_Y2FuYXJ5}]}\n", "",
			"source shop: secret 1 has 6 bytes in base64"},
		"38, prefix only, Standard Webhooks": {"sources:\n  - {name: shop, provider: standard-webhooks, secrets: [{secret: whsec_}]}\n", "", "source shop: secret 1"},
		"38, short, HMAC": {"sources:\n  - name: shop\n    provider: generic\n    signature: {scheme: hmac, header: X-S}\n    secrets: [{secret: " + canary + "}]\n", "",
			"source shop: secret 1 has 13 bytes"},
		"38, short, Adyen": {"sources:\n  - name: shop\n    provider: adyen\n    environment: live\n    capture: automatic\n    basic_auth: {username: u, password: " + canary + "}\n    secrets: [{secret: abcd}]\n", "",
			"source shop: secret 1 has only 4 hexadecimal digits"},
		"38, variable that is not set": {stripe("    secrets: [{secret: '${NO_SUCH_SECRET}'}]\n"), "", "the environment variable NO_SUCH_SECRET is not set"},
		"38, short secret of a variable": {stripe("    secrets: [{secret: '${SHORT_SECRET}'}]\n"), "SHORT_SECRET=whsec_" + canary,
			"source shop: secret 1 is too short"},
		"38, no file of a secret":        {stripe("    secrets: [{secret_file: /does/not/exist}]\n"), "", "source shop: secret 1: read secret_file"},
		"39, no secret, Stripe":          {stripe(""), "", "source shop: it has no secret"},
		"39, no secret, generic":         {"sources:\n  - {name: shop, provider: generic}\n", "", "source shop: it has no secret"},
		"39, no login, Adyen":            {"sources:\n  - name: shop\n    provider: adyen\n    environment: live\n    capture: automatic\n    secrets: [{secret: " + strings.Repeat("ab", 32) + "}]\n", "", "source shop: basic_auth is missing"},
		"unknown key":                    {stripe("    secret: [{secret: " + canary + "}]\n"), "", `line 5: the key "secret" is not known: did you mean "secrets"?`},
		"key twice":                      {stripe("    environment: live\n"), "", `line 5: the key "environment" is there twice`},
		"unknown provider":               {"sources:\n  - {name: shop, provider: strip}\n", "", `source shop: provider "strip" is not known`},
		"no environment":                 {"sources:\n  - {name: shop, provider: stripe, secrets: [{secret: whsec_0123456789abcdef0123456789abcdef}]}\n", "", "source shop: environment is missing"},
		"two sources of one name":        {"sources:\n  - &a {name: shop, provider: standard-webhooks, secrets: [{secret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=}]}\n  - *a\n", "", `two sources have the name "shop"`},
		"name of the built-in source":    {"sources:\n  - {name: payments, provider: generic}\n", "", `"payments", which is that of the built-in source`},
		"name that is not one of a path": {"sources:\n  - {name: My Shop, provider: generic}\n", "", `source 1 has the name "My Shop"`},
		"no sources":                     {"sources: []\n", "", "has no sources"},
		"not YAML":                       {"sources:\n  - name: [" + canary + "\n", "", "not valid YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "sources.yaml")
			check(t, os.WriteFile(path, []byte(c.yaml), 0o600))
			var env []string
			if c.env != "" {
				env = []string{c.env}
			}
			r := runToEnd(t, env, anyPorts(filepath.Join(dir, "data"), "--sources", path)...)
			wantRefusal(t, r, path, c.want)
			if strings.Contains(r.Stderr, canary) {
				t.Errorf("the error %q contains the secret", r.Stderr)
			}
		})
	}
}

// TestRefusesUnsigned is row 39 for the source that needs no configuration: its webhooks
// have no signature, so it serves loopback only.
func TestRefusesUnsigned(t *testing.T) {
	t.Parallel()
	args := anyPorts(filepath.Join(t.TempDir(), "data"), "--ingest-addr", "0.0.0.0:0", "--insecure-ingest")
	wantRefusal(t, runToEnd(t, nil, args...), "INGEST_ADDR", "--sources", "--insecure-no-signature")
	wantRefusal(t, runToEnd(t, nil, anyPorts(t.TempDir(), "--sources", "/does/not/exist")...), "SOURCES", "/does/not/exist")
}

// TestInsecureNoSignature is the end of row 39: sources without a signature are served if
// the operator insists, and the log, the metrics and every answer tell so.
func TestInsecureNoSignature(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sources.yaml")
	check(t, os.WriteFile(path, []byte("sources:\n  - {name: open-shop, provider: generic}\n"+
		"  - {name: shop, provider: standard-webhooks, secrets: [{secret: "+standardScheme.key(currentSecret)+"}]}\n"), 0o600))
	p := launch(t, "serve all", nil, anyPorts(dir, "--mode", "direct", "--sources", path, "--insecure-no-signature")...)
	const header = "X-Payrelay-Insecure"
	for _, to := range []string{"/webhooks/open-shop/orders", ordersPath} {
		answer := mustPost(t, p.URL("ingest")+to, orderWebhook(to, to, "created", 0, `"1.00"`, "USD").body)
		if answer.status != http.StatusOK || answer.header.Get(header) == "" {
			t.Errorf("a webhook to %s is answered %s with the header %s: %q, want 200 and a warning", to, answer, header, answer.header.Get(header))
		}
	}
	answer := mustPost(t, p.URL("ingest")+"/webhooks/shop", standardScheme.body("e", "o"))
	if answer.code() != "signature_missing" || answer.header.Get(header) != "" {
		t.Errorf("a source with a secret answers %s with the header %q, want signature_missing and no warning", answer, answer.header.Get(header))
	}
	metrics, err := get(p.URL("admin") + "/metrics")
	check(t, err)
	gauges := regexp.MustCompile(`payrelay_unsigned_source\{source="([^"]+)"\} 1`).FindAllSubmatch(metrics.body, -1)
	if len(gauges) != 2 || string(gauges[0][1]) != "generic" || string(gauges[1][1]) != "open-shop" {
		t.Errorf("the metrics name the unsigned sources %q, want generic and open-shop", gauges)
	}
	warning := regexp.MustCompile(`"level":"WARN","msg":"[^"]*NOT VERIFIED[^"]*--insecure-no-signature.*"sources":\["generic","open-shop"\]`)
	if !warning.MatchString(p.log(t)) {
		t.Errorf("the log does not warn of unsigned sources: %s", p.log(t))
	}
}

// TestSourcesOfTheSameProcess: the api role shows what the ingest role of its process knows
// about a source.
func TestSourcesOfTheSameProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "sources.yaml")
	check(t, os.WriteFile(file, []byte("sources:\n  - name: shop\n    provider: stripe\n    environment: live\n"+
		"    secrets: [{secret: whsec_0123456789abcdef0123456789abcdef, not_after: 2099-01-02T03:04:05Z}]\n"), 0o600))
	p := launch(t, "serve all", nil, anyPorts(filepath.Join(dir, "data"), "--mode", "direct", "--sources", file)...)
	const configured = `{"name":"shop","provider":"stripe","environment":"live","open_dead_letters":0,"verified":0,`
	sources := func() string {
		t.Helper()
		answer, err := get(p.URL("api") + "/sources")
		check(t, err)
		return string(answer.body)
	}
	if got := sources(); !strings.Contains(got, configured+`"secret_expires_at":"2099-01-02T03:04:05.000000Z"}`) {
		t.Errorf("sources before the first webhook: %s", got)
	}
	if answer := mustPost(t, p.URL("ingest")+"/webhooks/shop", "{}", "Stripe-Signature", "t=1,v1=00"); answer.status != http.StatusUnauthorized {
		t.Fatalf("a forged webhook is answered %s", answer)
	}
	if got := sources(); !regexp.MustCompile(regexp.QuoteMeta(configured) + `"refused":\{"[a-z_]+":1\},"last_seen_at":"20`).MatchString(got) {
		t.Errorf("sources after a forged webhook: %s, want it to be counted", got)
	}
}
