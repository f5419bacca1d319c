package provider

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// providersPage returns the text of docs/providers.md.
func providersPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// Each provider has a section of docs/providers.md, with an entry in the
// file of sources and what its signature covers.
func TestProvidersAreDocumented(t *testing.T) {
	sections := strings.Split(providersPage(t), "\n## ")
	for _, name := range Names() {
		i := slices.IndexFunc(sections, func(section string) bool { return strings.Contains(section, "\nProvider `"+name+"`.") })
		if i < 0 {
			t.Errorf("docs/providers.md has no section with the line Provider `%s`", name)
			continue
		}
		for _, want := range []string{"```yaml", "provider: " + name, "ignature"} {
			if !strings.Contains(sections[i], want) {
				t.Errorf("the section of %s in docs/providers.md does not have %q", name, want)
			}
		}
	}
}

// The tables of docs/providers.md have each event and word that the adapters know.
func TestEventsAreDocumented(t *testing.T) {
	words := slices.Concat(
		keys(stripeOrderEvents), keys(stripeDisputeStatus), keys(adyenDisputes),
		keys(paypalEvents), keys(paypalDisputeStatus), keys(paypalOutcome),
		keys(solidgateStatuses), keys(solidgateDisputes), keys(solidgateStages),
		// The codes of refusals.
		[]string{SignatureMissing, SignatureMalformed, SignatureInvalid, TimestampOutOfBounds, SecretExpired, CredentialsInvalid, CertificateNotTrusted},
	)
	for result := range adyenOrders {
		words = append(words, result.code)
	}
	page := providersPage(t)
	for _, word := range words {
		if word != "" && !strings.Contains(page, "`"+word+"`") {
			t.Errorf("docs/providers.md does not name `%s`", word)
		}
	}
}

// keys returns the keys of a table.
func keys[K ~string, V any](table map[K]V) (texts []string) {
	for key := range maps.Keys(table) {
		texts = append(texts, string(key))
	}
	return texts
}
