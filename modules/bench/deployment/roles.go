package deployment

import (
	"os"
	"strings"
)

// role is what app serve runs.
type role string

const (
	all    role = "all"
	broker role = "broker"
	api    role = "api"
	ingest role = "ingest"
)

// roles are the processes of a mode, in the order in which they start.
func (s Spec) roles() []role {
	switch {
	case s.Mode == "direct":
		return []role{all}
	case s.Mode == "kafka" && s.Kafka.Brokers == "":
		return []role{broker, api, ingest}
	default:
		return []role{api, ingest}
	}
}

// args is the command line of a role; servers are where those before it listen.
func (s Spec) args(r role, servers map[string]string) []string {
	args := []string{"serve", string(r), "--log-format", "json", "--admin-addr", "127.0.0.1:0"}
	if r != ingest {
		args = append(args, "--data-dir", s.dataDir())
	}
	if r == broker {
		return append(args, "--broker-addr", "127.0.0.1:0", "--kafka-group", group)
	}
	args = append(args, "--mode", s.Mode)
	if s.Unary {
		args = append(args, "--batch=false")
	}
	if r != ingest {
		args = append(args, "--api-addr", "127.0.0.1:0", "--internal-addr", "127.0.0.1:0")
	}
	if r != api {
		args = append(args, "--ingest-addr", "127.0.0.1:0")
	}
	if r == ingest {
		args = append(args, "--api-url", servers["internal"])
		if s.HTTP2 {
			args = append(args, "--api-http2")
		}
	}
	return append(args, s.kafkaArgs(servers)...)
}

// group is the consumer group of all runs: each begins where the last one ended.
const group = "payrelay-bench"

func (s Spec) kafkaArgs(servers map[string]string) []string {
	if s.Mode != "kafka" {
		return nil
	}
	if s.Kafka.Brokers == "" {
		return []string{"--kafka-brokers", servers["broker"], "--kafka-group", group}
	}
	return []string{"--kafka-brokers", s.Kafka.Brokers, "--kafka-group", group,
		"--kafka-orders-topic", s.Kafka.OrdersTopic, "--kafka-disputes-topic", s.Kafka.DisputesTopic}
}

// inherited are the variables that decide nothing about the deployment but how
// the Go runtime works.
var inherited = []string{"PATH", "HOME", "TMPDIR", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "GORACE"}

// environment is what a role is told beside its command line, which everybody on
// the machine can read: the database's URL may have a password.
func (s Spec) environment(r role) []string {
	var env []string
	for _, name := range inherited {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for _, variable := range os.Environ() { // PGPASSFILE and the like
		if s.DatabaseURL != "" && strings.HasPrefix(variable, "PG") {
			env = append(env, variable)
		}
	}
	if s.DatabaseURL != "" && (r == all || r == api) {
		env = append(env, "DATABASE_URL="+s.DatabaseURL)
	}
	return env
}
