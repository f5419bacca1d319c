package bench

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/payrelay/payrelay/modules/bench/load"
)

// Config says what is compared, under which load, and where the figures go. Its
// flags have no environment variables: a benchmark must not find the database of
// somebody's deployment by accident.
type Config struct {
	// Modes are compared, each by a name that variants.go explains.
	Modes []string
	// Controls adds the shapes that tell serialisation, protocol and batching apart.
	Controls bool
	Workload load.Workload
	// Concurrency are closed loops, by connections; Rates open loops, by webhooks a
	// second. Connections is what an open loop has.
	Concurrency []int
	Rates       []int
	Connections int
	// Duration is that of one run, WarmUp that of the one before it.
	Duration, WarmUp time.Duration
	Rounds           int
	// Timeout is how long the sender waits for an answer.
	Timeout time.Duration
	// FindMax looks for the highest rate whose 99th percentile is within P99Limit.
	FindMax  bool
	P99Limit time.Duration

	// Base is another build of the program, to be compared with.
	Base string

	// Target is the ingest listener of a running deployment, which is then driven
	// instead of one of our own. TargetAPI and TargetAdmins are its other listeners.
	Target, TargetAPI string
	TargetAdmins      []string

	// DatabaseURL and Brokers are used instead of the embedded parts.
	DatabaseURL                string
	Brokers                    string
	OrdersTopic, DisputesTopic string

	// JSON, HTML and Markdown are files to write, Profiles is a directory.
	JSON, HTML, Markdown, Profiles string
}

// RegisterFlags declares the flags and their defaults on fs.
func (c *Config) RegisterFlags(fs *flag.FlagSet) {
	fs.Var((*words)(&c.Modes), "mode", "compare these modes, separated by commas: direct, kafka, http, protobuf, grpc, each with +unary or +h2 if wanted, or all")
	fs.BoolVar(&c.Controls, "controls", false, "compare unary calls, and JSON and Protobuf over HTTP/2, too")
	fs.StringVar(&c.Workload.Kind, "workload", "orders", "send "+strings.Join(load.Kinds, ", "))
	fs.IntVar(&c.Workload.BodyBytes, "body-bytes", 0, fmt.Sprintf("make each body so large; %d unless given; not with --workload provider, whose events have sizes of their own", load.MinBodyBytes))
	fs.Var((*numbers)(&c.Concurrency), "concurrency", "send over so many connections, each its next webhook when the last is answered; several, separated by commas, one after the other; 64 unless --rate is given")
	fs.Var((*numbers)(&c.Rates), "rate", "send so many webhooks a second, answered or not, several rates as with --concurrency")
	fs.IntVar(&c.Connections, "connections", 256, "have so many connections when sending at a rate")
	fs.DurationVar(&c.Duration, "duration", 5*time.Second, "measure for so long, for each mode, load and round")
	fs.DurationVar(&c.WarmUp, "warm-up", 2*time.Second, "send for so long before")
	fs.IntVar(&c.Rounds, "rounds", 3, "let the modes take turns so often")
	fs.DurationVar(&c.Timeout, "timeout", 15*time.Second, "wait so long for an answer")
	fs.BoolVar(&c.FindMax, "find-max", false, "look for the highest rate that each mode keeps up")
	fs.DurationVar(&c.P99Limit, "p99-limit", 25*time.Millisecond, "with --find-max, the slowest 99th percentile that is good enough")
	fs.StringVar(&c.Base, "base", "", "compare with this file, another build of app: each mode takes turns with the same of the other build")
	fs.StringVar(&c.Target, "target", "", "drive the running deployment whose ingest listener has this URL, instead of starting one")
	fs.StringVar(&c.TargetAPI, "target-api", "", "with --target, check the result at the public API at this URL")
	fs.Var((*words)(&c.TargetAdmins), "target-admin", "with --target, read the metrics at these admin URLs, separated by commas")
	fs.StringVar(&c.DatabaseURL, "database-url", "", "use this PostgreSQL database, which the runs fill, instead of SQLite")
	fs.StringVar(&c.Brokers, "kafka-brokers", "", "use these Kafka brokers, separated by commas, instead of the embedded one")
	fs.StringVar(&c.OrdersTopic, "kafka-orders-topic", "bench.orders", "with --kafka-brokers, the topic for orders; it must exist")
	fs.StringVar(&c.DisputesTopic, "kafka-disputes-topic", "bench.disputes", "with --kafka-brokers, the topic for disputes; it must exist")
	fs.StringVar(&c.JSON, "json", "", "write the report to this file, for machines and for app bench compare")
	fs.StringVar(&c.HTML, "html", "", "write the report to this file, as a page with plots")
	fs.StringVar(&c.Markdown, "markdown", "", "write the report to this file, as tables for a README")
	fs.StringVar(&c.Profiles, "profiles", "", "write CPU profiles of the roles to this directory; taking them costs a little")
}

// complete fills in what depends on other flags and refuses what cannot be done.
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
			return fmt.Errorf("rate is %d: choose from 1 to 1000000 webhooks a second", rate)
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
		return fmt.Errorf("p99-limit is %s: it must be more than 0", c.P99Limit)
	}
	return nil
}

func (c *Config) checkTarget() error {
	switch {
	case c.Target == "" && (c.TargetAPI != "" || len(c.TargetAdmins) > 0):
		return errors.New("target-api and target-admin need a target")
	case c.Target == "":
		return nil
	case len(c.Modes) > 0 || c.Controls || c.Base != "" || c.DatabaseURL != "" || c.Brokers != "":
		return errors.New("a target has its build, mode, database and brokers already: leave out --base, --mode, --controls, --database-url and --kafka-brokers")
	}
	_, err := load.NewTarget(c.Target)
	return err
}

// words is a flag that is a list, separated by commas.
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

// numbers is a flag that is a list of whole numbers.
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
			return fmt.Errorf("%q is no whole number", word)
		}
		*n = append(*n, number)
	}
	return nil
}
