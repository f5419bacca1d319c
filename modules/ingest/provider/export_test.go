package provider

import "testing"

// AddProvider adds a provider to the table until the test ends. It needs nothing but the
// line that it adds.
func AddProvider(t *testing.T, name string, newAdapter func(Settings) (Adapter, error), accepted string) {
	t.Helper()
	providers[name] = definition{new: newAdapter, uses: []string{"secrets"}, accepted: accepted}
	t.Cleanup(func() { delete(providers, name) })
}
