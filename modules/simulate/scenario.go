package simulate

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The files in scenarios list, for each format, the lives of orders and the state in
// which each must end. The states are written by hand from docs/payments.md, so that a
// check against them is a check of the rules.
//
// A paragraph is a scenario. Its first line has the name and a summary. Each further
// line is an event: the time after the beginning, the provider's type of the event, and
// fields for its body. The field note marks an event that changes no state. A line with
// "=" is the final state of the order or the dispute, and "!" is the reason of a dead
// letter that remains.
//
//go:embed scenarios/*.txt
var tables embed.FS

// scenario is a sequence of events about one order, and the state that must result.
type scenario struct {
	name, summary string
	steps         []step
	// order and dispute have the expected fields of the public API. dispute is nil if the
	// scenario has none.
	order, dispute map[string]string
	// deadLetters has the reasons of the dead letters that remain.
	deadLetters []string
}

// step is one event of a scenario.
type step struct {
	after  time.Duration
	event  string
	fields map[string]string
}

// note reports whether the event changes no state.
func (s step) note() bool {
	_, note := s.fields["note"]
	return note
}

// readScenarios returns the scenarios of a format.
func readScenarios(format string) ([]scenario, error) {
	text, err := tables.ReadFile("scenarios/" + format + ".txt")
	if err != nil {
		return nil, fmt.Errorf("read the scenarios: %w", err)
	}
	return parseScenarios(string(text))
}

func parseScenarios(text string) ([]scenario, error) {
	var all []scenario
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(strings.TrimSpace(paragraph), "\n")
		if lines[0] == "" || strings.HasPrefix(lines[0], "#") {
			continue
		}
		var s scenario
		s.name, s.summary, _ = strings.Cut(lines[0], " ")
		s.summary = strings.TrimSpace(s.summary)
		for _, line := range lines[1:] {
			if err := s.add(strings.Fields(line)); err != nil {
				return nil, fmt.Errorf("scenario %s, line %q: %w", s.name, line, err)
			}
		}
		if len(s.steps) == 0 || s.order == nil && s.dispute == nil {
			return nil, fmt.Errorf("scenario %s has no events or no final state", s.name)
		}
		all = append(all, s)
	}
	return all, nil
}

// add adds what a line states.
func (s *scenario) add(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("%d words are not enough", len(words))
	}
	switch words[0] {
	case "=":
		if len(words) < 3 {
			return fmt.Errorf("no status")
		}
		want := parseFields(words[3:])
		want["status"] = words[2]
		switch words[1] {
		case "order":
			s.order = want
		case "dispute":
			s.dispute = want
		default:
			return fmt.Errorf("%q is neither order nor dispute", words[1])
		}
	case "!":
		s.deadLetters = append(s.deadLetters, words[1])
		slices.Sort(s.deadLetters)
	default:
		after, err := parseOffset(words[0])
		if err != nil {
			return err
		}
		s.steps = append(s.steps, step{after, words[1], parseFields(words[2:])})
	}
	return nil
}

// parseFields parses words of the form name=value. A "~" stands for a space.
func parseFields(words []string) map[string]string {
	fields := make(map[string]string)
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		fields[name] = strings.ReplaceAll(value, "~", " ")
	}
	return fields
}

// parseOffset parses a time after the beginning: 0, 90s, 5m, 2h or 10d.
func parseOffset(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	unit, ok := units[text[len(text)-1]]
	n, err := strconv.Atoi(text[:len(text)-1])
	if !ok || err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a time such as 0, 90s, 5m, 2h or 10d", text)
	}
	return time.Duration(n) * unit, nil
}

// selectScenarios returns the named scenarios, or all of them for the only name "all".
func selectScenarios(all []scenario, names []string) ([]scenario, error) {
	if slices.Equal(names, []string{"all"}) {
		return all, nil
	}
	var selected []scenario
	for _, name := range names {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			var known []string
			for _, s := range all {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("scenario %q does not exist for this provider: choose all, or from %s", name, strings.Join(known, ", "))
		}
		selected = append(selected, all[i])
	}
	return selected, nil
}
