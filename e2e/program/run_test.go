package program

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRun: a command is given what is asked for and nothing of whoever runs it.
func TestRun(t *testing.T) {
	t.Setenv("SOMEBODYS", "setting")
	o := shell(t, `echo "$1, $OURS$SOMEBODYS"; pwd; echo wrong >&2; exit 7`)
	o.Args, o.Env = append(o.Args, "sh", "argument"), []string{"OURS=ours"}
	want := Result{7, "argument, ours\n" + o.Dir + "\n", "wrong\n"}
	if r, err := Run(o, patience); err != nil || r != want {
		t.Errorf("%+v, %v, want %+v", r, err, want)
	}
}

func TestRunEnds(t *testing.T) {
	if _, err := Run(shell(t, "echo waits; exec sleep 60"), 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within 200ms: waits") {
		t.Errorf("a command that goes on: %v", err)
	}
	if _, err := Run(Options{Name: "nothing", Binary: "/does/not/exist"}, patience); err == nil || !strings.Contains(err.Error(), "run nothing") {
		t.Errorf("a command that is none: %v", err)
	}
}

func TestCheckLog(t *testing.T) {
	for line, wrong := range map[string]string{
		`{"level":"INFO","msg":"ready"}`:    "",
		`{"level":"WARN","msg":"4111"}`:     "secret",
		`{"level":"ERROR","msg":"no disk"}`: "error",
		`panic: index out of range`:         "no log line",
	} {
		if err := CheckLog(line, "4111"); (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", line, err, wrong)
		}
	}
}

func TestTopics(t *testing.T) {
	one, other := NewTopics(), NewTopics()
	if one.Orders == other.Orders || one.Disputes == other.Disputes || one.Group == other.Group || one.Orders == one.Disputes {
		t.Errorf("%+v and %+v have a name in common", one, other)
	}
	for copies, want := range map[int]string{1: "1", 3: "2"} {
		args := one.CreateArgs("kafka:9092", 8, copies)
		if at := slices.Index(args, "--min-insync-replicas"); at < 0 || args[at+1] != want {
			t.Errorf("with %d copies: %q", copies, args)
		}
	}
}
