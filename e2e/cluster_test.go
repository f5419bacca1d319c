package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
)

// setup is how the program is deployed: its mode, the engines that it stands on,
// and how many processes it is.
type setup struct{ mode, lane, layout string }

const (
	// embedded is SQLite and the embedded broker, production PostgreSQL and Apache
	// Kafka.
	embedded   = "embedded"
	production = "production"

	// oneProcess has all roles, split gives each role a process, and several gives
	// it more than one, as far as the engines let it.
	oneProcess = "all"
	split      = "split"
	several    = "several"
)

var (
	modes = []string{"kafka", "http", "protobuf", "grpc", "direct"}
	lanes = []string{embedded, production}
)

// layouts are those of a mode: direct has no wire that could be split.
func layouts(mode string) []string {
	if mode == "direct" {
		return []string{oneProcess}
	}
	return []string{oneProcess, split, several}
}

func isSplit(s setup) bool { return s.layout == split }

// answersVerdict says that a webhook is answered with its verdict, and not only
// with the promise of one.
func (s setup) answersVerdict() bool { return s.mode != "kafka" }

// members are the processes of the deployment, in the order in which they start.
// The second of a role is called role-2, and so on.
func (s setup) members() []string {
	if s.layout == oneProcess {
		return []string{"all"}
	}
	var names []string
	if s.mode == "kafka" && s.lane == embedded {
		names = append(names, "broker")
	}
	return slices.Concat(names, numbered("api", s.count("api")), numbered("ingest", s.count("ingest")))
}

// count is how many processes a role has. SQLite has one writer.
func (s setup) count(role string) int {
	switch {
	case s.layout != several, role == "api" && s.lane == embedded:
		return 1
	case role == "api" && s.mode == "kafka":
		return 3
	default:
		return 2
	}
}

func numbered(role string, n int) []string {
	names := []string{role}
	for i := 2; i <= n; i++ {
		names = append(names, fmt.Sprint(role, "-", i))
	}
	return names
}

// roleOf is the role of a member, and the rest of its name.
func roleOf(member string) (role, suffix string) {
	role, number, found := strings.Cut(member, "-")
	if !found {
		return role, ""
	}
	return role, "-" + number
}

// inEvery runs a test as <mode>/<lane>/<layout> in each of the setups that are
// wanted.
func inEvery(t *testing.T, wanted func(setup) bool, test func(t *testing.T, s setup)) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			for _, lane := range lanes {
				t.Run(lane, func(t *testing.T) {
					t.Parallel()
					needLane(t, lane)
					for _, layout := range layouts(mode) {
						if s := (setup{mode, lane, layout}); wanted(s) {
							t.Run(layout, func(t *testing.T) {
								t.Parallel()
								test(t, s)
							})
						}
					}
				})
			}
		})
	}
}

func everySetup(setup) bool { return true }

// options are what a test changes about a deployment.
type options struct {
	// wire is flags for every role but the broker; edge for the role that takes
	// webhooks in.
	wire, edge []string
	env        []string
	// own gives the deployment servers that the test may strike, where otherwise
	// it shares them with others; nodes is of how many Kafka then has, if not one.
	own   bool
	nodes int
}

// impatient makes the edge give up soon, for tests that make it wait in vain.
var impatient = []string{"--api-timeout", "2s", "--ingest-timeout", "4s"}

// cluster is a deployment: processes that know each other, and their data.
type cluster struct {
	setup
	options
	backing
	dir string
	// addrs are the addresses of listeners; they outlive the processes.
	addrs   map[string]string
	running map[string]*process
}

func startCluster(t *testing.T, s setup, o options) *cluster {
	t.Helper()
	c := prepareCluster(t, s, o)
	for _, member := range s.members() {
		c.start(t, member)
	}
	return c
}

// prepareCluster has all that a deployment needs, and nothing of it started but
// the servers.
func prepareCluster(t *testing.T, s setup, o options) *cluster {
	t.Helper()
	c := &cluster{setup: s, options: o, dir: t.TempDir(), addrs: make(map[string]string), running: make(map[string]*process)}
	if s.lane == production {
		c.backing = startBacking(t, s, o)
	}
	return c
}

