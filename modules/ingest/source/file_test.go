package source

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/ingest/provider"
)

// longSecret is a secret of Standard Webhooks.
const longSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// written returns the path of a configuration file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sources.yaml")
	write(t, path, text)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shop is the configuration of one generic source, with further lines.
func shop(lines ...string) string {
	return "sources:\n  - name: shop\n    provider: generic\n" + indented(lines...)
}

func indented(lines ...string) string {
	text := ""
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return text
}

func signedShop(lines ...string) string {
	return shop(append([]string{"secrets: [{secret: " + longSecret + "}]"}, lines...)...)
}

func TestLoad(t *testing.T) {
	t.Setenv("SHOP_SECRET", longSecret)
	file := filepath.Join(t.TempDir(), "secret")
	write(t, file, longSecret+"\r\n")
	for name, text := range map[string]string{
		"literal":  signedShop(),
		"variable": shop("secrets:", "  - secret: ${SHOP_SECRET}"),
		"file":     shop("secrets:", "  - secret_file: "+file),
	} {
		set, err := Load(written(t, text), false)
		if err != nil {
			t.Errorf("%s: Load() = %v", name, err)
			continue
		}
		s := set.Find("shop")
		if s == nil || s.Name != "shop" || s.Provider != "generic" || !s.Signed || s.Slots != nil || !s.TakeTurn() {
			t.Errorf("%s: Find(shop) = %+v, want a signed source without limits", name, s)
		}
		if set.Find("payments") != nil || len(set.Unsigned()) != 0 || !slices.Equal(namesOf(set), []string{"shop"}) {
			t.Errorf("%s: set = %v, want the source shop only", name, namesOf(set))
		}
		if want := []string{"/webhooks/shop/chargebacks", "/webhooks/shop/orders"}; !slices.Equal(set.Paths(), want) {
			t.Errorf("%s: Paths() = %v, want %v", name, set.Paths(), want)
		}
	}
}

func TestSettings(t *testing.T) {
	path := written(t, signedShop("environment: test", "tolerance: 90s", "order_id: {prefix: eu-}", "signature: {scheme: standard-webhooks}")+
		"  - name: other\n    provider: generic\n    secrets: [{secret: "+longSecret+", not_after: 2026-12-01T00:00:00Z}]\n")
	got, err := Settings(path, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if got.Source != "shop" || got.Provider != "generic" || got.Environment != provider.Test || got.Tolerance != 90*time.Second || got.OrderIDPrefix != "eu-" ||
		got.Signature.Scheme != "standard-webhooks" || len(got.Secrets) != 1 || got.Secrets[0].Value != longSecret || !got.Secrets[0].NotAfter.IsZero() {
		t.Errorf("Settings(shop) = %+v", got)
	}
	other, err := Settings(path, "other")
	if err != nil || !other.Secrets[0].NotAfter.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("Settings(other) = %+v, %v, want the end of the secret", other, err)
	}
	if _, err := Settings(path, "third"); err == nil || !strings.Contains(err.Error(), `no source "third"`) {
		t.Errorf("Settings(third) = %v, want an error with the name", err)
	}
}

