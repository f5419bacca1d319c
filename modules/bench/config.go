package bench

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/bench/load"
)

// Config holds the flags of app bench. They have no environment variables, so that
// a benchmark never uses the database of a deployment by accident.
type Config struct {
	// Modes are the names of the variants to compare.
	Modes []string
	// Controls adds variants that isolate serialization, protocol and batching.
	Controls bool
	Workload load.Workload
	// Concurrency lists the closed loops, by number of connections. Rates lists the
	// open loops, by webhooks per second; each has Connections connections.
	Concurrency []int
	Rates       []int
	Connections int
	// Duration is how long a run measures, WarmUp how long webhooks are sent before.
	Duration, WarmUp time.Duration
	Rounds           int
	// Timeout is how long the sender waits for an answer.
	Timeout time.Duration
	// FindMax searches for the highest rate whose 99th percentile is at most P99Limit.
	FindMax  bool
	P99Limit time.Duration

	// Base is the file of another build to compare with.
	Base string

	// Target is the ingest listener of a running deployment to measure. TargetAPI and
	// TargetAdmins are its other listeners.
	Target, TargetAPI string
	TargetAdmins      []string

	// DatabaseURL and Brokers replace SQLite and the embedded broker.
	DatabaseURL                string
	Brokers                    string
	OrdersTopic, DisputesTopic string

	// JSON, HTML and Markdown are files to write, Profiles is a directory.
	JSON, HTML, Markdown, Profiles string
}

// RegisterFlags declares the flags and their defaults.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.Var((*words)(&c.Modes), "mode", "modes to compare, separated by commas: "+strings.Join(modeNames(), ", ")+", each with +unary and +h2 if wanted, or all")
	fs.BoolVar(&c.Controls, "controls", false, "also compare unary calls, and JSON and Protobuf over HTTP/2")
	fs.StringVar(&c.Workload.Kind, "workload", "orders", "kind of webhooks: "+strings.Join(load.Kinds, ", "))
	fs.IntVar(&c.Workload.BodyBytes, "body-bytes", 0, fmt.Sprintf("size of each body in bytes; %d if it is not given; not with --workload provider, whose payloads determine it", load.MinBodyBytes))
	fs.Var((*numbers)(&c.Concurrency), "concurrency", "connections of a closed loop, each of which sends its next webhook when the last is answered; several numbers, separated by commas, are measured in turn; 64 unless --rate is given")
	fs.Var((*numbers)(&c.Rates), "rate", "webhooks per second of an open loop, which are sent whether or not the earlier ones are answered; several as with --concurrency")
	fs.IntVar(&c.Connections, "connections", 256, "connections of an open loop")
	fs.DurationVar(&c.Duration, "duration", 5*time.Second, "time to measure each mode under each load in each round")
	fs.DurationVar(&c.WarmUp, "warm-up", 2*time.Second, "time to send webhooks before measuring")
	fs.IntVar(&c.Rounds, "rounds", 3, "number of rounds, in each of which every mode is measured")
	fs.DurationVar(&c.Timeout, "timeout", 15*time.Second, "time to wait for an answer")
	fs.BoolVar(&c.FindMax, "find-max", false, "find the highest rate that each mode sustains")
	fs.DurationVar(&c.P99Limit, "p99-limit", 25*time.Millisecond, "largest 99th percentile of a sustained rate, with --find-max")
	fs.StringVar(&c.Base, "base", "", "file of another build of app to compare with: each mode takes turns with the same mode of that build")
	fs.StringVar(&c.Target, "target", "", "URL of the ingest listener of a running deployment to measure, instead of starting one")
	fs.StringVar(&c.TargetAPI, "target-api", "", "URL of the target's public API, to check the result")
	fs.Var((*words)(&c.TargetAdmins), "target-admin", "URLs of the target's admin listeners, separated by commas, to read the metrics")
	fs.StringVar(&c.DatabaseURL, "database-url", "", "PostgreSQL database to use and fill, instead of SQLite")
	fs.Func("database-url-file", "file with the URL of the PostgreSQL database, instead of --database-url", func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read database-url-file: %w", err)
		}
		if c.DatabaseURL = strings.TrimSpace(string(content)); c.DatabaseURL == "" {
			return fmt.Errorf("database-url-file %s is empty: write the URL into it", path)
		}
		return nil
	})
	fs.StringVar(&c.Brokers, "kafka-brokers", "", "Kafka brokers to use, separated by commas, instead of the embedded one")
	fs.StringVar(&c.OrdersTopic, "kafka-orders-topic", "bench.orders", "existing topic for orders, with --kafka-brokers")
	fs.StringVar(&c.DisputesTopic, "kafka-disputes-topic", "bench.disputes", "existing topic for disputes, with --kafka-brokers")
	fs.StringVar(&c.JSON, "json", "", "file for the report as JSON, which app bench compare reads")
	fs.StringVar(&c.HTML, "html", "", "file for the report as a page with plots")
	fs.StringVar(&c.Markdown, "markdown", "", "file for the report as Markdown tables")
	fs.StringVar(&c.Profiles, "profiles", "", "directory for CPU profiles of the roles; recording them uses some processor time")
}

