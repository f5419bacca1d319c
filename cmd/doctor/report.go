// Package doctor has the parts of app doctor that need no other module: its report, and
// the checks of the clock, the disk, expiry dates and addresses. It belongs to cmd, which
// connects them with the modules.
package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/payrelay/payrelay/modules/payments"
)

// Result is the result of a check.
type Result string

// The results of a check.
const (
	OK   Result = "ok"
	Warn Result = "warn"
	Fail Result = "fail"
)

// Check is what was checked and found. The message of a warning or a failure explains what
// to do.
type Check struct {
	Name    string `json:"name"`
	Result  Result `json:"result"`
	Message string `json:"message"`
}

// Report holds the checks in their order.
type Report struct{ Checks []Check }

// Add adds a check.
func (r *Report) Add(name string, result Result, format string, args ...any) {
	r.Checks = append(r.Checks, Check{name, result, fmt.Sprintf(format, args...)})
}

// Err adds a check that failed with an error, or succeeded with a message.
func (r *Report) Err(name string, err error, message string) {
	if err != nil {
		r.Add(name, Fail, "%v", err)
		return
	}
	r.Add(name, OK, "%s", message)
}

// Count returns the number of checks with a result.
func (r *Report) Count(result Result) (n int) {
	for _, c := range r.Checks {
		if c.Result == result {
			n++
		}
	}
	return n
}

// Print prints a line for each check, and the numbers of warnings and failures.
func (r *Report) Print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range r.Checks {
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Result, c.Name, line(c.Message))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d checks, %d warnings, %d failures\n", len(r.Checks), r.Count(Warn), r.Count(Fail))
	return err
}

// line returns a message as one line.
func line(message string) string { return payments.PlainText(message) }

// PrintJSON prints one object with the checks.
func (r *Report) PrintJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(map[string]any{
		"checks": r.Checks, "total": len(r.Checks), "warnings": r.Count(Warn), "failures": r.Count(Fail),
	})
}
