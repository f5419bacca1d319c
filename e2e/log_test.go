package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

// TestRepeatedLinesAreCounted: of refusals that are alike, the log has the first ones and
// the number of the others; at the level debug it has all, and each accepted webhook.
func TestRepeatedLinesAreCounted(t *testing.T) {
	t.Parallel()
	const sent = 50
	leftOut := regexp.MustCompile(`"level":"INFO","msg":"webhook refused: (\d+) more in the last 10s","code":"invalid_amount","source":"generic"`)
	for _, level := range []string{"info", "debug"} {
		c := startCluster(t, setup{payments.Direct, embedded, oneProcess}, options{wire: []string{"--log-level", level}})
		w := orderWebhook("evt-1", "order-1", "created", 0, "1.00", "USD")
		c.accept(t, w, "applied")
		for i := range sent {
			bad := orderWebhook(fmt.Sprint("evt-", i), "order-1", "created", 0, `"much"`, "USD")
			if answer := mustPost(t, c.url("ingest")+bad.path, bad.body); answer.status != http.StatusBadRequest {
				t.Fatalf("webhook %s is answered %s, want 400", bad.event, answer)
			}
		}
		c.terminate(t, "all")
		log := c.running["all"].log(t)
		lines, left := strings.Count(log, `"msg":"webhook refused"`), 0
		for _, more := range leftOut.FindAllStringSubmatch(log, -1) {
			n, _ := strconv.Atoi(more[1]) // it matches digits
			left += n
		}
		if lines+left != sent || (left > 0) != (level == "info") {
			t.Errorf("%s: %d lines about refusals, and the number of %d others, want %d in all:\n%s", level, lines, left, sent, tail(log))
		}
		accepted := fmt.Sprintf(`"msg":"webhook accepted","source":"generic","event_id":"evt-1","order_id":"order-1","body_sha256":%q`, w.digest())
		if got := strings.Contains(log, accepted); got != (level == "debug") {
			t.Errorf("%s: the log has the accepted webhook = %t", level, got)
		}
	}
}
