package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// TestSecretRotates: a secret is replaced by rewriting the file of sources while webhooks
// arrive that are signed with the old one, with both in turn and with the new one. No
// webhook is refused, until the old secret is gone.
func TestSecretRotates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sources := writeSimulated(t, dir, "stripe")
	oldSecret, newSecret := filepath.Join(dir, "stripe.secret"), filepath.Join(dir, "new.secret")
	check(t, os.WriteFile(newSecret, []byte("whsec_of_the_next_year_0123456789"), 0o600))
	c := startCluster(t, setup{payments.HTTP, embedded, split}, options{edge: []string{"--sources", sources}})

	reloads := 0
	rewrite := func(secrets ...string) {
		t.Helper()
		text := "sources:\n  - name: stripe\n    provider: stripe\n    environment: test\n    order_id: {metadata_key: order_id}\n    secrets:\n"
		for _, secret := range secrets {
			text += "      - " + secret + "\n"
		}
		check(t, os.WriteFile(sources, []byte(text), 0o600))
		reloads++
		wait.Until(t, startWithin, "the sources are reloaded", func() bool {
			return strings.Count(c.running["ingest"].log(t), "sources were reloaded") >= reloads
		})
	}
	// send signs webhooks for about three seconds, longer than a change takes to be seen.
	send := func(files ...string) *process {
		args := []string{"simulate", "--provider", "stripe", "--url", c.url("ingest"), "--check", c.url("api"),
			"--scenario", "second-card,chargeback-won", "--orders", "100", "--rate", "150", "--shuffle", "--secret-file", files[0]}
		if len(files) > 1 {
			args = append(args, "--second-secret-file", files[1])
		}
		return spawn(t, "simulate", nil, args...)
	}
	finish := func(name string, p *process) {
		t.Helper()
		wait.Until(t, time.Minute, name+" ends", p.Gone)
		if p.ExitCode() != 0 {
			t.Errorf("%s: %s%s", name, p.log(t), p.output(t))
		}
	}

	before := send(oldSecret)
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	rewrite(fmt.Sprintf("secret_file: %q", newSecret), fmt.Sprintf("{secret_file: %q, not_after: %s}", oldSecret, expires))
	both := send(oldSecret, newSecret)
	finish("the sender with the old secret", before)
	finish("the sender with both secrets", both)
	after := send(newSecret)
	rewrite(fmt.Sprintf("secret_file: %q", newSecret))
	finish("the sender with the new secret", after)

	r := runToEnd(t, nil, "simulate", "--provider", "stripe", "--url", c.url("ingest"), "--scenario", "paid", "--attempts", "1", "--secret-file", oldSecret)
	if r.Code != 1 || !strings.Contains(r.Stdout, "401 signature_invalid") {
		t.Errorf("a webhook with the old secret: %d, %s%s, want 401 signature_invalid", r.Code, r.Stderr, r.Stdout)
	}
}
