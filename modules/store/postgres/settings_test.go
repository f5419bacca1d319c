package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/storetest"
)

func TestURLsThatAreRefused(t *testing.T) {
	for _, databaseURL := range append(slices.Clone(storetest.UnclearDatabaseURLs),
		"", "sqlite://x.db", "mysql://u:hunter2@h/db", "postgres://u:hun#ter2@127.0.0.1:1/db", "postgres://u:hun/ter2@h/db", "postgres://u:hun%ter2@h/db",
		"postgres://u:hunter2@h:port/db", "postgres://u:hunter2@h/db?connect_timeout=soon", "postgres://h/db?password=hunter2&pool_max_conns=0",
		"postgres://u:hunter2@h/db?sslmode=perhaps", "postgres://u:hunter2@h/db?target_session_attrs=hunter2", "postgres://h/db?hunter2",
		"postgres:///db?host=127.0.0.1&port=1&password=hunter2&connect_timeout=1", "postgres://u:hunter2@%2Fnowhere/db",
	) {
		_, openErr := Open(t.Context(), databaseURL)
		_, versionErr := Version(t.Context(), databaseURL)
		for _, err := range []error{openErr, versionErr} {
			if err == nil {
				t.Errorf("%q is accepted, want an error", databaseURL)
				continue
			}
			storetest.WantNoPassword(t, databaseURL, err.Error())
		}
	}
}

// A URL means what it means to psql.
func TestSpecialCharactersInURLs(t *testing.T) {
	for databaseURL, want := range map[string][3]string{
		"postgres://u:a%20b@h/db?options=-c%20search_path%3Dpublic": {"a b", "-c search_path=public", "payrelay"},
		"postgres://u@h/db?password=a%20b%2Bc":                      {"a b+c", "", "payrelay"},
		"postgres://u@h/db?password=a+b":                            {"a+b", "", "payrelay"},
		"postgres://u:a?&b@h/db&":                                   {"a?&b", "", "payrelay"},
		"postgres://u:a+b#?c@h/db?":                                 {"a+b#?c", "", "payrelay"},
		"postgres://u:p@h/db?application_name=my%20relay&":          {"p", "", "my relay"},
	} {
		cfg, err := parse(databaseURL, ledgerSettings)
		if err != nil {
			t.Errorf("parse(%q): %v", databaseURL, err)
			continue
		}
		params := cfg.ConnConfig.RuntimeParams
		if got := [3]string{cfg.ConnConfig.Password, params["options"], params["application_name"]}; got != want {
			t.Errorf("parse(%q) = password, options and application name %q, want %q", databaseURL, got, want)
		}
		if params["synchronous_commit"] != "on" || params["lock_timeout"] != "2000" || cfg.MaxConns != 12 {
			t.Errorf("parse(%q) = %v and %d connections, want the defaults", databaseURL, params, cfg.MaxConns)
		}
	}
}

func TestConnectionErrorsHaveNoPassword(t *testing.T) {
	_, err := Open(t.Context(), "postgres://somebody:hunter2@127.0.0.1:1,127.0.0.1:2/nowhere?sslmode=disable")
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "somebody") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open = %v, want one line that names the user but not the password", err)
	}
}

func TestParametersOfTheURLOverrideDefaults(t *testing.T) {
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
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	if cfg.MaxConns != 3 || cfg.MaxConnLifetime != 30*time.Minute || cfg.ConnConfig.ConnectTimeout != 3*time.Second {
		t.Errorf("got at most %d connections for %v and %v to connect, want 3 for 30m and 3s", cfg.MaxConns, cfg.MaxConnLifetime, cfg.ConnConfig.ConnectTimeout)
	}
}

func TestUnsafeServersAreRefused(t *testing.T) {
	safe := []string{"on", "on", "on", "UTF8"}
	if err := checkSettings(safe); err != nil {
		t.Error(err)
	}
	for i, value := range []string{"off", "off", "off", "SQL_ASCII"} {
		values := slices.Clone(safe)
		values[i] = value
		if err := checkSettings(values); !errors.Is(err, payments.ErrMisconfigured) || !strings.Contains(err.Error(), required[i].name) {
			t.Errorf("checkSettings with %s=%s = %v, want an ErrMisconfigured that names it", required[i].name, value, err)
		}
	}
}
