package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/batch"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
	"github.com/payrelay/payrelay/modules/store/retention"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

// pooled returns the URL of a database through PgBouncer in transaction mode.
func pooled(tb testing.TB, databaseURL string) string {
	tb.Helper()
	u := parseURL(tb, withParameters(tb, databaseURL, url.Values{"sslmode": {"disable"}}))
	u.Host = servers.Need(tb, servers.PgBouncerVariable)[0]
	return u.String()
}

// migratedPooled returns the URL of a new database through PgBouncer, which was migrated
// through it.
func migratedPooled(tb testing.TB) (databaseURL string, store *postgres.Store) {
	tb.Helper()
	databaseURL = pooled(tb, newDatabase(tb))
	store = open(tb, databaseURL)
	if err := store.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if !store.Pooled() {
		tb.Fatal("Open does not notice that it is behind a pooler")
	}
	return databaseURL, store
}

func TestConformanceBehindAPooler(t *testing.T) {
	servers.Need(t, servers.PgBouncerVariable)
	storetest.Run(t, func(t *testing.T) storetest.Engine {
		databaseURL, _ := migratedPooled(t)
		return engine{databaseURL}
	})
}

func TestCopiesOfSQLiteBehindAPooler(t *testing.T) {
	servers.Need(t, servers.PgBouncerVariable)
	storetest.RunCopies(t, func(t *testing.T) storetest.Copier {
		databaseURL, _ := migratedPooled(t)
		return copier{fileEngine{filepath.Join(t.TempDir(), "payrelay.db")}, engine{databaseURL}}
	})
}

// A connection to the server itself keeps its session.
func TestAServerIsNoPooler(t *testing.T) {
	if _, store := migrated(t); store.Pooled() {
		t.Error("a direct connection is taken for one to a pooler")
	}
}

// Processes behind a pooler, and one that is not, migrate at the same time.
func TestProcessesBehindAPoolerMigrateAtOnce(t *testing.T) {
	databaseURL := newDatabase(t)
	stores := []*postgres.Store{open(t, databaseURL)}
	for range 5 {
		stores = append(stores, open(t, pooled(t, databaseURL)))
	}
	var migrating sync.WaitGroup
	for _, store := range stores {
		migrating.Go(func() {
			if err := store.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := store.Load(t.Context(), ofOrder("o1")); err != nil {
				t.Errorf("after the migration: %v", err)
			}
		})
	}
	migrating.Wait()
}

// Old data is migrated behind a pooler as on a direct connection.
func TestOldDataBehindAPooler(t *testing.T) {
	store := open(t, pooled(t, oldDatabase(t, 1)))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Order(t.Context(), "nothing"); !errors.Is(err, payments.ErrNotFound) {
		t.Error(err)
	}
}

