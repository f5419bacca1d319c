package e2e

import (
	"debug/buildinfo"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
)

// TestVersionNamesTheCommit checks that a plain go build knows its commit.
func TestVersionNamesTheCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app")
	check(t, program.Build(path, "-buildvcs=true"))
	info, err := buildinfo.ReadFile(path)
	check(t, err)
	recorded := func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" }
	at := slices.IndexFunc(info.Settings, recorded)
	if at < 0 {
		t.Skip("go build recorded no commit: it knows none outside of a repository or in a git worktree")
	}
	o := invocation(t, "app version", nil, "version")
	o.Binary = path
	version, err := program.Run(o, startWithin)
	check(t, err)
	if commit := info.Settings[at].Value; !strings.Contains(version.Stdout, ", commit "+commit) {
		t.Errorf("app version = %q, want commit %s", version.Stdout, commit)
	}
}

func TestMetricsShowTheBuild(t *testing.T) {
	t.Parallel()
	p := launch(t, "serve all", nil, anyPorts(t.TempDir())...)
	metrics, err := get(p.URL("admin") + "/metrics")
	if err != nil || metrics.status != http.StatusOK {
		t.Fatalf("/metrics = %v, %v", metrics, err)
	}
	for _, label := range []string{`payrelay_build_info{goversion="go`, `revision="`, `version="`} {
		if !strings.Contains(string(metrics.body), label) {
			t.Errorf("/metrics lacks %s", label)
		}
	}
}
