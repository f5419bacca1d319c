package postgres_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/postgres"
)

// Defaults that an administrator set for a database or a user do not make commits
// asynchronous.
func TestDefaultsDoNotMakeCommitsAsynchronous(t *testing.T) {
	databaseURL, _ := migrated(t)
	for _, whose := range []string{"DATABASE %I", "ROLE CURRENT_USER IN DATABASE %I"} {
		execute(t, databaseURL, "DO $$ BEGIN EXECUTE format('ALTER "+whose+" SET synchronous_commit = off', current_database()); END $$")
		withConnection(t, databaseURL, func(conn *pgx.Conn) error {
			var setting string
			err := conn.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&setting)
			if setting != "off" {
				t.Errorf("%s: the default of synchronous_commit is %s, want off", whose, setting)
			}
			return err
		})
		for _, pool := range open(t, databaseURL).Pools() {
			var setting string
			if err := pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&setting); err != nil || setting != "on" {
				t.Errorf("%s: synchronous_commit is %q (%v), want on", whose, setting, err)
			}
		}
	}
}

// A server that may lose what it has confirmed is refused, by the settings that it
// reports.
func TestServersThatForgetAreRefused(t *testing.T) {
	server := ownServer(t)
	for _, name := range []string{"fsync", "full_page_writes"} {
		configure(t, server.URL(), name, "off")
		store, err := postgres.Open(t.Context(), server.URL())
		if err == nil {
			_ = store.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is off: Open = %v, want an error that names it", name, err)
		}
		configure(t, server.URL(), name, "on")
	}
	open(t, server.URL())
}

// Parameters of the URL reach the server as they do from psql.
func TestParametersWithSpaces(t *testing.T) {
	databaseURL := newDatabase(t)
	for _, pool := range open(t, databaseURL+"?options=-c%20search_path%3Dpublic&application_name=a%20b%2Bc").Pools() {
		for name, want := range map[string]string{"search_path": "public", "application_name": "a b+c", "synchronous_commit": "on"} {
			var got string
			if err := pool.QueryRow(t.Context(), "SHOW "+name).Scan(&got); err != nil || got != want {
				t.Errorf("%s = %q, %v, want %q", name, got, err, want)
			}
		}
	}
}

// dropper is a pooler that drops the setting synchronous_commit of its clients.
type dropper struct {
	net.Listener
	server string
}

// startDropper returns the URL of a database through a dropper.
func startDropper(t *testing.T, databaseURL string) (*dropper, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := parseURL(t, withParameters(t, databaseURL, url.Values{"sslmode": {"disable"}}))
	d := &dropper{listener, u.Host}
	u.Host = listener.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { d.serve(client) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return d, u.String()
}

func (d *dropper) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", d.server)
	if err != nil {
		return
	}
	defer server.Close()
	var startup bytes.Buffer
	if forward(client, &startup, 0) != nil {
		return
	}
	message := bytes.Replace(startup.Bytes(), []byte("synchronous_commit\x00on\x00"), nil, 1)
	binary.BigEndian.PutUint32(message, uint32(len(message)))
	if _, err := server.Write(message); err != nil {
		return
	}
	var answering sync.WaitGroup
	answering.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
	_, _ = io.Copy(server, client)
	_ = server.Close()
	answering.Wait()
}

// setDefault sets the default of synchronous_commit for the user in the database.
func setDefault(t *testing.T, databaseURL, value string) {
	t.Helper()
	execute(t, databaseURL, "DO $$ BEGIN EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET synchronous_commit = "+value+"', current_database()); END $$")
}

// applyOne applies a new update of an order.
func applyOne(t *testing.T, store *postgres.Store, number int) error {
	t.Helper()
	_, err := payments.NewLedger(store).Apply(t.Context(), []*payrelayv1.Update{busyUpdate(number)})
	return err
}

// wantUnsafe checks that an error is that of a setting.
func wantUnsafe(t *testing.T, what string, err error, setting string) {
	t.Helper()
	if !errors.Is(err, payments.ErrMisconfigured) || !strings.Contains(err.Error(), setting+` is "off"`) {
		t.Errorf("%s = %v, want an ErrMisconfigured that names %s", what, err, setting)
	}
}

