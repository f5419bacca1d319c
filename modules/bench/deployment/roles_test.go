package deployment

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestRoles(t *testing.T) {
	want := map[payments.Mode]string{
		payments.Direct: "[all]", payments.HTTP: "[api ingest]", payments.Protobuf: "[api ingest]", payments.GRPC: "[api ingest]", payments.Kafka: "[broker api ingest]",
	}
	for _, mode := range payments.Modes {
		if got := fmt.Sprint(Spec{Mode: mode}.roles()); got != want[mode] {
			t.Errorf("roles of mode %s = %s, want %q", mode, got, want[mode])
		}
	}
	if got := fmt.Sprint(Spec{Mode: "kafka", Kafka: Kafka{Brokers: "127.0.0.1:9092"}}.roles()); got != "[api ingest]" {
		t.Errorf("roles of mode kafka with a cluster = %s, want [api ingest]", got)
	}
}

func TestArguments(t *testing.T) {
	servers := map[string]string{"internal": "http://127.0.0.1:7", "broker": "127.0.0.1:8"}
	for _, c := range []struct {
		spec Spec
		role role
		want string
		not  string
	}{
		{Spec{Mode: "http", Unary: true, HTTP2: true}, ingest, "--mode http --batch=false --ingest-addr 127.0.0.1:0 --api-url http://127.0.0.1:7 --api-http2", "kafka"},
		{Spec{Mode: "http"}, ingest, "--api-url http://127.0.0.1:7", "--batch"},
		{Spec{Mode: "http", Dir: "/d", Unary: true}, api, "--data-dir /d/data --mode http --batch=false", "--api-http2"},
		{Spec{Mode: "kafka"}, ingest, "--kafka-brokers 127.0.0.1:8", "topic"},
		{Spec{Mode: "kafka", Dir: "/d"}, broker, "--data-dir /d/data --broker-addr 127.0.0.1:0", "--mode"},
		{Spec{Mode: "kafka", Kafka: Kafka{"b:1,c:2", "o", "d"}}, api, "--kafka-brokers b:1,c:2 --kafka-group payrelay-bench --kafka-orders-topic o --kafka-disputes-topic d", "127.0.0.1:8"},
	} {
		got := strings.Join(c.spec.args(c.role, servers), " ")
		if !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("args of %s for %+v = %s, want %q and not %q", c.role, c.spec, got, c.want, c.not)
		}
	}
}

func TestDatabaseURLIsNotAnArgument(t *testing.T) {
	t.Setenv("PGPASSWORD", "secret")
	t.Setenv("WEBHOOK_MODE", "direct")
	spec := Spec{Mode: "grpc", DatabaseURL: "postgres://u:p@127.0.0.1/b"}
	if args := spec.args(api, nil); strings.Contains(strings.Join(args, " "), "postgres") {
		t.Errorf("args = %v, want them without the database URL, which any user can read", args)
	}
	env := spec.environment(api)
	if !slices.Contains(env, "DATABASE_URL="+spec.DatabaseURL) || !slices.Contains(env, "PGPASSWORD=secret") {
		t.Errorf("environment of api = %v, want the database URL and PGPASSWORD", env)
	}
	if strings.Contains(strings.Join(env, " "), "WEBHOOK_MODE") {
		t.Errorf("environment of api = %v, want it without WEBHOOK_MODE", env)
	}
	if env := (Spec{Mode: "grpc"}).environment(api); strings.Contains(strings.Join(env, " "), "DATABASE_URL") {
		t.Errorf("environment of api = %v, want it without DATABASE_URL", env)
	}
}
