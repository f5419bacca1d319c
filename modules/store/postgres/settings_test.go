package postgres

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func TestURLsThatAreRefused(t *testing.T) {
	for _, databaseURL := range []string{
		"", "sqlite://x.db", "mysql://u:hunter2@h/db", "postgres://u:hun#ter2@h/db", "postgres://u:hun/ter2@h/db", "postgres://u:hun%ter2@h/db",
		"postgres://u:hunter2@h:port/db", "postgres://u:hunter2@h/db?connect_timeout=soon", "postgres://h/db?password=hunter2&pool_max_conns=0",
		"postgres://u:hunter2@h/db?sslmode=perhaps", "postgres://u:hunter2@h/db?target_session_attrs=hunter2",
	} {
		_, err := Open(t.Context(), databaseURL)
		if err == nil {
			t.Errorf("%s is taken", databaseURL)
		} else if strings.Contains(err.Error(), "hun") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: the error tells the password: %v", databaseURL, err)
		}
	}
}

func TestConnectionErrorsTellNoPassword(t *testing.T) {
	_, err := Open(t.Context(), "postgres://somebody:hunter2@127.0.0.1:1,127.0.0.1:2/nowhere?sslmode=disable")
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "somebody") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line that names the user but not the password", err)
	}
}

func TestSettingsOfTheURLCountMore(t *testing.T) {
	cfg, err := parse("postgres://u@h/db?statement_timeout=7&pool_max_conns=3&application_name=mine&synchronous_commit=off", ledgerSettings)
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.ConnConfig.RuntimeParams
	for name, want := range map[string]string{
		"statement_timeout": "7", "application_name": "mine", "lock_timeout": "2000", "enable_seqscan": "off",
		"synchronous_commit": "on", // but not this
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if cfg.MaxConns != 3 || cfg.MaxConnLifetime != 30*time.Minute || cfg.ConnConfig.ConnectTimeout != 3*time.Second {
		t.Errorf("at most %d connections for %v, %v to connect", cfg.MaxConns, cfg.MaxConnLifetime, cfg.ConnConfig.ConnectTimeout)
	}
}

func TestUnsafeServersAreRefused(t *testing.T) {
	safe := map[string]string{"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on", "server_encoding": "UTF8"}
	if err := checkSettings(safe); err != nil {
		t.Error(err)
	}
	for name, value := range map[string]string{
		"synchronous_commit": "off", "fsync": "off", "full_page_writes": "off", "server_encoding": "SQL_ASCII",
	} {
		unsafe := maps.Clone(safe)
		unsafe[name] = value
		if err := checkSettings(unsafe); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: error %v, want one that names it", name, value, err)
		}
	}
}
