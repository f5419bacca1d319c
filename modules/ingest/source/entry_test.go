package source

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/ingest/provider"
)

const adyenKey = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"

// adyen is the configuration of a source of Adyen, with further lines.
func adyen(lines ...string) string {
	return "sources:\n  - name: eu\n    provider: adyen\n    secrets: [{secret: " + adyenKey + "}]\n" + indented(lines...)
}

// TestSettingsOfProviders reads what only some providers have.
func TestSettingsOfProviders(t *testing.T) {
	t.Setenv("ADYEN_PASSWORD", "open sesame")
	t.Setenv("WEBHOOK_ID", "8PT597110X687430LKGECATA")
	password := filepath.Join(t.TempDir(), "password")
	write(t, password, "from a file\n")
	for name, c := range map[string]struct {
		text  string
		check func(provider.Settings) bool
	}{
		"adyen, automatic": {adyen("environment: live", "capture: automatic", "basic_auth: {username: me, password: '${ADYEN_PASSWORD}'}"), func(s provider.Settings) bool {
			return s.AutomaticCapture && *s.BasicAuth == provider.BasicAuth{Username: "me", Password: "open sesame"} && s.Environment == provider.Live
		}},
		"adyen, manual": {adyen("environment: test", "capture: manual", "basic_auth: {username: me, password_file: "+password+"}"), func(s provider.Settings) bool {
			return !s.AutomaticCapture && s.BasicAuth.Password == "from a file" && s.Environment == provider.Test
		}},
		"stripe": {"sources: [{name: eu, provider: stripe, environment: live, tolerance: 1s, order_id: {metadata_key: order}, secrets: [{secret: " + longSecret + "}]}]", func(s provider.Settings) bool {
			return s.OrderIDKey == "order" && s.BasicAuth == nil && s.PayPalTest == nil && s.WebhookID == ""
		}},
		"paypal": {"sources: [{name: eu, provider: paypal, environment: live, webhook_id: '${WEBHOOK_ID}'}]", func(s provider.Settings) bool {
			return s.WebhookID == "8PT597110X687430LKGECATA" && len(s.Secrets) == 0
		}},
		"paypal, test server": {"sources: [{name: eu, provider: paypal, environment: test, webhook_id: W1, paypal_test: {cert_host: '127.0.0.1:9', ca_file: ca.pem}}]", func(s provider.Settings) bool {
			return *s.PayPalTest == provider.PayPalTest{CertHost: "127.0.0.1:9", CAFile: "ca.pem"}
		}},
		"generic": {shop("secrets: [{secret: "+longSecret+"}]", "signature: {scheme: hmac, header: X-S, algorithm: sha512, encoding: hex, prefix: p=}"), func(s provider.Settings) bool {
			return s.Signature == provider.Signature{Scheme: "hmac", Header: "X-S", Algorithm: "sha512", Encoding: "hex", Prefix: "p="}
		}},
	} {
		source := "eu"
		if strings.Contains(c.text, "name: shop") {
			source = "shop"
		}
		path := written(t, c.text)
		got, err := Settings(path, source)
		if err != nil || !c.check(got) {
			t.Errorf("%s: Settings() = %+v, %v", name, got, err)
		}
		if set, err := Load(path, false); !strings.Contains(name, "test server") && (err != nil || !set.Find(source).Signed || set.Find(source).Environment != got.Environment) {
			t.Errorf("%s: Load() = %v, %v, want a signed source", name, set, err)
		}
	}
	for _, c := range []struct{ text, want string }{
		{adyen("environment: live", "capture: later", "basic_auth: {username: me, password: x}"), `capture is "later": set it to automatic`},
		{adyen("environment: live", "basic_auth: {username: me, password: x}"), `capture is "": set it to automatic`},
		{adyen("capture: manual", "basic_auth: {username: me, password: x}"), "environment is missing: set it to live or test"},
		{adyen("environment: live", "capture: manual"), "basic_auth is missing"},
		{adyen("environment: live", "capture: manual", "basic_auth: {password: x}"), "basic_auth has no username"},
		{adyen("environment: live", "capture: manual", "basic_auth: {username: me}"), "the password is empty: set password or password_file"},
		{adyen("environment: live", "capture: manual", "basic_auth: {username: me, password: x, password_file: y}"), "both password and password_file are set"},
		{adyen("environment: live", "capture: manual", "tolerance: 5m", "basic_auth: {username: me, password: x}"), "provider adyen does not use tolerance"},
		{adyen("environment: live", "capture: manual", "order_id: {metadata_key: x}", "basic_auth: {username: me, password: x}"), "provider adyen does not use order_id.metadata_key"},
		{adyen("environment: live", "capture: manual", "signature: {scheme: hmac}", "basic_auth: {username: me, password: x}"), "provider adyen does not use signature"},
		{"sources: [{name: eu, provider: paypal, environment: live, webhook_id: W1, secrets: [{secret: x}]}]", "provider paypal does not use secrets"},
		{"sources: [{name: eu, provider: paypal, environment: live, webhook_id: '${NOT_SET}'}]", "the environment variable NOT_SET is not set"},
		{"sources: [{name: eu, provider: stripe, environment: live, secrets: [{secret: sk_live_1234567890}]}]", "secret 1 does not begin with whsec_"},
		{signedShop("capture: manual"), "provider generic does not use capture"},
	} {
		if _, err := Load(written(t, c.text), false); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), adyenKey) {
			t.Errorf("Load(%q) = %v, want an error with %q", c.text, err, c.want)
		}
	}
}

// namesOf returns the names of all sources of a set, sorted.
func namesOf(set *Set) (names []string) {
	for _, source := range set.byPath {
		names = append(names, source.Name)
	}
	slices.Sort(names)
	return names
}

// TestNamesAreSorted reads many sources, whose order in the file does not matter.
func TestNamesAreSorted(t *testing.T) {
	text := "sources:\n"
	for _, name := range []string{"f", "b", "e", "a", "d", "c"} {
		text += "  - {name: " + name + ", provider: generic}\n"
	}
	set, err := Load(written(t, text), true)
	want := []string{"a", "b", "c", "d", "e", "f", "generic"}
	if err != nil || !slices.Equal(namesOf(set), want) || !slices.Equal(set.Unsigned(), want) {
		t.Errorf("names = %v, Unsigned() = %v, %v, want %v", namesOf(set), set.Unsigned(), err, want)
	}
}