// complete sets the defaults that depend on other flags, validates the flags and
// returns the variants to compare.
func (c *Config) complete() ([]Variant, error) {
	if len(c.Concurrency)+len(c.Rates) == 0 && !c.FindMax {
		c.Concurrency = []int{64}
	}
	c.Workload = c.Workload.Complete()
	if err := errors.Join(c.Workload.Validate(), c.checkNumbers(), c.checkTarget()); err != nil {
		return nil, err
	}
	if c.Target != "" {
		return []Variant{{Name: "target"}}, nil
	}
	variants, err := parseVariants(c.Modes, c.Controls)
	if c.Base != "" {
		variants = withBase(variants)
	}
	return variants, err
}

func (c *Config) checkNumbers() error {
	for _, n := range c.Concurrency {
		if n < 1 || n > 1024 {
			return fmt.Errorf("concurrency is %d: choose from 1 to 1024 connections", n)
		}
	}
	for _, rate := range c.Rates {
		if rate < 1 || rate > 1_000_000 {
			return fmt.Errorf("rate is %d: choose from 1 to 1000000 webhooks per second", rate)
		}
	}
	switch {
	case c.Connections < 1 || c.Connections > 1024:
		return fmt.Errorf("connections is %d: choose from 1 to 1024", c.Connections)
	case c.Duration < 100*time.Millisecond || c.Duration > 5*time.Minute:
		return fmt.Errorf("duration is %s: choose from 100ms to 5m", c.Duration)
	case c.WarmUp < 0 || c.WarmUp > 5*time.Minute:
		return fmt.Errorf("warm-up is %s: choose from 0s to 5m", c.WarmUp)
	case c.Rounds < 1 || c.Rounds > 100:
		return fmt.Errorf("rounds is %d: choose from 1 to 100", c.Rounds)
	case c.Timeout < 100*time.Millisecond || c.Timeout > 5*time.Minute:
		return fmt.Errorf("timeout is %s: choose from 100ms to 5m", c.Timeout)
	case c.P99Limit <= 0:
		return fmt.Errorf("p99-limit is %s: choose more than 0s", c.P99Limit)
	}
	return nil
}

func (c *Config) checkTarget() error {
	switch {
	case c.Target == "" && (c.TargetAPI != "" || len(c.TargetAdmins) > 0):
		return errors.New("--target-api and --target-admin need --target")
	case c.Target == "":
		return nil
	case len(c.Modes) > 0 || c.Controls || c.Base != "" || c.DatabaseURL != "" || c.Brokers != "":
		return errors.New("the build, mode, database and brokers of a target are fixed: leave out --base, --mode, --controls, --database-url and --kafka-brokers")
	}
	_, err := load.NewTarget(c.Target)
	return err
}

// words is a flag whose value is a list, separated by commas.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }

func (w *words) Set(text string) error {
	*w = nil
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*w = append(*w, word)
		}
	}
	return nil
}

// numbers is a flag whose value is a list of integers, separated by commas.
type numbers []int

func (n *numbers) String() string {
	var texts []string
	for _, number := range *n {
		texts = append(texts, strconv.Itoa(number))
	}
	return strings.Join(texts, ",")
}

func (n *numbers) Set(text string) error {
	*n = nil
	for word := range strings.SplitSeq(text, ",") {
		number, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return fmt.Errorf("%q is not an integer: write for example 64 or 64,256", word)
		}
		*n = append(*n, number)
	}
	return nil
}
