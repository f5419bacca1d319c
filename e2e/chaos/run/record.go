package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/payrelay/payrelay/e2e/chaos"
)

// legend says what the columns of the table are.
const legend = `
Times are the longest of a cell: of an answer (less what a fault held up the edge itself), from the
healing of a fault to every process being ready and to the first 2xx, and from the last healing to all
that was answered 2xx being applied. The *baseline* is what a
process needed under the load before the first fault: after each fault it has to be back there under the
same load, and the columns say how long after everything was ready it was seen to be, and what it needed
then beyond the baseline. *Redelivered* are answers 2xx beyond the first of a webhook, which
changed nothing. *Recovered* are webhooks that were in effect although nobody had been told so: the
answer was lost with a process or a link, the provider sent the webhook again, and was told that it is a
duplicate. (In mode 'kafka' the answer does not say.)
`

// record puts the tables of a run into a document, in place of those of an earlier
// one: each between two comments that name it.
func record(path string, o options, reports []*chaos.Report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	command := fmt.Sprintf("By `go run ./e2e/chaos/run -duration %s -seed %d`, on %d processors (%s/%s):",
		o.duration, o.seed, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	document := string(text)
	for name, content := range map[string]string{
		"record": command + "\n\n" + chaos.Table(reports) + legend,
		"faults": chaos.FaultTable(reports),
	} {
		if document, err = between(document, name, content); err != nil {
			return fmt.Errorf("record the run in %s: %w", path, err)
		}
	}
	if err := os.WriteFile(path, []byte(document), 0o644); err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	return nil
}

// between replaces what is between the comments of a name.
func between(document, name, content string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	before, rest, opened := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		return "", fmt.Errorf("there is no %s and %s", strings.TrimSpace(begin), end)
	}
	return before + begin + content + end + after, nil
}
