package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// A commit that waits for a synchronous standby, which is down, is not confirmed, no
// matter how often the caller gives up and sends it again.
func TestCommitsWithoutAStandbyAreNotConfirmed(t *testing.T) {
	server := ownServer(t)
	store := open(t, withParameters(t, server.URL(), url.Values{"lock_timeout": {"100"}}))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	configure(t, server.URL(), "synchronous_standby_names", "nobody")
	ledger, batch := payments.NewLedger(store), []*payrelayv1.Update{busyUpdate(1)}
	deadline := time.Now().Add(patience)
	for again := 0; again < 3; {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		if outcomes, err := ledger.Apply(ctx, batch); err == nil {
			t.Errorf("Apply = %v without a standby, want an error", outcomes)
		}
		cancel()
		switch { // a busy machine may not come as far as the commit in that time
		case waitingCommits(t, server.URL()) > 0:
			again++
		case time.Now().After(deadline):
			t.Fatal("no commit waits for the standby, want one")
		}
	}
	configure(t, server.URL(), "synchronous_standby_names", "")
	deadline = time.Now().Add(patience)
	for {
		outcomes, err := ledger.Apply(t.Context(), batch)
		if err == nil {
			if got := outcomes[0].GetVerdict(); got != payrelayv1.Verdict_VERDICT_DUPLICATE {
				t.Errorf("the verdict in the end = %v, want a duplicate of the first attempt", got)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Commits that wait for a standby, are given up and sent again do not use up the
// connections of the server.
func TestAbandonedCommitsAreLimited(t *testing.T) {
	server := ownServer(t)
	const connections = 3
	store := open(t, withParameters(t, server.URL(), url.Values{"pool_max_conns": {strconv.Itoa(connections)}}))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	configure(t, server.URL(), "synchronous_standby_names", "nobody")
	ledger := payments.NewLedger(store)
	apply := func(number int, within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		update := busyUpdate(1)
		update.OrderId = fmt.Sprint("lone-", number) // no row of another order to wait for
		update.EventId = update.OrderId
		_, err := ledger.Apply(ctx, []*payrelayv1.Update{update})
		return err
	}
	// The pool replaces a connection 15 seconds after the commit was given up.
	var last error
	number, deadline := 0, time.Now().Add(patience)
	for last == nil || !strings.Contains(last.Error(), "synchronous standby") {
		if last = apply(number, 500*time.Millisecond); last == nil {
			t.Error("Apply succeeds without a standby, want an error")
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d commits wait in the server, and the last error = %v, want one that names the standby", waitingCommits(t, server.URL()), last)
		}
		number++
	}
	if got := waitingCommits(t, server.URL()); got > connections {
		t.Errorf("got %d commits that wait in the server, want at most %d, the connections of the pool", got, connections)
	}
	for _, class := range []error{payments.ErrMisconfigured, payments.ErrUnstorable} {
		if errors.Is(last, class) {
			t.Errorf("%v is %v, want a temporary error", last, class)
		}
	}
	configure(t, server.URL(), "synchronous_standby_names", "")
	for deadline = time.Now().Add(patience); ; {
		err := apply(number, patience)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("when the standby is back: %v", err)
		}
	}
}

// configure changes a setting of the whole server, and waits until it has effect.
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
