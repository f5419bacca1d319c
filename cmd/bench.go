package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/bench"
	"github.com/payrelay/payrelay/modules/bench/report"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/transport"
)

func newBench() *cobra.Command {
	var cfg bench.Config
	command := &cobra.Command{
		Use:   "bench",
		Short: "Compare the modes: throughput, latency and cost, with a check of the result",
		Long: "Start payrelay in each mode as processes of their own on this machine, send webhooks,\n" +
			"and say what each mode gives and costs. After each run the database is compared with\n" +
			"what was sent: a webhook that is lost or doubled makes the figures void.",
		Args: noArgs,
	}
	register(command, &cfg)
	command.RunE = func(command *cobra.Command, _ []string) error {
		return runBench(command.Context(), cfg, command.OutOrStdout())
	}
	command.AddCommand(newBenchCompare())
	return command
}

func runBench(ctx context.Context, cfg bench.Config, out io.Writer) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program to start: %w", err)
	}
	program := bench.Program{
		Binary: binary, Version: versionText(), Command: commandLine(),
		DatabaseVersion: databaseVersion, BrokerVersion: brokerVersion,
	}
	made, err := bench.Run(ctx, cfg, program, terminal(os.Stderr))
	if made == nil || (err != nil && !errors.Is(err, bench.ErrVoid)) {
		return err
	}
	return errors.Join(err, made.Print(out), save(made, cfg))
}

// databaseVersion is that of the server at a URL, or of the SQLite in this program
// if there is none.
func databaseVersion(ctx context.Context, url string) (string, error) {
	if url == "" {
		return sqlite.Version, nil
	}
	return postgres.Version(ctx, url)
}

// brokerVersion is what the cluster at some brokers tells.
func brokerVersion(ctx context.Context, brokers string) (string, error) {
	cfg := transport.ClusterConfig{Brokers: strings.Split(strings.ReplaceAll(brokers, " ", ""), ",")}
	if err := cfg.Validate(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	cluster, err := transport.DescribeCluster(ctx, cfg)
	return cluster.String(), err
}

// save writes the files that were asked for.
func save(made *report.Report, cfg bench.Config) error {
	var failures []error
	for _, form := range []struct {
		path  string
		write func(string) error
	}{{cfg.JSON, made.Write}, {cfg.HTML, made.WritePage}, {cfg.Markdown, made.WriteMarkdown}} {
		if form.path != "" {
			failures = append(failures, form.write(form.path))
		}
	}
	return errors.Join(failures...)
}

// commandLine is how to get the same figures again; a URL in it is shown without
// its password.
func commandLine() string {
	words := append([]string{"app"}, os.Args[1:]...)
	for i, word := range words {
		name, value, given := strings.Cut(word, "=")
		switch {
		case name == "--database-url" && given:
			words[i] = name + "=" + shownURL(value)
		case i > 0 && words[i-1] == "--database-url":
			words[i] = shownURL(word)
		}
	}
	return strings.Join(words, " ")
}

// terminal is the file, if a person looks at it.
func terminal(file *os.File) io.Writer {
	if defaultFormat(file) == "text" {
		return file
	}
	return nil
}
