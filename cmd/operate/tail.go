package operate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/ingest"
	"github.com/payrelay/payrelay/modules/payments"
)

// tailConfig selects where webhooks are followed and which of them are shown.
type tailConfig struct {
	adminTarget
	sources string
	events  string
	results string
	order   string
	output  string
}

// RegisterFlags declares the flags.
func (c *tailConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.url, "admin-url", "http://127.0.0.1:3003", "URL of the admin listener of an ingest process: `ADMIN_URL`")
	c.registerAccess(fs)
	fs.StringVar(&c.sources, "source", "", "show these sources only; separate several with commas")
	fs.StringVar(&c.events, "event", "", "show events whose type begins with this text only, such as charge.dispute")
	fs.StringVar(&c.results, "result", "", "show these results only, such as applied, dead_lettered, signature_invalid or refused for every refusal; separate several with commas")
	fs.StringVar(&c.order, "order-id", "", "show webhooks of this order only")
	fs.StringVar(&c.output, "output", "text", "format, text or json")
}

func newTail() *cobra.Command {
	var cfg tailConfig
	command := &cobra.Command{
		Use:   "tail",
		Short: "Show webhooks as they are answered: source, event, verdict and latency",
		Args:  flags.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cfg.follow(command.Context(), command.OutOrStdout())
		},
	}
	flags.Register(command, &cfg)
	return command
}

// follow prints webhooks until ctx ends or the server stops.
func (c *tailConfig) follow(ctx context.Context, out io.Writer) error {
	if c.output != "text" && c.output != "json" {
		return fmt.Errorf("output is %q: choose text or json", c.output)
	}
	response, err := c.get(ctx, "/webhooks")
	switch {
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("follow the webhooks at %s: %w", c.url, err)
	}
	defer response.Body.Close()
	return c.print(ctx, response.Body, out)
}

// tailLine is a line of the stream: a webhook, or the number of those that are missing.
type tailLine struct {
	ingest.Observation
	Missed int64 `json:"missed"`
}

// print prints the webhooks of a stream until it ends.
func (c *tailConfig) print(ctx context.Context, stream io.Reader, out io.Writer) error {
	if c.output == "text" {
		if _, err := fmt.Fprintf(out, tailColumns, "TIME", "SOURCE", "EVENT", "ORDER", "RESULT", "STATUS", "LATENCY"); err != nil {
			return err
		}
	}
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var line tailLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read the stream of webhooks: %w", err)
		}
		if err := c.show(lines.Bytes(), line, out); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the stream of webhooks: %w", err)
	}
	return errors.New("the server ended the stream of webhooks: start again when it runs")
}

const tailColumns = "%-15s  %-16s  %-32s  %-24s  %-24s  %6s  %9s\n"

// show prints one line, if it is selected.
func (c *tailConfig) show(text []byte, line tailLine, out io.Writer) error {
	switch {
	case line.Missed > 0 && c.output == "text":
		_, err := fmt.Fprintf(out, "… %d webhooks are not shown, because they arrived too fast\n", line.Missed)
		return err
	case line.Missed == 0 && !c.selects(line.Observation):
		return nil
	case c.output == "json":
		_, err := fmt.Fprintf(out, "%s\n", text)
		return err
	}
	event := line.Event
	if event == "" {
		event = line.EventID
	}
	if line.Updates > 1 {
		event += " +" + strconv.Itoa(line.Updates-1)
	}
	_, err := fmt.Fprintf(out, tailColumns, line.Time.Local().Format("15:04:05.000000"), line.Source, payments.ErrorMessage(event),
		payments.ErrorMessage(line.OrderID), result(line.Observation), strconv.Itoa(line.Status), line.Latency.Round(10*time.Microsecond))
	return err
}

// result returns the verdict with its reason, or the code of a refusal.
func result(seen ingest.Observation) string {
	switch {
	case seen.Refusal != "":
		return seen.Refusal
	case seen.Reason != "":
		return seen.Verdict + ":" + seen.Reason
	default:
		return seen.Verdict
	}
}

// selects reports whether a webhook is to be shown.
func (c *tailConfig) selects(seen ingest.Observation) bool {
	among := func(list, value string) bool { return list == "" || slices.Contains(strings.Split(list, ","), value) }
	matches := among(c.results, seen.Verdict) || among(c.results, seen.Refusal) || seen.Refusal != "" && among(c.results, "refused")
	return among(c.sources, seen.Source) && strings.HasPrefix(seen.Event, c.events) && matches && (c.order == "" || c.order == seen.OrderID)
}
