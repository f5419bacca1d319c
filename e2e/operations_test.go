package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	operationsGuide = "../docs/operations.md"
	unpaidHeading   = `## "Order X is not paid, why?"`
	// answerInCommands is the number of commands that the guide has for the question.
	answerInCommands = 5
)

// commandsAfter returns the commands of the first indented block after a heading, without
// their comments.
func commandsAfter(t *testing.T, text, heading string) (commands []string) {
	t.Helper()
	_, section, found := strings.Cut(text, heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %s", operationsGuide, heading)
	}
	for line := range strings.Lines(section) {
		command, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented:
			command, _, _ = strings.Cut(command, "#")
			commands = append(commands, strings.TrimSpace(command))
		case len(commands) > 0:
			return commands
		}
	}
	return commands
}

// listedID is the ID in the first row of a list of dead letters.
var listedID = regexp.MustCompile(`(?m)^(\d+) `)

// TestOrderIsNotPaid: someone who has only the guide runs its five commands, and the reason
// is on the screen. The command that it shows then pays the order.
func TestOrderIsNotPaid(t *testing.T) {
	t.Parallel()
	const order = "order-4711"
	dir := filepath.Join(t.TempDir(), "data")
	p := launch(t, "serve all", nil, anyPorts(dir, "--mode", "direct")...)
	at := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
	webhook := func(event, order, status, at string) string {
		return fmt.Sprintf(`{"provider_event_id": %q, "order_id": %q, "user_id": "user-1", "status": %q, "updated_at": %q,
			"meta": {"amount": "10.00", "currency": "USD"}}`, event, order, status, at)
	}
	// Another dead letter has the first ID.
	for _, w := range []struct{ body, want string }{
		{webhook("other-1", "other", "success", at(time.Hour)), "applied"},
		{webhook("other-2", "other", "failed", at(time.Minute)), "dead_lettered contradiction"},
		{webhook("event-1", order, "created", at(time.Hour)), "applied"},
		{webhook("event-2", order, "failed", at(time.Minute)), "applied"},
		{webhook("event-2", order, "success", at(time.Second)), "dead_lettered conflict"},
	} {
		if answer := mustPost(t, p.URL("ingest")+"/webhooks/payments/orders", w.body); answer.verdict() != w.want {
			t.Fatalf("the webhook %s is answered %s, want %s", w.body, answer, w.want)
		}
	}

	guide, err := os.ReadFile(operationsGuide)
	check(t, err)
	commands := commandsAfter(t, string(guide), unpaidHeading)
	if len(commands) != answerInCommands {
		t.Fatalf("the guide has the commands %q, want %d", commands, answerInCommands)
	}
	env := []string{"DATA_DIR=" + dir, "WEBHOOK_MODE=direct"}
	letter, screen := "", ""
	for _, command := range commands {
		words := strings.Fields(command)
		for i, word := range words {
			switch word {
			case "X":
				words[i] = order
			case "N":
				words[i] = letter
			}
		}
		r := runToEnd(t, env, words[1:]...)
		if r.Code != 0 {
			t.Fatalf("%s ended with code %d: %s%s", command, r.Code, r.Stdout, r.Stderr)
		}
		if match := listedID.FindStringSubmatch(r.Stdout); match != nil {
			letter = match[1]
		}
		screen += r.Stdout
	}
	for _, want := range []string{order, "failed", "conflict", "event-2", "other facts were recorded", "10.00 USD"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the commands of the guide do not show %q:\n%s", want, screen)
		}
	}
	if letter != "2" {
		t.Errorf("the dead letter of the order is %q, want 2", letter)
	}
	if r := runToEnd(t, env, "deadletters", "accept", letter, "--why", "the provider confirms it"); r.Code != 0 {
		t.Errorf("accept ended with code %d: %s", r.Code, r.Stderr)
	}
	if r := runToEnd(t, env, "explain", "order", order); !strings.Contains(r.Stdout, "is paid") {
		t.Errorf("after the decision, the order is explained by %s%s, want that it is paid", r.Stdout, r.Stderr)
	}
}
