package e2e

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// reportedWithin is how soon /readyz names what is away: 2 s, and one more for a busy
// machine.
const reportedWithin = 3 * time.Second

// unready returns the reasons in the answer of /readyz by the names of the checks; none
// means that the process is ready.
func (p *process) unready(t *testing.T) map[string]string {
	t.Helper()
	body, ok := program.Probe(p.URL("admin") + "/readyz")
	var answer struct {
		Ready   bool
		Failing []struct{ Check, Reason string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Ready != ok {
		t.Fatalf("/readyz = %q, %t: %v", body, ok, err)
	}
	reasons := make(map[string]string)
	for _, f := range answer.Failing {
		reasons[f.Check] = f.Reason
	}
	return reasons
}

// wantReported checks that a member reports within the time that a check fails, with this
// reason and no more, and that it does until back is called and soon not any more.
func (c *cluster) wantReported(t *testing.T, member, check, reason string, begin time.Time, back func()) {
	t.Helper()
	p := c.running[member]
	wait.Until(t, reportedWithin-time.Since(begin), member+" reports "+check, func() bool { return p.unready(t)[check] == reason })
	t.Logf("%s reported %s after %s", member, check, time.Since(begin).Round(time.Millisecond))
	metric := `payrelay_readiness_check{check="` + check + `"} `
	wait.Until(t, reportedWithin, metric+"0", func() bool { return strings.Contains(p.metrics(t), metric+"0\n") })
	back()
	wait.Until(t, startWithin, member+" is ready again", func() bool { return len(p.unready(t)) == 0 })
	wait.Until(t, startWithin, metric+"1", func() bool { return strings.Contains(p.metrics(t), metric+"1\n") })
}

func (p *process) metrics(t *testing.T) string {
	t.Helper()
	text, ok := program.Probe(p.URL("admin") + "/metrics")
	if !ok {
		t.Fatalf("/metrics = %s", text)
	}
	return text
}

// TestReadinessFollowsTheAPIRole: ingest is not ready while its api role is away or hangs,
// and says so, and is ready again without a restart.
func TestReadinessFollowsTheAPIRole(t *testing.T) {
	inEvery(t, func(s setup) bool { return isSplit(s) && s.mode.RPC() }, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient})
		begin := time.Now()
		c.freeze(t, "api")
		c.wantReported(t, "ingest", "api", "the api role does not answer", begin, func() { c.thaw(t, "api") })
		begin = time.Now()
		c.kill(t, "api")
		c.wantReported(t, "ingest", "api", "the api role does not answer", begin, func() { c.start(t, "api") })
		c.accept(t, outageWebhook("back", 0), "applied")
	})
}

// TestReadinessFollowsTheBroker: the same of Kafka, at both ends of the wire.
func TestReadinessFollowsTheBroker(t *testing.T) {
	inEvery(t, isSplitKafka, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient, own: true})
		begin := time.Now()
		c.freeze(t, "broker")
		c.wantReported(t, "ingest", "kafka", "the Kafka brokers do not answer", begin, func() { c.thaw(t, "broker") })
		begin = time.Now()
		c.kill(t, "broker")
		c.wantReported(t, "api", "kafka", "the Kafka brokers do not answer", begin, func() { c.start(t, "broker") })
		c.acceptSoon(t, outageWebhook("back", 0))
	})
}

// TestReadinessFollowsTheDatabase: the same of PostgreSQL at the api role.
func TestReadinessFollowsTheDatabase(t *testing.T) {
	inEvery(t, func(s setup) bool { return isSplit(s) && s.lane == production && s.mode == payments.HTTP }, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{own: true})
		begin := time.Now()
		c.freeze(t, "database")
		c.wantReported(t, "api", "database", "the database does not answer", begin, func() { c.thaw(t, "database") })
		begin = time.Now()
		c.kill(t, "database")
		c.wantReported(t, "api", "database", "the database does not answer", begin, func() { c.start(t, "database") })
	})
}

// TestShutdownDelay checks that a process serves on after SIGTERM without being ready, and
// then stops cleanly; and that a second signal ends it at once.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	const delay = 2 * time.Second
	p := launch(t, "serve all", nil, anyPorts(t.TempDir(), "--mode", "direct", "--shutdown-delay", delay.String())...)
	stopping := func(p *process) {
		t.Helper()
		check(t, syscall.Kill(p.PID(), syscall.SIGTERM))
		wait.Until(t, delay, "the process is not ready", func() bool { return p.unready(t)["serving"] != "" })
	}
	begin := time.Now()
	stopping(p)
	w := orderWebhook("drain-1", "drain", "created", 0, `"1.00"`, "USD")
	if answer := mustPost(t, p.URL("ingest")+w.path, w.body); answer.status != 200 {
		t.Errorf("a webhook during the delay was answered %d, want 200", answer.status)
	}
	select {
	case <-p.Exited():
	case <-time.After(delay + stopWithin):
		t.Fatal("the process did not stop after the delay")
	}
	if took := time.Since(begin); took < delay || p.ExitCode() != 0 {
		t.Errorf("the process stopped after %v with the code %d, want at least %v and 0", took, p.ExitCode(), delay)
	}

	p = spawn(t, "serve all", nil, anyPorts(t.TempDir(), "--mode", "direct", "--shutdown-delay", "1h")...)
	check(t, p.AwaitReady(startWithin))
	stopping(p)
	check(t, syscall.Kill(p.PID(), syscall.SIGTERM))
	select {
	case <-p.Exited():
	case <-time.After(stopWithin):
		t.Fatal("the process did not end with the second signal")
	}
}
