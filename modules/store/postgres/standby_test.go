package postgres_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// A commit that waits for a synchronous standby, which is away, is no commit yet,
// however often the caller gives up and sends it again.
func TestNothingCountsThatNoStandbyHas(t *testing.T) {
	server := ownServer(t)
	store := open(t, withParameters(t, server.URL(), url.Values{"lock_timeout": {"100"}}))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	configure(t, server.URL(), "synchronous_standby_names", "nobody")
	ledger, batch := payments.NewLedger(store), []*payrelayv1.Update{busyUpdate(1)}
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if outcomes, err := ledger.Apply(ctx, batch); err == nil {
			t.Errorf("answered %v, but no standby has it", outcomes)
		}
		cancel()
	}
	configure(t, server.URL(), "synchronous_standby_names", "")
	deadline := time.Now().Add(patience)
	for {
		outcomes, err := ledger.Apply(t.Context(), batch)
		if err == nil {
			if got := outcomes[0].GetVerdict(); got != payrelayv1.Verdict_VERDICT_DUPLICATE {
				t.Errorf("in the end it is %v, want a duplicate of the first attempt", got)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// configure changes a setting of the whole server, and waits until it is in force.
func configure(t *testing.T, serverURL, name, value string) {
	t.Helper()
	execute(t, serverURL, "ALTER SYSTEM SET "+name+" = '"+value+"'")
	execute(t, serverURL, "SELECT pg_reload_conf()")
	deadline := time.Now().Add(patience)
	for got := value + "?"; got != value; {
		withConnection(t, serverURL, func(conn *pgx.Conn) error {
			return conn.QueryRow(t.Context(), "SELECT setting FROM pg_settings WHERE name = $1", name).Scan(&got)
		})
		if time.Now().After(deadline) {
			t.Fatalf("%s is %q, want %q", name, got, value)
		}
	}
}