// start runs a member, or runs it again: with the same data, at the same
// addresses.
func (c *cluster) start(t *testing.T, member string) {
	t.Helper()
	if server := c.servers[member]; server != nil {
		check(t, server.Start())
		return
	}
	p := launch(t, "serve "+member, c.env, c.args(member)...)
	c.running[member] = p
	eventually(t, startWithin, member+" is ready by its readiness probe", func() bool {
		_, ok := program.Probe(p.URL("admin") + "/readyz")
		return ok
	})
}

// struck is a member that is to be killed, or frozen for a while.
func (c *cluster) struck(member string) strikable {
	if s := c.servers[member]; s != nil {
		return s
	}
	return c.running[member]
}

func (c *cluster) kill(t *testing.T, member string) {
	t.Helper()
	check(t, c.struck(member).Kill())
}

func (c *cluster) terminate(t *testing.T, member string) {
	t.Helper()
	c.running[member].terminate(t)
}

func (c *cluster) freeze(t *testing.T, member string) {
	t.Helper()
	check(t, c.struck(member).Freeze())
}

// thaw lets a frozen member go on.
func (c *cluster) thaw(t *testing.T, member string) {
	t.Helper()
	check(t, c.struck(member).Thaw())
}

// check ends the test on an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) args(member string) []string {
	role, suffix := roleOf(member)
	args := []string{"serve", role, "--log-format", "json", "--admin-addr", c.addr("admin of " + member)}
	if role != "broker" {
		args = append(args, "--mode", c.mode)
		args = append(args, c.wire...)
		args = append(args, c.kafkaArgs(member)...)
	}
	if role != "ingest" {
		args = append(args, c.dataArgs()...)
	}
	if role == "broker" {
		return append(args, "--broker-addr", c.addr("broker"))
	}
	if role == "api" || role == "all" {
		args = append(args, "--api-addr", c.addr("api"+suffix), "--internal-addr", c.addr("internal"+suffix))
	}
	if role == "ingest" || role == "all" {
		args = append(args, "--ingest-addr", c.addr("ingest"+suffix))
		args = append(args, c.edge...)
	}
	if role == "ingest" {
		args = append(args, "--api-url", "http://"+c.addr("internal"+c.partner(suffix)))
	}
	return args
}

// partner is the api process that an ingest process calls: where there are as many
// of them, each has its own.
func (c *cluster) partner(suffix string) string {
	if c.count("api") < 2 {
		return ""
	}
	return suffix
}

// dataArgs say where the database is, to roles and to commands.
func (c *cluster) dataArgs() []string {
	args := []string{"--data-dir", c.dir}
	if c.database != "" {
		args = append(args, "--database-url", c.database)
	}
	return args
}

// kafkaArgs say where the topics are, unless that is inside of the process.
func (c *cluster) kafkaArgs(member string) []string {
	role, _ := roleOf(member)
	if c.mode != "kafka" || c.lane == embedded && role == "all" {
		return nil
	}
	args := []string{"--kafka-brokers", c.addr("broker")}
	if c.lane == production {
		args = slices.Concat([]string{"--kafka-brokers", c.brokers}, c.topics.Flags())
	}
	if role != "ingest" {
		args = append(args, "--kafka-instance-id", member)
	}
	return args
}

func (c *cluster) addr(listener string) string {
	if c.addrs[listener] == "" {
		c.addrs[listener] = servers.FreeAddr()
	}
	return c.addrs[listener]
}

// url is where a listener of that name is, by the words of one that runs.
func (c *cluster) url(listener string) string {
	for _, member := range c.members() {
		p := c.running[member]
		if p == nil || p.Gone() {
			continue
		}
		if url := p.URL(listener); url != "" {
			return url
		}
	}
	return ""
}

// ingests are the addresses to which webhooks can be sent.
func (c *cluster) ingests() []string {
	var urls []string
	for _, member := range c.members() {
		if role, suffix := roleOf(member); role == "ingest" || role == "all" {
			urls = append(urls, "http://"+c.addr("ingest"+suffix))
		}
	}
	return urls
}
