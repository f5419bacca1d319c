package deployment

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell starts a shell script instead of the program.
func shell(t *testing.T, script string) *process {
	t.Helper()
	p, err := launch("ingest", "/bin/sh", []string{"PATH=/usr/bin:/bin"}, []string{"-c", script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // most have ended already
		<-p.exited
	})
	return p
}

const readyScript = `
	echo '{"msg":"listening","name":"ingest","url":"http://127.0.0.1:1"}' >&2
	printf '{"msg":' >&2; echo '"ready"}' >&2
	exec sleep 60`

func TestProcessReportsItsListeners(t *testing.T) {
	p := shell(t, readyScript)
	if err := p.awaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.urls()["ingest"]; got != "http://127.0.0.1:1" {
		t.Errorf("URL of listener ingest = %q, want http://127.0.0.1:1", got)
	}
	if err := p.failed(); err != nil {
		t.Errorf("failed() = %v while the process runs, want nil", err)
	}
}

func TestProcessThatDoesNotStart(t *testing.T) {
	err := shell(t, `echo "panic: no disk" >&2; exit 3`).awaitReady(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "panic: no disk") {
		t.Errorf("awaitReady() = %v, want the exit status and the end of the log", err)
	}
}

func TestProcessThatIsKilledHasFailed(t *testing.T) {
	d := &Deployment{processes: []*process{shell(t, readyScript), shell(t, readyScript)}}
	watched, cancel := d.Watch(t.Context())
	defer cancel()
	if err := syscall.Kill(d.processes[1].pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-watched.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the watched context was not canceled")
	}
	if err := d.Failed(); err == nil || !strings.Contains(err.Error(), "ingest") || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Failed() = %v, want the role and the signal", err)
	}
	if err := d.processes[1].stop(); err != nil {
		t.Errorf("stop() = %v, want nil: Failed has reported it", err)
	}
}

func TestStopReportsTheExitStatus(t *testing.T) {
	for name, c := range map[string]struct {
		trap  string
		clean bool
	}{
		"clean":   {"exit 0", true},
		"failing": {"exit 1", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := shell(t, `trap '`+c.trap+`' TERM; echo '{"msg":"ready"}' >&2; while :; do sleep 0.1; done`)
			if err := p.awaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := p.stop(); (err == nil) != c.clean {
				t.Errorf("stop() = %v, want success: %v", err, c.clean)
			}
			if err := p.failed(); err != nil {
				t.Errorf("failed() = %v after stop, want nil", err)
			}
		})
	}
}

func TestAwaitReadyEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := shell(t, "exec sleep 60").awaitReady(ctx); err == nil {
		t.Error("awaitReady() = nil with a canceled context, want an error")
	}
}