// TestWrongFiles checks that the error about a wrong configuration has the place and how
// to fix it, in one line and without a secret.
func TestWrongFiles(t *testing.T) {
	t.Setenv("EMPTY", "")
	missing := filepath.Join(t.TempDir(), "missing")
	empty := filepath.Join(t.TempDir(), "empty")
	write(t, empty, "\n")
	for _, c := range []struct{ text, want string }{
		{"", "has no sources"},
		{"sources: []", "has no sources"},
		{"source: []", `line 1: the key "source" is not known: did you mean "sources"?`},
		{signedShop("tolerence: 5m"), `line 5: the key "tolerence" is not known: did you mean "tolerance"?`},
		{signedShop("secret: x"), `line 5: the key "secret" is not known: did you mean "secrets"?`},
		{signedShop("order_id:", "  metadata_kee: x"), `line 6: the key "metadata_kee" is not known: did you mean "metadata_key"?`},
		{signedShop("colour: red"), `line 5: the key "colour" is not known: docs/providers.md lists the keys`},
		{signedShop("tolerance: 5m", "tolerance: 6m"), `line 6: the key "tolerance" is there twice`},
		{signedShop("rate_limit: many"), "line 5: the value has the wrong type"},
		{shop("secrets: " + longSecret), "line 4: the value has the wrong type"},
		{"sources:\n\t- name: x", "line 2: the file is not valid YAML"},
		{signedShop("signature: {"), "is not valid YAML"},
		{"sources: [{provider: generic}]", `source 1 has the name ""`},
		{"sources: [{name: Shop, provider: generic}]", `source 1 has the name "Shop"`},
		{"sources: [{name: a/b, provider: generic}]", `source 1 has the name "a/b"`},
		{"sources: [{name: " + strings.Repeat("a", 65) + ", provider: generic}]", "source 1 has the name"},
		{"sources: [{name: payments, provider: generic}]", "that of the built-in source"},
		{"sources: [{name: generic, provider: generic}]", "that of the built-in source"},
		{signedShop() + "  - name: shop\n    provider: generic\n    secrets: [{secret: " + longSecret + "}]\n", `two sources have the name "shop"`},
		{"sources: [{name: shop, provider: stripes}]", `source shop: provider "stripes" is not known: choose one of `},
		{shop(), "source shop: it has no secret, so that anyone could send its webhooks: set secrets, or start with --insecure-no-signature"},
		{shop("secrets: [{not_after: 2026-12-01T00:00:00Z}]"), "source shop: secret 1: the secret is empty: set secret or secret_file"},
		{shop("secrets: [{secret: ${NOT_SET}}]"), "line 4"},
		{shop("secrets: [{secret: '${NOT_SET}'}]"), "source shop: secret 1: the environment variable NOT_SET is not set"},
		{shop("secrets: [{secret: '${EMPTY}'}]"), "the environment variable EMPTY is not set"},
		{shop("secrets: [{secret_file: " + missing + "}]"), "secret 1: read secret_file: stat " + missing},
		{shop("secrets: [{secret_file: " + empty + "}]"), "secret 1: the secret is empty"},
		{shop("secrets: [{secret: " + longSecret + ", secret_file: " + empty + "}]"), "both secret and secret_file are set"},
		{shop("secrets: [{secret: " + longSecret + ", not_after: tomorrow}]"), `secret 1: not_after is "tomorrow"`},
		{shop("secrets: [{secret: " + longSecret + ", public_key: x}]"), "secret 1: provider generic does not use public_key"},
		{signedShop("environment: prod"), `environment is "prod": choose live or test`},
		{signedShop("tolerance: 5"), `tolerance is "5"`},
		{signedShop("tolerance: 97h"), `tolerance is "97h"`},
		{signedShop("webhook_id: x"), "provider generic does not use webhook_id"},
		{signedShop("basic_auth: {username: x, password: y}"), "provider generic does not use basic_auth"},
		{signedShop("paypal_test: {cert_host: x}"), "provider generic does not use paypal_test"},
		{signedShop("allowed_addresses: [example.com]"), `allowed_addresses has "example.com"`},
		{signedShop("rate_limit: -1"), "must not be negative"},
		{signedShop("max_in_flight: -1"), "must not be negative"},
	} {
		path := written(t, c.text)
		set, err := Load(path, false)
		if err == nil || set != nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Load(%q) = %v, %v, want an error with %q", c.text, set, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), longSecret[:12]) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Load(%q) = %q, which has a secret or several lines", c.text, err)
		}
	}
	if _, err := Load(missing, false); err == nil || !strings.Contains(err.Error(), "(SOURCES)") {
		t.Errorf("Load(a missing file) = %v, want an error with the setting", err)
	}
	large := written(t, strings.Repeat("#", maxFileBytes+1))
	if _, err := Load(large, false); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("Load(a large file) = %v, want an error with its size", err)
	}
}