// A default that makes commits asynchronous, and reaches the sessions through a pooler, is
// noticed by each new connection, also if it was set after the start.
func TestNewConnectionsMustBeSafe(t *testing.T) {
	databaseURL, _ := migrated(t)
	_, pooled := startDropper(t, databaseURL)
	store := open(t, pooled)
	if err := applyOne(t, store, 1); err != nil {
		t.Fatal(err)
	}
	setDefault(t, databaseURL, "off")
	for _, pool := range store.Pools() {
		pool.Reset() // as after their lifetime
	}
	wantUnsafe(t, "Apply()", applyOne(t, store, 2), "synchronous_commit")
	wantUnsafe(t, "Ping()", store.Ping(t.Context()), "synchronous_commit")
	_, err := store.Order(t.Context(), "o1")
	wantUnsafe(t, "Order()", err, "synchronous_commit")
	_, err = store.BeginCopy(t.Context())
	wantUnsafe(t, "BeginCopy()", err, "synchronous_commit")
	_, err = store.Maintain(t.Context())
	wantUnsafe(t, "Maintain()", err, "synchronous_commit")
	wantUnsafe(t, "Migrate()", store.Migrate(t.Context()), "synchronous_commit")
	second, err := postgres.Open(t.Context(), pooled)
	if err == nil {
		_ = second.Close()
	}
	wantUnsafe(t, "Open()", err, "synchronous_commit")

	setDefault(t, databaseURL, "on")
	if err := errors.Join(store.Ping(t.Context()), applyOne(t, store, 2)); err != nil {
		t.Errorf("with safe settings = %v, want nil", err)
	}
}

// Readiness notices such a default although all open connections are safe, and then no
// connection is used any more.
func TestReadinessNoticesAnUnsafeDefault(t *testing.T) {
	databaseURL, _ := migrated(t)
	_, pooled := startDropper(t, databaseURL)
	store := open(t, pooled)
	store.ProbeAlways()
	if err := errors.Join(store.Ping(t.Context()), applyOne(t, store, 1)); err != nil {
		t.Fatal(err)
	}
	setDefault(t, databaseURL, "off")
	if err := applyOne(t, store, 2); err != nil {
		t.Errorf("Apply() on a safe connection = %v, want nil", err)
	}
	wantUnsafe(t, "Ping()", store.Ping(t.Context()), "synchronous_commit")
	wantUnsafe(t, "Apply()", applyOne(t, store, 3), "synchronous_commit")
	setDefault(t, databaseURL, "on")
	if err := errors.Join(store.Ping(t.Context()), applyOne(t, store, 3)); err != nil {
		t.Errorf("with safe settings = %v, want nil", err)
	}
}

// While no new connection can be opened, readiness depends on the open ones only.
func TestReadinessWithoutNewConnections(t *testing.T) {
	databaseURL, _ := migrated(t)
	pooler, pooled := startDropper(t, databaseURL)
	store := open(t, pooled)
	store.ProbeAlways()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = pooler.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("Ping() on an open connection = %v, want nil", err)
	}
}

// Settings of the server change for all sessions at once.
func TestReadinessNoticesAnUnsafeServer(t *testing.T) {
	server := ownServer(t)
	store := open(t, server.URL())
	if err := errors.Join(store.Migrate(t.Context()), applyOne(t, store, 1)); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"fsync", "full_page_writes"} {
		configure(t, server.URL(), name, "off")
		waitForPing(t, store, func(err error) bool { return err != nil })
		wantUnsafe(t, "Ping()", store.Ping(t.Context()), name)
		wantUnsafe(t, "Apply()", applyOne(t, store, 2+i), name)
		configure(t, server.URL(), name, "on")
		waitForPing(t, store, func(err error) bool { return err == nil })
		if err := applyOne(t, store, 2+i); err != nil {
			t.Errorf("Apply() with %s on = %v, want nil", name, err)
		}
	}
}

// waitForPing waits until Ping returns what is wanted: a session reads the configuration
// of the server a moment after another one.
func waitForPing(t *testing.T, store *postgres.Store, wanted func(error) bool) {
	t.Helper()
	store.ProbeAlways()
	deadline := time.Now().Add(patience)
	for err := store.Ping(t.Context()); !wanted(err); err = store.Ping(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatalf("Ping() = %v", err)
		}
	}
}
