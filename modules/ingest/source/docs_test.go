package source

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/ingest/provider"
)

var yamlExample = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func providersPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// The examples in docs/providers.md are valid files of sources, once the secrets exist.
func TestDocumentedExamples(t *testing.T) {
	for name, value := range map[string]string{
		"STRIPE_SECRET": "whsec_" + strings.Repeat("s", 32), "STRIPE_CLI_SECRET": "whsec_" + strings.Repeat("c", 64), "ADYEN_HMAC_KEY": strings.Repeat("0A", 32), "ADYEN_PASSWORD": "open sesame",
		"SOLIDGATE_SECRET": "wh_sk_" + strings.Repeat("s", 32), "SHOP_SECRET": longSecret, "BILLING_SECRET": longSecret, "LEGACY_SECRET": strings.Repeat("s", 32),
	} {
		t.Setenv(name, value)
	}
	old := filepath.Join(t.TempDir(), "old")
	write(t, old, longSecret)
	examples := yamlExample.FindAllStringSubmatch(providersPage(t), -1)
	if len(examples) < len(provider.Names()) {
		t.Fatalf("docs/providers.md has %d examples, want one for each of %q at least", len(examples), provider.Names())
	}
	for _, example := range examples {
		if _, err := Load(written(t, strings.ReplaceAll(example[1], "/run/secrets/old", old)), false); err != nil {
			t.Errorf("Load() = %v for the example\n%s", err, example[1])
		}
	}
}

// docs/providers.md has each key of the file.
func TestKeysAreDocumented(t *testing.T) {
	page := providersPage(t)
	for _, key := range keysOf(reflect.TypeFor[file]()) {
		if !strings.Contains(page, "`"+key+"`") && !strings.Contains(page, key+":") {
			t.Errorf("docs/providers.md does not name the key %s", key)
		}
	}
}
