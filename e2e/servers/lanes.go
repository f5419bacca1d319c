package servers

import (
	"os"
	"strings"
	"testing"
)

// The environment of the tests, which the command in the folder with sets.
const (
	// LanesVariable names the lanes that have to run. A test of the production
	// lane fails where it cannot run if "production" is among them; otherwise it
	// is skipped.
	LanesVariable = "PAYRELAY_TEST_LANES"
	// PostgresVariable is the URL of a server on which databases may be created.
	PostgresVariable = "PAYRELAY_TEST_POSTGRES"
	// KafkaVariable names brokers on which topics may be created, as host:port,…
	KafkaVariable = "PAYRELAY_TEST_KAFKA"
	// KafkaLibsVariable is the directory of Kafka's libraries, for tests that kill
	// a Kafka of their own.
	KafkaLibsVariable = "PAYRELAY_TEST_KAFKA_LIBS"
)

const production = "production"

// Need returns the values of the variables for a test of the production lane. It
// skips the test where one is not set, or fails it where that lane has to run.
func Need(tb testing.TB, variables ...string) []string {
	tb.Helper()
	values := make([]string, len(variables))
	for i, name := range variables {
		values[i] = os.Getenv(name)
		switch {
		case values[i] != "":
		case strings.Contains(os.Getenv(LanesVariable), production):
			tb.Fatalf("%s asks for the lane %s, but %s is not set: run the tests by go run ./e2e/servers/with go test ./...", LanesVariable, production, name)
		default:
			tb.Skipf("%s is not set: to run this test on real servers, go run ./e2e/servers/with go test ./...", name)
		}
	}
	return values
}
