package simulate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Report is what became of a run.
type Report struct {
	Provider string `json:"provider"`
	Source   string `json:"source"`
	Seed     uint64 `json:"seed"`
	// Events is the number of events that were sent, in Webhooks.
	Events   int `json:"events"`
	Webhooks int `json:"webhooks"`
	Accepted int `json:"accepted"`
	// Resent is the number of attempts after the first one of a webhook, and GivenUp the
	// number of webhooks that were never accepted.
	Resent  int `json:"resent"`
	GivenUp int `json:"given_up"`
	// Answers counts those that are not 2xx.
	Answers []Answers `json:"answers,omitempty"`
	Seconds float64   `json:"seconds"`
	// Checked reports whether the result was compared with what must result.
	Checked     bool         `json:"checked"`
	Differences []Difference `json:"differences,omitempty"`
	Orders      []Order      `json:"orders"`
}

// Answers is the number of answers with one status and code. Status is 0 if there was no
// answer.
type Answers struct {
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Count   int    `json:"count"`
	refused bool
}

// Order is an order that was simulated.
type Order struct {
	OrderID   string `json:"order_id"`
	Scenario  string `json:"scenario"`
	DisputeID string `json:"dispute_id,omitempty"`
}

// add counts an answer.
func (r *Report) add(a answer, again bool) {
	if again {
		r.Resent++
	}
	if a.accepted() {
		r.Accepted++
		return
	}
	i := slices.IndexFunc(r.Answers, func(b Answers) bool { return b.Status == a.status && b.Code == a.code })
	if i < 0 {
		i = len(r.Answers)
		r.Answers = append(r.Answers, Answers{Status: a.status, Code: a.code, Message: a.message, refused: a.refused()})
	}
	r.Answers[i].Count++
}

// refusals returns the number of answers 4xx.
func (r *Report) refusals() (n int) {
	for _, a := range r.Answers {
		if a.refused {
			n += a.Count
		}
	}
	return n
}

// err returns an error that sums up what went wrong, or nil.
func (r *Report) err() error {
	var failed []string
	for _, failure := range []struct {
		n    int
		what string
	}{{r.refusals(), "refused"}, {r.GivenUp, "given up"}, {len(r.Differences), "differences"}} {
		if failure.n > 0 {
			failed = append(failed, fmt.Sprint(failure.what, " ", failure.n))
		}
	}
	if failed == nil {
		return nil
	}
	return errors.New("the simulation failed: " + strings.Join(failed, ", "))
}

// Write writes the report as text or JSON.
func (r *Report) Write(w io.Writer, form string) error {
	if form == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d events of %d orders in %d webhooks to the source %s, in %s (seed %d)\n",
		r.Provider, r.Events, len(r.Orders), r.Webhooks, r.Source, time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond), r.Seed)
	fmt.Fprintf(&b, "accepted %d, sent again %d, given up %d\n", r.Accepted, r.Resent, r.GivenUp)
	slices.SortFunc(r.Answers, func(a, b Answers) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Code, b.Code))
	})
	for _, a := range r.Answers {
		fmt.Fprintf(&b, "  %d times %s", a.Count, answer{status: a.Status, code: a.Code})
		if a.Message != "" {
			fmt.Fprintf(&b, ": %s", a.Message)
		}
		b.WriteByte('\n')
	}
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "  %s\n", d)
	}
	if r.Checked && len(r.Differences) == 0 {
		fmt.Fprintf(&b, "checked %d orders: all are as they must be\n", len(r.Orders))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
