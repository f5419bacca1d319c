package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/bench"
	"github.com/payrelay/payrelay/modules/bench/report"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"github.com/payrelay/payrelay/modules/transport/kafka"
)

func newBench() *cobra.Command {
	var cfg bench.Config
	command := &cobra.Command{
		Use:   "bench",
		Short: "Compare the modes: throughput, latency and cost, with a check of the result",
		Long: "Start payrelay in each mode on this machine, with every role in a process of its own,\n" +
			"send webhooks, and report the throughput, latency and cost of each mode. After each run\n" +
			"compare the database with what was sent: a lost or doubled webhook makes the figures void.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &cfg)
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
	var progress io.Writer
	if defaultFormat(os.Stderr) == "text" { // a terminal
		progress = os.Stderr
	}
	made, err := bench.Run(ctx, cfg, program, progress)
	if made == nil || (err != nil && !errors.Is(err, bench.ErrVoid)) {
		return err
	}
	failures := []error{err, made.Print(out)}
	for _, file := range []struct {
		path  string
		write func(string) error
	}{{cfg.JSON, made.Write}, {cfg.HTML, made.WritePage}, {cfg.Markdown, made.WriteMarkdown}} {
		if file.path != "" {
			failures = append(failures, file.write(file.path))
		}
	}
	return errors.Join(failures...)
}

// databaseVersion returns the version of the PostgreSQL at a URL, or of SQLite if
// the URL is empty.
func databaseVersion(ctx context.Context, url string) (string, error) {
	if url == "" {
		return sqlite.Version, nil
	}
	return postgres.Version(ctx, url)
}

// brokerVersion describes the Kafka cluster at some brokers.
func brokerVersion(ctx context.Context, brokers string) (string, error) {
	cfg := kafka.ClusterConfig{Brokers: strings.Split(strings.ReplaceAll(brokers, " ", ""), ",")}
	if err := cfg.Validate(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, topicsTimeout)
	defer cancel()
	cluster, err := kafka.DescribeCluster(ctx, cfg)
	return cluster.String(), err
}

// commandLine returns the command line for the report, without the password of the
// database.
func commandLine() string {
	words := append([]string{"app"}, os.Args[1:]...)
	for i, word := range words {
		name, value, given := strings.Cut(word, "=")
		switch {
		case name == "--database-url" && given:
			words[i] = name + "=" + flags.ShownURL(value)
		case i > 0 && words[i-1] == "--database-url":
			words[i] = flags.ShownURL(word)
		}
	}
	return strings.Join(words, " ")
}

func newBenchCompare() *cobra.Command {
	return &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Show how one report differs from another, and what is noise",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name two reports: app bench --json FILE writes one")
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			before, err := report.Read(args[0])
			if err != nil {
				return err
			}
			after, err := report.Read(args[1])
			if err != nil {
				return err
			}
			return report.Compare(before, after, command.OutOrStdout())
		},
	}
}
