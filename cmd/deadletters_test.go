package cmd

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
)

// contradictions returns the data directory of a database with dead letters 1 to n:
// orders o1 to on succeeded, and failed a second later.
func contradictions(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if _, err := execute(t, "migrate", "up", "--data-dir", dir); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), "sqlite://"+filepath.Join(dir, "payrelay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i := 1; i <= n; i++ {
		update := func(event string, at int64, status payrelayv1.OrderStatus) *payrelayv1.Update {
			return &payrelayv1.Update{
				Provider: "generic", EventId: fmt.Sprint(event, i), OrderId: fmt.Sprint("o", i), OccurredAt: timestamppb.New(time.Unix(1_767_000_000+at, 0)),
				Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: status}},
			}
		}
		_, err := payments.NewLedger(store).Apply(t.Context(), []*payrelayv1.Update{
			update("paid", 0, payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS), update("failed", 1, payrelayv1.OrderStatus_ORDER_STATUS_FAILED),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// deadletters runs a subcommand on a data directory, which must succeed or leave dead
// letters open.
func deadletters(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := execute(t, append(append([]string{"deadletters"}, args...), "--data-dir", dir)...)
	if err != nil && flags.ExitCode(err) != flags.ExitDifferences {
		t.Fatalf("deadletters %q: %v", args, err)
	}
	return out
}

// wantWords checks that a text has a line that begins with the words.
func wantWords(t *testing.T, text, words string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.Join(strings.Fields(line), " "), words) {
			return
		}
	}
	t.Errorf("no line begins with %q:\n%s", words, text)
}

func TestAcceptedDeadLetterIsState(t *testing.T) {
	dir := contradictions(t, 2)
	listed := deadletters(t, dir, "list")
	wantWords(t, listed, "ID REASON SOURCE KIND EVENT ORDER DISPUTE SINCE DELIVERIES LAST SETTLED")
	wantWords(t, listed, `2 contradiction generic order failed2 o2 `)

	if out := deadletters(t, dir, "accept", "1", "--why", "the bank says so", "--by", "ann"); out != "applied\n" {
		t.Errorf("accept = %q, want applied", out)
	}
	shown := deadletters(t, dir, "show", "1")
	for _, words := range []string{"source generic", "kind order", "deliveries 1", "last ", "settled accepted", "settled at ", "by ann", "why the bank says so"} {
		wantWords(t, shown, words)
	}
	_, err := execute(t, "deadletters", "accept", "1", "--why", "again", "--data-dir", dir)
	if err == nil || !strings.Contains(err.Error(), "settled already: accepted") || !strings.Contains(err.Error(), "by ann (the bank says so)") {
		t.Errorf("accept again = %v, want who settled it, and why", err)
	}
}

func TestDecisionIsThatOfTheUser(t *testing.T) {
	dir := contradictions(t, 1)
	current, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	if out := deadletters(t, dir, "discard", "1", "--why", "a test payment"); out != "discarded\n" {
		t.Errorf("discard = %q, want discarded", out)
	}
	wantWords(t, deadletters(t, dir, "show", "1"), "by "+current.Username)
	wantWords(t, deadletters(t, dir, "list", "--settled"), "1 contradiction")
	if out := deadletters(t, dir, "list"); !strings.HasSuffix(out, "\n\n0 dead letters\n") || strings.Count(out, "\n") != 3 {
		t.Errorf("list = %q, want the heading and the count only", out)
	}
}

func TestReplayOfSelectedDeadLetters(t *testing.T) {
	dir := contradictions(t, 3)
	dry := deadletters(t, dir, "replay", "--reason", "contradiction", "--dry-run")
	wantWords(t, dry, "3 judged, and nothing written")
	wantWords(t, dry, "3 order o3 - contradiction would stay open: contradiction")
	wantWords(t, deadletters(t, dir, "replay", "1", "--dry-run"), "1 order o1 - contradiction would stay open: contradiction")
	_, err := execute(t, "deadletters", "discard", "--all", "--why", "x", "--data-dir", dir)
	if err == nil || !strings.Contains(err.Error(), "3 dead letters are selected: add --yes") || flags.ExitCode(err) != flags.ExitUsage {
		t.Errorf("discard of 3 without --yes = %v, want it refused", err)
	}

	deadletters(t, dir, "accept", "2", "--why", "the bank says so")
	for want, args := range map[string][]string{
		"2 replayed 2 dead_lettered: contradiction": {"--source", "generic", "--why", "after the upgrade", "--yes"},
		"no open dead letter matches":               {"--source", "other", "--why", "x"},
		"no open dead letter matches ":              {"--reason", "conflict,unknown_status", "--why", "x"},
		" no open dead letter matches":              {"--to", "2026-01-01T00:00:00Z", "--why", "x"},
		" no open dead letter matches ":             {"--from", "2026-01-01T00:00:00Z", "--reason", "conflict", "--dry-run"},
	} {
		out := strings.Join(strings.Fields(deadletters(t, dir, append([]string{"replay"}, args...)...)), " ")
		if !strings.HasSuffix(out, strings.TrimSpace(want)) {
			t.Errorf("replay %q = %q, want it to end with %q", args, out, want)
		}
	}
}

// A replay reads dead letters in batches and judges each once.
func TestReplayOfManyDeadLetters(t *testing.T) {
	const many = 503 // more than one call handles
	out := deadletters(t, contradictions(t, many), "replay", "--reason", "contradiction", "--why", "after the upgrade", "--yes")
	wantWords(t, out, fmt.Sprint(many, " replayed"))
	wantWords(t, out, fmt.Sprint(many, " dead_lettered: contradiction"))
}

func TestMistakesInDecisions(t *testing.T) {
	dir := contradictions(t, 1)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"accept", "1"}, "--why is missing"},
		{[]string{"accept", "1", "--why", " "}, "--why is missing"},
		{[]string{"discard", "1"}, "--why is missing"},
		{[]string{"accept", "--why", "x"}, "nothing is selected"},
		{[]string{"accept", "x", "--why", "x"}, `"x" is not the ID`},
		{[]string{"accept", "2", "--why", "x"}, "there is no dead letter with this id"},
		{[]string{"show", "1", "2"}, "name one dead letter by its ID"},
		{[]string{"replay"}, "nothing is selected"},
		{[]string{"replay", "--dry-run"}, "nothing is selected"},
		{[]string{"replay", "1", "--source", "generic"}, "cannot be combined"},
		{[]string{"replay", "1", "2"}, "--why is missing"},
		{[]string{"replay", "--reason", "bad luck"}, "choose from"},
		{[]string{"replay", "--from", "yesterday"}, "24 hours ago"},
		{[]string{"replay", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"}, "--from must be earlier"},
	} {
		_, err := execute(t, append(append([]string{"deadletters"}, test.args...), "--data-dir", dir)...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("deadletters %q = %v, want an error with %q", test.args, err, test.want)
		}
	}
	wantWords(t, deadletters(t, dir, "list"), "1 contradiction")
}
