package deployment

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/payrelay/payrelay/modules/payments"
)

// role is the argument of app serve.
type role string

const (
	all    role = "all"
	broker role = "broker"
	api    role = "api"
	ingest role = "ingest"
)

// roles returns the processes of a mode in the order in which they start.
func (s Spec) roles() []role {
	switch {
	case s.Mode == payments.Direct:
		return []role{all}
	case s.Mode == payments.Kafka && s.Kafka.Brokers == "":
		return []role{broker, api, ingest}
	default:
		return []role{api, ingest}
	}
}

// args returns the command line of a role. servers are the addresses of the roles
// that started before it.
func (s Spec) args(r role, servers map[string]string) []string {
	args := []string{"serve", string(r), "--log-format", "json", "--admin-addr", "127.0.0.1:0"}
	if r != ingest {
		args = append(args, "--data-dir", filepath.Join(s.Dir, "data"))
	}
	if r == broker {
		return append(args, "--broker-addr", "127.0.0.1:0", "--kafka-group", group)
	}
	args = append(args, "--mode", string(s.Mode))
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
	switch {
	case s.Mode != payments.Kafka:
		return args
	case s.Kafka.Brokers == "":
		return append(args, "--kafka-brokers", servers["broker"], "--kafka-group", group)
	default:
		return append(args, "--kafka-brokers", s.Kafka.Brokers, "--kafka-group", group,
			"--kafka-orders-topic", s.Kafka.OrdersTopic, "--kafka-disputes-topic", s.Kafka.DisputesTopic)
	}
}

// group is the consumer group of all benchmarks, so that each starts at the offset
// where the last one stopped.
const group = "payrelay-bench"

// inherited are the environment variables that the roles get. None of them
// configures payrelay.
var inherited = []string{"PATH", "HOME", "TMPDIR", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GODEBUG", "GORACE"}

// environment returns the environment of a role. It holds the database's URL, which
// may contain a password, because any user of the machine can read command lines.
func (s Spec) environment(r role) []string {
	var env []string
	for _, name := range inherited {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for _, variable := range os.Environ() { // such as PGPASSFILE
		if s.DatabaseURL != "" && strings.HasPrefix(variable, "PG") {
			env = append(env, variable)
		}
	}
	if s.DatabaseURL != "" && (r == all || r == api) {
		env = append(env, "DATABASE_URL="+s.DatabaseURL)
	}
	return env
}
