package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/payrelay/payrelay/e2e/chaos/checker"
)

// legend explains the columns of the table.
const legend = `
Times are the longest of a cell: of an answer (less the time in which a fault kept ingest itself from
answering), from the end of a fault until every process was ready and until the first 2xx, and from the end
of the last fault until everything that was answered 2xx was applied. The *baseline* is what each process
used under load before the first fault: after each fault it must be back there under the same load. The
columns have how long that took once everything was ready, and what it used then beyond the baseline.
*Redelivered* counts answers 2xx beyond the first of a webhook, which changed nothing. *Recovered* counts
webhooks that had taken effect although the provider had no 2xx: the answer was lost with a process or a
link, the provider sent the webhook again, and the answer was "duplicate". (In mode 'kafka' the answer has
no verdict of the ledger.) *Long histories* counts the orders with at least 512 events, and *letters accepted*
and *discarded* the dead letters that an operator decided before the provider sent its last webhooks, *replayed*
the times that one was judged again and stayed open. *Listings* counts those of all orders, page by page.
`

// record replaces the tables in a document by those of a run. Each is between two
// comments with its name.
func record(path string, o options, reports []*checker.Report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	command := fmt.Sprintf("By `go run ./e2e/chaos/run -duration %s -seed %d`, on %d processors (%s/%s):",
		o.duration, o.seed, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	document := string(text)
	for name, content := range map[string]string{
		"record": command + "\n\n" + checker.Table(reports) + legend,
		"faults": checker.FaultTable(reports),
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

// between replaces the text between the two comments with a name.
func between(document, name, content string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	before, rest, opened := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		return "", fmt.Errorf("the document has no %s followed by %s", strings.TrimSpace(begin), end)
	}
	return before + begin + content + end + after, nil
}
