package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

// After a failover the old primary may live on as a standby, with connections to it. A
// write detects that, and the next one goes to the server that can be written to.
func TestWritesFollowAFailover(t *testing.T) {
	first, second := ownServer(t).URL(), ownServer(t).URL()
	old, fresh := open(t, first), open(t, second)
	for _, server := range []*postgres.Store{old, fresh} {
		if err := server.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	hosts := parseURL(t, first).Host + "," + parseURL(t, second).Host
	store := open(t, strings.Replace(first, parseURL(t, first).Host, hosts, 1))
	put := func(n int) error {
		letter := &payments.DeadLetter{Key: payments.Key{Source: "p", EventID: fmt.Sprint(n)}, CreatedAt: storetest.TrafficStart}
		return store.Commit(t.Context(), &payments.Changes{DeadLetters: []*payments.DeadLetter{letter}})
	}
	if err := put(0); err != nil {
		t.Fatal(err)
	}
	execute(t, first, "ALTER SYSTEM SET default_transaction_read_only = on")
	execute(t, first, "SELECT pg_reload_conf()")
	refused := 0
	for n := 1; len(lettersOf(t, fresh)) == 0; n++ {
		if err := put(n); err != nil {
			refused++
		}
		if n > 1000 {
			t.Fatalf("%d of %d writes were refused, want one to go to the other server", refused, n)
		}
		<-time.After(10 * time.Millisecond) // the server reads its settings soon
	}
	if refused != 1 {
		t.Errorf("%d writes were refused, want only the first one", refused)
	}
	// Reads go to the new primary as well.
	letters, err := store.DeadLetters(t.Context(), payments.DeadLetterQuery{Limit: 10, WithPayload: true})
	if err != nil || len(letters) != 1 || letters[0].Key.EventID == "0" {
		t.Errorf("DeadLetters = %v, %v, want those of the new primary", letters, err)
	}
}

func lettersOf(t *testing.T, store *postgres.Store) []*payments.DeadLetter {
	t.Helper()
	letters, err := store.DeadLetters(t.Context(), payments.DeadLetterQuery{Limit: 10, WithPayload: true})
	if err != nil {
		t.Fatal(err)
	}
	return letters
}
