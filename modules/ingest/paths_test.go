package ingest

import (
	"os"
	"strings"
	"testing"
)

// TestPathsAreDocumented finds a path that docs/webhooks.md does not name.
func TestPathsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range start(t, &recorder{}).Paths() {
		if !strings.Contains(string(page), "`POST "+path+"`") {
			t.Errorf("docs/webhooks.md does not name POST %s", path)
		}
	}
}
