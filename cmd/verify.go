package cmd

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/ingest/source"
	"github.com/payrelay/payrelay/modules/payments"
)

func newVerify() *cobra.Command {
	return flags.Group(&cobra.Command{
		Use:   "verify",
		Short: "Check the signature of a webhook in files",
	}, newExplain())
}

// explainConfig selects a source and a webhook.
type explainConfig struct {
	sourcesFile string
	source      string
	headersFile string
	bodyFile    string
	path        string
	receivedAt  string
}

// RegisterFlags declares the flags.
func (c *explainConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.sourcesFile, "sources", "", "YAML file of the sources of webhooks: `SOURCES`")
	fs.StringVar(&c.source, "source", "", "name of the source that the webhook was sent to")
	fs.StringVar(&c.headersFile, "headers", "", "file with the headers of the webhook, a line Name: value for each, as curl -v or a log shows them")
	fs.StringVar(&c.bodyFile, "body", "", "file with the body of the webhook, byte for byte as it arrived")
	fs.StringVar(&c.path, "path", "", "last element of the path of a generic source, orders or chargebacks; without it, orders")
	fs.StringVar(&c.receivedAt, "received-at", "", "time at which the webhook arrived, such as 2026-01-04T10:00:00Z; without it, now")
}

func newExplain() *cobra.Command {
	var cfg explainConfig
	command := &cobra.Command{
		Use:   "explain",
		Short: "Tell which check of a webhook fails, and why",
		Long: "explain verifies a webhook as the ingest role does. If it is not authentic, explain names\n" +
			"the check that fails, and looks for the cause: a body that was written again, a secret of\n" +
			"another source or in the wrong form, a clock, a proxy that changes headers. It prints no\n" +
			"secret. The exit code is 0 if the webhook is authentic.",
		Args: flags.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return cfg.explain(command.Context(), command.OutOrStdout())
		},
	}
	flags.Register(command, &cfg)
	return command
}

var errNotAuthentic = errors.New("the webhook is not authentic")

// explain prints the findings about the webhook. The error is errNotAuthentic if one of
// them is a failure.
func (c *explainConfig) explain(ctx context.Context, out io.Writer) error {
	for _, required := range []struct{ flag, value string }{
		{"sources (SOURCES)", c.sourcesFile}, {"source", c.source}, {"headers", c.headersFile}, {"body", c.bodyFile},
	} {
		if required.value == "" {
			return fmt.Errorf("%s is missing: set it as app verify explain --help shows", required.flag)
		}
	}
	settings, err := source.Settings(c.sourcesFile, c.source)
	if err != nil {
		return err
	}
	request, err := c.request(settings.Provider)
	if err != nil {
		return err
	}
	authentic := true
	for _, finding := range provider.Explain(ctx, settings, request, source.Others(c.sourcesFile, c.source)...) {
		authentic = authentic && finding.Result != provider.Failed
		if _, err := fmt.Fprintf(out, "%-8s %s: %s\n", finding.Result, finding.Check, finding.Message); err != nil {
			return err
		}
	}
	if !authentic {
		return errNotAuthentic
	}
	return nil
}

// request reads the webhook.
func (c *explainConfig) request(of string) (*provider.Request, error) {
	text, err := os.ReadFile(c.headersFile)
	if err != nil {
		return nil, fmt.Errorf("read headers: %w", err)
	}
	r := &provider.Request{Path: c.path, Header: parseHeaders(text), ReceivedAt: time.Now()}
	if len(r.Header) == 0 {
		return nil, fmt.Errorf("headers %s has no line of the form Name: value", c.headersFile)
	}
	if r.Body, err = os.ReadFile(c.bodyFile); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if len(r.Body) == 0 {
		return nil, fmt.Errorf("body %s is empty: store the body as it arrived, before a program reads it", c.bodyFile)
	}
	switch paths := provider.Paths(of); {
	case c.path == "" && len(paths) > 0:
		r.Path = "orders"
	case c.path != "" && !slices.Contains(paths, c.path):
		return nil, fmt.Errorf("path is %q: the provider %s has the paths %q", c.path, of, paths)
	}
	if c.receivedAt != "" {
		if r.ReceivedAt, err = payments.ParseTime(c.receivedAt); err != nil {
			return nil, fmt.Errorf("received-at is %q: write a time such as 2026-01-04T10:00:00Z", c.receivedAt)
		}
	}
	return r, nil
}

// parseHeaders reads a line Name: value for each header, up to an empty line. It ignores
// other lines, such as the request line, and the > that curl -v puts before each.
func parseHeaders(text []byte) http.Header {
	header := make(http.Header)
	for line := range bytes.Lines(bytes.TrimLeft(text, "\ufeff\r\n")) {
		line := strings.TrimPrefix(strings.TrimRight(string(line), "\r\n"), "> ")
		if line == "" || line == ">" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if ok && httpguts.ValidHeaderFieldName(name) {
			header.Add(name, strings.TrimSpace(value))
		}
	}
	return header
}