// A lock of a session would stay with a session of the pooler, or be taken twice by it.
func TestOneMaintainsBehindAPooler(t *testing.T) {
	databaseURL, store := migratedPooled(t)
	others := []*postgres.Store{open(t, databaseURL), store}
	session, err := store.Maintain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range others {
		if _, err := other.Maintain(t.Context()); !errors.Is(err, retention.ErrBusy) {
			t.Errorf("Maintain while another session exists = %v, want ErrBusy", err)
		}
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	for _, other := range others {
		again, err := other.Maintain(t.Context())
		if err != nil {
			t.Fatalf("Maintain after the session: %v", err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Nothing of this process stays in the sessions of the pooler, which other programs use.
func TestNothingStaysInSessionsOfThePooler(t *testing.T) {
	databaseURL, store := migratedPooled(t)
	for i := range 40 {
		applyBusy(t, store, []int{i})
	}
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for range 40 {
		var seqscan, timeout, search string
		var statements, locks int
		row := conn.QueryRow(t.Context(), `SELECT current_setting('enable_seqscan'), current_setting('statement_timeout'), current_setting('enable_sort'),
			(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())`)
		if err := row.Scan(&seqscan, &timeout, &search, &statements, &locks); err != nil {
			t.Fatal(err)
		}
		if seqscan != "on" || timeout != "0" || search != "on" || statements != 0 || locks != 0 {
			t.Fatalf("a session has enable_seqscan %s, statement_timeout %s, enable_sort %s, %d statements and %d locks, want the defaults and none",
				seqscan, timeout, search, statements, locks)
		}
	}
}

// The settings apply to each transaction, also those of the URL, and commits are
// synchronous whatever the role has.
func TestSettingsBehindAPooler(t *testing.T) {
	databaseURL := newDatabase(t)
	execute(t, databaseURL, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
	store := open(t, withParameters(t, pooled(t, databaseURL), url.Values{"statement_timeout": {"4321"}}))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, name := range []string{"statement_timeout", "synchronous_commit", "enable_seqscan", "enable_sort", "plan_cache_mode", "lock_timeout"} {
		if err := store.LedgerSetting(t.Context(), name, func(value string) { got[name] = value }); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"statement_timeout": "4321ms", "synchronous_commit": "on", "enable_seqscan": "off", "enable_sort": "off", "plan_cache_mode": "force_generic_plan", "lock_timeout": "2s"}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %q in a transaction of the ledger, want %q", name, got[name], value)
		}
	}
}

// A server behind a pooler that may lose what it has confirmed is refused, also when it
// becomes so while the connections stay open.
func TestServersThatForgetBehindAPooler(t *testing.T) {
	server := ownServer(t)
	dir := t.TempDir()
	pooler, err := servers.StartPgBouncer(dir, server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pooler.Stop(); err != nil {
			t.Error(err)
		}
	})
	u := parseURL(t, server.URL()+"?sslmode=disable")
	u.Host = pooler.Host()
	store := open(t, u.String())
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	applyBusy(t, store, []int{1})
	configure(t, server.URL(), "full_page_writes", "off")
	awaitError(t, func() error {
		_, err := store.Load(t.Context(), ofOrder("o1"))
		return err
	}, "full_page_writes")
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "full_page_writes") {
		t.Errorf("Ping = %v, want an error that names the setting", err)
	}
	configure(t, server.URL(), "full_page_writes", "on")
	awaitError(t, func() error { return store.Ping(t.Context()) }, "")
	applyBusy(t, store, []int{2})
}

// awaitError waits until do returns an ErrMisconfigured with a word, or none.
func awaitError(t *testing.T, do func() error, word string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		err := do()
		if word == "" && err == nil || word != "" && errors.Is(err, payments.ErrMisconfigured) && strings.Contains(err.Error(), word) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v, want an error with %q", err, word)
		}
	}
}

// BenchmarkPooler compares group commit on direct connections with that behind
// PgBouncer. One iteration is a turn of each, so that other load on the machine slows
// both. Run it with -benchtime=20x.
func BenchmarkPooler(b *testing.B) {
	servers.Need(b, servers.PgBouncerVariable)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as in the program
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			turn := max(64*callers, 256)
			var contenders []*contender
			var databases []string
			for _, name := range []string{"direct", "pooler"} {
				databaseURL := newDatabase(b)
				databases = append(databases, databaseURL)
				if name == "pooler" {
					databaseURL = pooled(b, databaseURL)
				}
				store := open(b, databaseURL)
				if err := store.Migrate(b.Context()); err != nil {
					b.Fatal(err)
				}
				batcher := batch.New(payments.NewLedger(store), batch.Config{Shards: 2, MaxBatch: 512, MaxWaitingBytes: 10_000 << 12, Timeout: time.Minute})
				b.Cleanup(batcher.Close)
				contenders = append(contenders, &contender{name: name, to: batcher, turn: turn})
			}
			for b.Loop() {
				for _, c := range contenders {
					c.run(b, callers)
				}
			}
			for i, c := range contenders {
				c.report(b, contenders[0])
				b.ReportMetric(backendSeconds(b, databases[i])*1e6/float64(len(c.latencies)), c.name+"-server-us/update")
			}
		})
	}
}

// backendSeconds returns the processor time of the sessions of a database.
func backendSeconds(b *testing.B, databaseURL string) (seconds float64) {
	withConnection(b, databaseURL, func(conn *pgx.Conn) error {
		var processes []int
		err := conn.QueryRow(b.Context(), "SELECT array_agg(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&processes)
		for _, process := range processes {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
			if err != nil {
				return err
			}
			_, after, _ := strings.Cut(string(stat), ") ")
			fields := strings.Fields(after)
			for _, field := range fields[11:13] { // utime and stime, in hundredths of a second
				ticks, err := strconv.ParseFloat(field, 64)
				if err != nil {
					return err
				}
				seconds += ticks / 100
			}
		}
		return err
	})
	return seconds
}
