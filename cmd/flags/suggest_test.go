package flags

import (
	"slices"
	"testing"
)

func TestMisspelt(t *testing.T) {
	known := []string{"WEBHOOK_MODE", "KAFKA_BROKERS", "INGEST_ADDR", "API_ADDR", "API_TOKEN_FILE", "API_TOKENS_FILE", "SOURCES", "LOG_LEVEL", "DATA_DIR", "DATABASE_URL"}
	environ := []string{
		"WEBHOOK_MOD=grpc", "KAFKA_BROKER=a", "INGEST_ADRR=b", "WEBHOK_MODE=c", "SOURCE=d", "DATABSE_URL=e", "API_ADRD=f", "KAFKA_BROKR=o",
		"WEBHOOK_MODE=http", "API_TOKEN_FILE=g", // they are right
		"KAFKA_HEAP_OPTS=-Xmx1g", "LOG_DIR=h", "HOME=i", "LANG=j", "DATE=k", "API_KEY=l", "PATH=m", "SOURCED_FROM=n",
		"KAFKA_BROKERZ=", "empty",
	}
	want := []Misspelling{
		{"API_ADRD", "API_ADDR"}, {"DATABSE_URL", "DATABASE_URL"}, {"INGEST_ADRR", "INGEST_ADDR"}, {"KAFKA_BROKER", "KAFKA_BROKERS"}, {"KAFKA_BROKR", "KAFKA_BROKERS"},
		{"WEBHOK_MODE", "WEBHOOK_MODE"}, {"WEBHOOK_MOD", "WEBHOOK_MODE"},
	}
	if got := Misspelt(environ, known); !slices.Equal(got, want) {
		t.Errorf("Misspelt() = %v, want %v", got, want)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"mode", "mode", 0}, {"mdoe", "mode", 1}, {"mod", "mode", 1}, {"moode", "mode", 1}, {"node", "mode", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
