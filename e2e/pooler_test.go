package e2e

import (
	"net/url"
	"testing"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/payments"
)

// TestBehindAPooler: the database is behind PgBouncer in transaction mode, through which
// the api role migrates it. The api role is killed under load, and the pooler too.
func TestBehindAPooler(t *testing.T) {
	grpc := func(s setup) bool { return s.lane == production && s.mode == payments.GRPC && s.layout == split }
	inEvery(t, grpc, func(t *testing.T, s setup) {
		serverURL := servers.Need(t, servers.PostgresVariable, servers.PgBouncerVariable)[0]
		c := prepareCluster(t, s, options{edge: impatient})
		pooler, err := servers.StartPgBouncer(t.TempDir(), serverURL)
		check(t, err)
		t.Cleanup(func() { check(t, pooler.Stop()) })
		database, err := url.Parse(c.database)
		check(t, err)
		database.Host, database.RawQuery = pooler.Host(), "sslmode=disable"
		c.database = database.String()
		for _, member := range s.members() {
			c.start(t, member)
		}
		l := startLoad(t, c)
		l.awaitAcked(t, between)
		c.kill(t, "api")
		c.start(t, "api")
		l.awaitAcked(t, between)
		check(t, pooler.Kill())
		check(t, pooler.Start())
		l.awaitAcked(t, between)
		l.finish(t)
		l.check(t, c)
	})
}
