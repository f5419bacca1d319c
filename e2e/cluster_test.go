package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"testing"
)

// setup is how the program is deployed: its mode, and whether all roles are one
// process or each has its own.
type setup struct{ mode, layout string }

const (
	oneProcess = "all"
	split      = "split"
)

var modes = []string{"kafka", "http", "protobuf", "grpc", "direct"}

// setups are all that there are: direct has no wire that could be split.
func setups() []setup {
	var all []setup
	for _, mode := range modes {
		all = append(all, setup{mode, oneProcess})
		if mode != "direct" {
			all = append(all, setup{mode, split})
		}
	}
	return all
}

func isSplit(s setup) bool { return s.layout == split }

// answersVerdict says that a webhook is answered with its verdict, and not only
// with the promise of one.
func (s setup) answersVerdict() bool { return s.mode != "kafka" }

// roles are the processes of the deployment, in the order in which they start.
func (s setup) roles() []string {
	switch {
	case s.layout == oneProcess:
		return []string{"all"}
	case s.mode == "kafka":
		return []string{"broker", "api", "ingest"}
	default:
		return []string{"api", "ingest"}
	}
}

// inEvery runs a test as <mode>/<layout> in each of the setups that are wanted.
func inEvery(t *testing.T, wanted func(setup) bool, test func(t *testing.T, s setup)) {
	t.Parallel()
	for _, mode := range modes {
		of := slices.DeleteFunc(setups(), func(s setup) bool { return s.mode != mode || !wanted(s) })
		if len(of) == 0 {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			for _, s := range of {
				t.Run(s.layout, func(t *testing.T) {
					t.Parallel()
					test(t, s)
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
}

// impatient makes the edge give up soon, for tests that make it wait in vain.
var impatient = []string{"--api-timeout", "2s", "--ingest-timeout", "4s"}

// cluster is a deployment: processes that know each other, and their data.
type cluster struct {
	setup
	options
	dir string
	// addrs are the addresses of listeners; they outlive the processes.
	addrs   map[string]string
	running map[string]*process
}

func startCluster(t *testing.T, s setup, o options) *cluster {
	t.Helper()
	c := &cluster{setup: s, options: o, dir: t.TempDir(), addrs: make(map[string]string), running: make(map[string]*process)}
	for _, role := range s.roles() {
		c.start(t, role)
	}
	return c
}

// start runs a role, or runs it again: with the same data, at the same addresses.
func (c *cluster) start(t *testing.T, role string) {
	t.Helper()
	p := launch(t, "serve "+role, c.env, c.args(role)...)
	p.awaitReady(t)
	c.running[role] = p
	admin := p.url("admin")
	eventually(t, startWithin, role+" is ready by its readiness probe", func() bool {
		answer, err := get(admin + "/readyz")
		return err == nil && answer.status == 200
	})
}

func (c *cluster) args(role string) []string {
	args := []string{"serve", role, "--log-format", "json", "--admin-addr", c.addr("admin of " + role)}
	if role != "broker" {
		args = append(args, "--mode", c.mode)
		args = append(args, c.wire...)
	}
	if role != "ingest" {
		args = append(args, "--data-dir", c.dir)
	}
	switch role {
	case "all":
		args = append(args, "--api-addr", c.addr("api"), "--internal-addr", c.addr("internal"), "--ingest-addr", c.addr("ingest"))
		return append(args, c.edge...)
	case "broker":
		return append(args, "--broker-addr", c.addr("broker"))
	case "api":
		args = append(args, "--api-addr", c.addr("api"), "--internal-addr", c.addr("internal"))
		if c.mode == "kafka" {
			args = append(args, "--kafka-brokers", c.addr("broker"), "--kafka-instance-id", "api-1")
		}
		return args
	default:
		args = append(args, "--ingest-addr", c.addr("ingest"), "--api-url", "http://"+c.addr("internal"))
		if c.mode == "kafka" {
			args = append(args, "--kafka-brokers", c.addr("broker"))
		}
		return append(args, c.edge...)
	}
}

func (c *cluster) addr(listener string) string {
	if c.addrs[listener] == "" {
		c.addrs[listener] = unusedAddr()
	}
	return c.addrs[listener]
}

// url is where a role's listener is, by the role's own words.
func (c *cluster) url(listener string) string {
	for _, p := range c.running {
		if url := p.url(listener); url != "" {
			return url
		}
	}
	return ""
}

// A port that a process comes back to must not go to anybody else meanwhile. The
// system gives out ports from 32768 on, so these are below, and each is used by
// one test only.
const firstPort, lastPort = 20000, 32000

var nextPort atomic.Int64

func init() { nextPort.Store(rand.Int64N(lastPort - firstPort)) }

func unusedAddr() string {
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%(lastPort-firstPort))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close() // a listener without connections leaves nothing behind
			return addr
		}
	}
}
