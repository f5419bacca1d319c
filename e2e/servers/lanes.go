package servers

import (
	"os"
	"strings"
	"testing"
)

// The environment variables of the tests, which the command with sets.
const (
	// LanesVariable lists lanes that must run. If it contains "production", a test of
	// that lane fails if its servers are missing; otherwise the test is skipped.
	LanesVariable = "PAYRELAY_TEST_LANES"
	// PostgresVariable is the URL of a PostgreSQL server that tests create databases on.
	PostgresVariable = "PAYRELAY_TEST_POSTGRES"
	// PgBouncerVariable is the host:port of a PgBouncer in transaction mode that has all
	// databases of that server.
	PgBouncerVariable = "PAYRELAY_TEST_PGBOUNCER"
	// KafkaVariable is the brokers that tests create topics on, as host:port,host:port.
	KafkaVariable = "PAYRELAY_TEST_KAFKA"
	// KafkaLibsVariable is the directory of Kafka's libraries, for tests that start a
	// cluster of their own.
	KafkaLibsVariable = "PAYRELAY_TEST_KAFKA_LIBS"
)

const production = "production"

// Need returns the values of the variables for a test of the production lane. If one
// is not set, Need skips the test, or fails it if that lane must run.
func Need(tb testing.TB, variables ...string) []string {
	tb.Helper()
	values := make([]string, len(variables))
	for i, name := range variables {
		values[i] = os.Getenv(name)
		switch {
		case values[i] != "":
		case strings.Contains(os.Getenv(LanesVariable), production):
			tb.Fatalf("%s contains %s, but %s is not set: run the tests by go run ./e2e/servers/with go test ./...", LanesVariable, production, name)
		default:
			tb.Skipf("%s is not set: run this test by go run ./e2e/servers/with go test ./...", name)
		}
	}
	return values
}