// TestBuiltInSource checks when there is a source without a signature.
func TestBuiltInSource(t *testing.T) {
	for name, c := range map[string]struct {
		text          string
		allowUnsigned bool
		unsigned      []string
		first         string
	}{
		"no file":            {"", false, []string{"generic"}, "/webhooks/payments/chargebacks"},
		"no file, insecure":  {"", true, []string{"generic"}, "/webhooks/payments/chargebacks"},
		"a file":             {signedShop(), false, nil, "/webhooks/shop/chargebacks"},
		"a file, insecure":   {signedShop(), true, []string{"generic"}, "/webhooks/payments/chargebacks"},
		"no secret,insecure": {shop(), true, []string{"generic", "shop"}, "/webhooks/payments/chargebacks"},
	} {
		path := ""
		if c.text != "" {
			path = written(t, c.text)
		}
		set, err := Load(path, c.allowUnsigned)
		if err != nil || !slices.Equal(set.Unsigned(), c.unsigned) || set.Paths()[0] != c.first {
			t.Errorf("%s: Load() = %v, %v; Unsigned() = %v, want %v, and %s as the first of %v", name, set, err, set.Unsigned(), c.unsigned, c.first, set.Paths())
		}
		if set.Find("generic") != nil || set.Find("") != nil {
			t.Errorf("%s: the built-in source has the path /webhooks/generic or /webhooks/", name)
		}
	}
	set, _ := Load(written(t, shop()), true)
	if secret, err := set.Find("shop").Verify(t.Context(), &provider.Request{Body: []byte("{}")}); secret != 0 || err != nil {
		t.Errorf("Verify() of an unsigned source = %d, %v, want 0, nil", secret, err)
	}
}

func TestLimits(t *testing.T) {
	set, err := Load(written(t, signedShop("rate_limit: 2", "max_in_flight: 3", "allowed_addresses: [192.0.2.7, '2001:db8::/32', 198.51.100.0/24]")), false)
	if err != nil {
		t.Fatal(err)
	}
	s := set.Find("shop")
	if first, second, third := s.TakeTurn(), s.TakeTurn(), s.TakeTurn(); !first || !second || third {
		t.Error("TakeTurn() does not allow 2 webhooks at once and refuse the third")
	}
	if cap(s.Slots) != 3 {
		t.Errorf("cap(Slots) = %d, want 3", cap(s.Slots))
	}
	for text, want := range map[string]bool{
		"192.0.2.7": true, "192.0.2.8": false, "::ffff:192.0.2.7": true, "2001:db8::1": true, "2001:db9::1": false, "198.51.100.200": true, "198.51.101.1": false,
	} {
		if got := s.Allows(netip.MustParseAddr(text)); got != want {
			t.Errorf("Allows(%s) = %t, want %t", text, got, want)
		}
	}
	if s.Allows(netip.Addr{}) {
		t.Error("Allows(no address) = true, want false")
	}
}

// TestSecretEnds checks that the end of the use of each secret has its source and index.
func TestSecretEnds(t *testing.T) {
	set, err := Load(written(t, signedShop()+"  - name: other\n    provider: generic\n    secrets: [{secret: "+longSecret+"}, {secret: "+longSecret+", not_after: 2026-12-01T00:00:00Z}]\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	if names := set.Names(); !slices.Equal(names, []string{"generic", "other", "shop"}) {
		t.Errorf("Names() = %v, want all sources, sorted", names)
	}
	ends := 0
	set.SecretEnds(func(source string, secret int, end time.Time) {
		if ends++; source != "other" || secret != 1 || !end.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("secret %d of %s ends at %v, want the second one of other at 2026-12-01", secret, source, end)
		}
	})
	if ends != 1 {
		t.Errorf("SecretEnds() showed %d secrets, want 1", ends)
	}
}

// TestSecretEnd checks that the earliest end counts, wherever it stands in the file.
func TestSecretEnd(t *testing.T) {
	set, err := Load(written(t, signedShop()+"  - name: other\n    provider: generic\n    secrets: [{secret: "+longSecret+"}, {secret: "+longSecret+
		", not_after: 2026-12-01T00:00:00Z}, {secret: "+longSecret+", not_after: 2026-11-01T00:00:00Z}]\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	set.Each(func(of *Source) {
		names = append(names, of.Name)
		want := time.Time{}
		if of.Name == "other" {
			want = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		}
		if got := of.SecretEnd(); !got.Equal(want) {
			t.Errorf("SecretEnd() of %s = %v, want %v", of.Name, got, want)
		}
	})
	if !slices.Equal(names, []string{"generic", "other", "shop"}) {
		t.Errorf("Each() showed %v, want all sources, sorted", names)
	}
}
