package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script logs as payrelay does, and then waits for SIGTERM.
const script = `trap 'exit 0' TERM
echo '{"msg":"listening","name":"admin","url":"http://here"}' >&2
printf '{"msg":' >&2
echo '"ready"}
{"msg":"ready"}' >&2
while :; do sleep 0.02; done`

const patience = 10 * time.Second

func shell(t *testing.T, script string) Options {
	return Options{Name: "script", Binary: "/bin/sh", Args: []string{"-c", script}, Dir: t.TempDir()}
}

func run(t *testing.T, script string) (p *Process, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	p, err := Start(shell(t, script), filepath.Join(t.TempDir(), "output"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() }) // usually it has ended
	return p, log
}

func TestReady(t *testing.T) {
	p, log := run(t, script)
	if err := p.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	if url := p.URL("admin"); url != "http://here" {
		t.Errorf("URL(admin) = %q, want http://here", url)
	}
	if err := p.Terminate(patience); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(log); err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("the log has %q, %v, want 3 lines", text, err)
	}
}

func TestEnds(t *testing.T) {
	p, _ := run(t, "exit 7")
	if err := p.AwaitReady(patience); err == nil || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("AwaitReady() = %v, want exit code 7", err)
	}
	p, _ = run(t, "trap '' TERM\n"+strings.Replace(script, "trap 'exit 0' TERM", "", 1))
	if err := p.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	if err := p.Terminate(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not stop") {
		t.Errorf("Terminate() = %v, want a process that did not stop", err)
	}
}

// TestFreeze: SIGTERM does not end a frozen process until it is thawed.
func TestFreeze(t *testing.T) {
	p, _ := run(t, script)
	if err := p.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- p.Terminate(patience) }()
	select {
	case <-p.Exited():
		t.Error("the process ended although it was frozen")
	case <-time.After(200 * time.Millisecond):
	}
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
