package postgres

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/payrelay/payrelay/modules/store"
)

// settings are parameters of a database URL. Those in an operator's URL override
// them.
type settings map[string]string

var commonSettings = settings{
	"application_name": "payrelay",
	"connect_timeout":  "3", // seconds, for each host
	// Of several hosts, use the one that accepts writes, also after a failover.
	"target_session_attrs": "read-write",

	"pool_max_conn_lifetime":        "30m",
	"pool_max_conn_lifetime_jitter": "3m",
	"pool_health_check_period":      "15s",

	// Milliseconds. On a healthy database no statement of this package takes that
	// long.
	"statement_timeout":                   "5000",
	"lock_timeout":                        "2000",
	"idle_in_transaction_session_timeout": "10000",
	"tcp_user_timeout":                    "10000",
}

var (
	// The server keeps the plan of a prepared statement. One that it made while the
	// tables were empty reads a whole table, until statistics are gathered, which
	// can take long on a busy day. So the queries of the API and of operators are
	// planned each time.
	readerSettings = commonSettings.with(settings{"pool_max_conns": "4", "plan_cache_mode": "force_custom_plan"})

	// All statements of the ledger look rows up by an index. So they are planned once,
	// with the alternatives to an index disabled.
	ledgerSettings = commonSettings.with(settings{
		"pool_max_conns":   "12",
		"enable_seqscan":   "off",
		"enable_hashjoin":  "off",
		"enable_mergejoin": "off",
		"plan_cache_mode":  "force_generic_plan",
		"jit":              "off", // it takes every plan with disabled alternatives for an expensive one
	})

	// A migration may take long, and waits for those of other processes. It waits for
	// the lock of a table no longer than the ledger does, whose statements queue
	// behind it, but longer than the second after which the server cancels an
	// autovacuum that is in the way.
	migrationSettings = commonSettings.with(settings{"statement_timeout": "0", "lock_timeout": "2000"})
)

// keepOrderOfIndexes completes the settings of the ledger: a page of a long history
// comes from the index by time in its order, where a plan without statistics would read
// the whole history and sort it. It is not part of the URL, because a pooler that is
// not told about a parameter refuses the connection.
const keepOrderOfIndexes = "SET enable_bitmapscan = off; SET enable_sort = off"

func (s settings) with(others settings) settings {
	all := maps.Clone(s)
	maps.Copy(all, others)
	return all
}

var errURL = errors.New("the database URL must be postgres://user:password@host:5432/name, with special characters as %XX")

// parse returns the configuration of a pool: the parameters of the URL, the
// defaults that it does not have, and synchronous_commit=on in any case, because
// what is answered with 2xx must be on disk. The parsers' own errors can quote a
// part of the password, so they are not shown.
func parse(databaseURL string, defaults settings) (*pgxpool.Config, error) {
	_, ok := store.RedactURL(databaseURL)
	if !ok || !strings.HasPrefix(databaseURL, "postgres://") && !strings.HasPrefix(databaseURL, "postgresql://") {
		return nil, errURL
	}
	_, query, hasQuery := strings.Cut(databaseURL[strings.LastIndexByte(databaseURL, '@')+1:], "?")
	given := make(map[string]bool)
	for parameter := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(parameter, "=")
		if name, err := url.PathUnescape(name); err == nil && parameterName.MatchString(name) {
			given[name] = true
		}
	}
	added := []string{"synchronous_commit=on"} // the last value of a name wins
	for name, value := range defaults {
		if !given[name] {
			added = append(added, name+"="+value)
		}
	}
	separator := "?"
	if hasQuery {
		separator = "&"
	}
	if query == "" && hasQuery || strings.HasSuffix(query, "&") {
		separator = ""
	}
	cfg, err := pgxpool.ParseConfig(databaseURL + separator + strings.Join(added, "&"))
	if err != nil {
		return nil, fmt.Errorf("%w; one of these parameters has an invalid value: %q", errURL, slices.Sorted(maps.Keys(given)))
	}
	return cfg, nil
}

var parameterName = regexp.MustCompile(`^[a-z_.]+$`)
