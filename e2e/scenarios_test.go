package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/internal/wait"
)

// sampledScenarios is the number of scenarios that are sent over HTTP.
const sampledScenarios = 20

// scenario is a sequence of webhooks about one order, and the state that it must end
// in.
type scenario struct {
	id       string
	webhooks []webhook
	// want has the fields of the order and the dispute, as the file has them.
	want    map[string]map[string]string
	refused map[string]string // the reason by event
}

// TestScenarios: a sample of the scenarios of orders and disputes ends in the state
// that it must end in, in every mode, whatever the order of arrival.
func TestScenarios(t *testing.T) {
	scenarios := readScenarios(t)
	if len(scenarios) < sampledScenarios {
		t.Fatalf("%d scenarios can be sent as generic webhooks, want at least %d", len(scenarios), sampledScenarios)
	}
	inEvery(t, everySetup, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{})
		r := rand.New(rand.NewPCG(uint64(len(t.Name())), 1))
		for _, s := range scenarios[:sampledScenarios] {
			arrival := slices.Clone(s.webhooks)
			r.Shuffle(len(arrival), func(i, j int) { arrival[i], arrival[j] = arrival[j], arrival[i] })
			for _, w := range arrival {
				answer, err := c.send(w)
				if err != nil || answer.status/100 != 2 {
					t.Errorf("webhook %s is answered %s, %v, want 2xx", w.event, answer, err)
				}
			}
		}
		for _, s := range scenarios[:sampledScenarios] {
			s.check(t, c)
		}
	})
}

// readScenarios reads those scenarios of the ledger that the generic contract can
// express.
func readScenarios(t *testing.T) []scenario {
	t.Helper()
	text, err := os.ReadFile("../modules/payments/testdata/scenarios.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []scenario
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		lines := strings.Split(strings.TrimSpace(paragraph), "\n")
		if strings.HasPrefix(lines[0], "#") {
			continue
		}
		s := scenario{id: strings.Fields(lines[0])[0], want: make(map[string]map[string]string), refused: make(map[string]string)}
		for _, line := range lines[1:] {
			switch words := strings.Fields(line); words[0] {
			case "=":
				s.want[words[1]] = scenarioFields(words[3:])
				s.want[words[1]]["status"] = words[2]
			case "!":
				s.refused[s.id+"-"+words[1]] = words[2]
			default:
				s.webhooks = append(s.webhooks, s.webhook(t, words))
			}
		}
		all = append(all, s)
	}
	return all
}

func scenarioFields(words []string) map[string]string {
	fields := make(map[string]string)
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		fields[name] = value
	}
	return fields
}

// secondsOf returns the seconds of an offset such as 2m or D16.
func secondsOf(t *testing.T, offset string) int {
	t.Helper()
	if days, found := strings.CutPrefix(offset, "D"); found {
		offset = days + "d"
	}
	n, err := strconv.Atoi(strings.TrimRight(offset, "smhd"))
	if err != nil {
		t.Fatal(err)
	}
	return n * map[byte]int{'s': 1, 'm': 60, 'h': 3600, 'd': 24 * 3600}[offset[len(offset)-1]]
}

var scenarioMoney = regexp.MustCompile(`^(\d+)([A-Z]+)$`)

// webhook returns the generic webhook of a line such as: e1 2m order success
// amount=100USD. All amounts have two decimals.
func (s scenario) webhook(t *testing.T, words []string) webhook {
	t.Helper()
	event, at, f := s.id+"-"+words[0], after(secondsOf(t, words[1])), scenarioFields(words[4:])
	money := make(map[string]any)
	for _, name := range []string{"amount", "authorized", "captured", "refunded", "outcome_amount"} {
		if m := scenarioMoney.FindStringSubmatch(f[name]); m != nil {
			minor, err := strconv.Atoi(m[1])
			check(t, err)
			money[name], money["currency"] = fmt.Sprintf("%d.%02d", minor/100, minor%100), m[2]
		}
	}
	body := map[string]any{"provider_event_id": event, "order_id": s.id, "user_id": "user-1"}
	path := ordersPath
	if words[2] == "order" {
		body["status"], body["updated_at"], body["meta"] = words[3], at, money
		if f["part"] != "" {
			body["part"] = f["part"]
		}
	} else {
		path = disputesPath
		maps.Copy(body, money)
		body["occurred_at"], body["stage"], body["reason"] = at, f["stage"], f["reason"]
		body["status"] = map[string]string{"open": "opened", "under_review": "updated", "won": "closed", "lost": "closed"}[words[3]]
		switch {
		case words[3] == "won" || words[3] == "lost":
			body["meta"] = map[string]string{"resolution": words[3]}
		case body["status"] == "":
			body["status"] = words[3]
		}
		if f["due"] != "" {
			body["evidence_due_at"] = after(secondsOf(t, f["due"]))
		}
	}
	text, err := json.Marshal(body)
	check(t, err)
	return webhook{path, event, string(text)}
}

// check waits until the scenario is recorded, and compares what the public API shows.
func (s scenario) check(t *testing.T, c *cluster) {
	t.Helper()
	refused := make(map[string]string)
	wait.Until(t, appliedWithin, s.id+" is recorded", func() bool {
		clear(refused)
		recorded := 0
		for _, path := range []string{"/orders/events", "/disputes/events"} {
			for _, e := range list[eventItem](t, c, path, url.Values{"order_ids": {s.id}}) {
				recorded++
				if e.Reason != "" {
					refused[e.EventID] = e.Reason
				}
			}
		}
		return recorded >= len(s.webhooks)
	})
	if !maps.Equal(refused, s.refused) {
		t.Errorf("%s has the dead letters %v, want %v", s.id, refused, s.refused)
	}
	for kind, want := range s.want {
		item, _ := read[map[string]any](t, c, "/"+kind+"s/"+s.id)
		got := make(map[string]string)
		for name := range want {
			got[name] = shownField(t, name, item)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: the %s is\n%v, want\n%v", s.id, kind, got, want)
		}
	}
}

// shownField returns a field of the public API in the form of the scenarios.
func shownField(t *testing.T, name string, item map[string]any) string {
	t.Helper()
	if name == "due" {
		name = "evidence_due_at"
	}
	switch value := item[name].(type) {
	case nil:
		if name == "reopened" {
			return "0"
		}
		return "-"
	case map[string]any:
		return fmt.Sprintf("%.0f%s", value["minor_units"], value["currency"])
	case string:
		for days := range 400 {
			if name == "evidence_due_at" && value == shown(days*24*3600) {
				return fmt.Sprint("D", days)
			}
		}
		return value
	default:
		return fmt.Sprint(value)
	}
}
