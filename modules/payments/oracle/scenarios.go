package oracle

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Scenario is a sequence of updates and the state that must result.
type Scenario struct {
	Name string
	// Updates are about order "o1" and its dispute, and come from the source "generic".
	Updates []*payrelayv1.Update

	want    map[string]map[string]string // by "order" and "dispute"
	refused map[string]string
}

// ReadScenarios reads the file testdata/scenarios.txt of package payments.
func ReadScenarios(t *testing.T, path string) []Scenario {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []Scenario
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		lines := strings.Split(strings.TrimSpace(paragraph), "\n")
		if strings.HasPrefix(lines[0], "#") {
			continue
		}
		s := Scenario{Name: lines[0], want: make(map[string]map[string]string), refused: make(map[string]string)}
		for _, line := range lines[1:] {
			words := strings.Fields(line)
			switch words[0] {
			case "=":
				s.want[words[1]] = fields(words[3:])
				s.want[words[1]]["status"] = words[2]
			case "!":
				s.refused[words[1]] = words[2]
			default:
				s.Updates = append(s.Updates, ParseUpdate(t, words))
			}
		}
		all = append(all, s)
	}
	if len(all) < 29 {
		t.Fatalf("read %d scenarios, want at least 29", len(all))
	}
	return all
}

func fields(words []string) map[string]string {
	values := make(map[string]string)
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		values[name] = value
	}
	return values
}

// after returns the time of an offset such as 2m, 4d or D16 after Noon.
func after(t *testing.T, offset string) *timestamppb.Timestamp {
	t.Helper()
	if days, ok := strings.CutPrefix(offset, "D"); ok {
		offset = days + "d"
	}
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, '0': 0}[offset[len(offset)-1]]
	n, err := strconv.Atoi(strings.TrimRight(offset, "smhd"))
	if err != nil {
		t.Fatal(err)
	}
	return timestamppb.New(Noon.Add(time.Duration(n) * unit))
}

var moneyText = regexp.MustCompile(`^(\d+)([A-Z]+)$`)

func minorUnits(t *testing.T, text string) *payrelayv1.Money {
	t.Helper()
	parts := moneyText.FindStringSubmatch(text)
	if parts == nil {
		return nil
	}
	units, _ := strconv.ParseInt(parts[1], 10, 64)
	return &payrelayv1.Money{MinorUnits: units, Currency: parts[2]}
}

// ParseUpdate parses the words of a line such as: e1 2m order success amount=100USD.
func ParseUpdate(t *testing.T, words []string) *payrelayv1.Update {
	t.Helper()
	u := &payrelayv1.Update{Provider: "generic", EventId: words[0], OrderId: "o1", OccurredAt: after(t, words[1])}
	f := fields(words[4:])
	if words[2] == "order" {
		status, ok := payments.OrderStatuses.Parse(words[3])
		if !ok {
			t.Fatalf("unknown order status %q", words[3])
		}
		u.Subject = &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: status, Part: f["part"], Amount: minorUnits(t, f["amount"]),
			Authorized: minorUnits(t, f["authorized"]), Captured: minorUnits(t, f["captured"]), Refunded: minorUnits(t, f["refunded"]),
		}}
		return u
	}
	status, ok := payments.DisputeStatuses.Parse(words[3])
	if !ok {
		t.Fatalf("unknown dispute status %q", words[3])
	}
	stage, _ := payments.DisputeStages.Parse(f["stage"])
	d := &payrelayv1.DisputeSnapshot{
		Status: status, Stage: stage, Reason: f["reason"], Amount: minorUnits(t, f["amount"]), OutcomeAmount: minorUnits(t, f["outcome_amount"]),
	}
	if f["due"] != "" {
		d.EvidenceDueAt = after(t, f["due"])
	}
	u.Subject = &payrelayv1.Update_Dispute{Dispute: d}
	return u
}

func moneyWord(m payments.Money) string {
	if m.Currency == "" {
		return "-"
	}
	return fmt.Sprint(m.MinorUnits, m.Currency)
}

// Check compares the stored order, dispute and open dead letters with the wanted ones.
func (s Scenario) Check(t *testing.T, o payments.Order, d payments.Dispute, open []*payments.DeadLetter) {
	t.Helper()
	if want := s.want["order"]; want != nil {
		totals := o.Totals()
		got := map[string]string{
			"status": payments.OrderStatuses.Name(o.Status), "view": o.View(), "amount": moneyWord(o.Amount),
			"authorized": moneyWord(totals.Authorized), "captured": moneyWord(totals.Captured), "refunded": moneyWord(totals.Refunded),
		}
		if !maps.Equal(got, want) {
			t.Errorf("order\n%v, want\n%v", got, want)
		}
	}
	if want := s.want["dispute"]; want != nil {
		due := "-"
		if !d.EvidenceDueAt.IsZero() {
			due = fmt.Sprintf("D%d", int(d.EvidenceDueAt.Sub(Noon).Hours()/24))
		}
		stage := payments.DisputeStages.Name(d.Stage)
		if stage == "" {
			stage = "-"
		}
		got := map[string]string{
			"status": payments.DisputeStatuses.Name(d.Status), "stage": stage, "amount": moneyWord(d.Amount),
			"outcome_amount": moneyWord(d.OutcomeAmount), "due": due, "reopened": strconv.Itoa(d.Reopened),
		}
		if want["reason"] != "" {
			got["reason"] = d.Reason
		}
		if !maps.Equal(got, want) {
			t.Errorf("dispute\n%v, want\n%v", got, want)
		}
	}
	refused := make(map[string]string)
	for _, letter := range open {
		refused[letter.Key.EventID] = payments.DeadLetterReasons.Name(letter.Reason)
	}
	if !maps.Equal(refused, s.refused) {
		t.Errorf("dead letters %v, want %v", refused, s.refused)
	}
}
