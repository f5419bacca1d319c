package program

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRun: a command gets the given arguments and environment, and nothing of the
// environment of the test.
func TestRun(t *testing.T) {
	t.Setenv("INHERITED", "setting")
	o := shell(t, `echo "$1, $GIVEN$INHERITED"; pwd; echo wrong >&2; exit 7`)
	o.Args, o.Env = append(o.Args, "sh", "argument"), []string{"GIVEN=given"}
	want := Result{7, "argument, given\n" + o.Dir + "\n", "wrong\n"}
	if r, err := Run(o, patience); err != nil || r != want {
		t.Errorf("Run() = %+v, %v, want %+v", r, err, want)
	}
}

func TestRunEnds(t *testing.T) {
	if _, err := Run(shell(t, "echo waits; exec sleep 60"), 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end within 200ms: waits") {
		t.Errorf("Run(a command that does not end) = %v, want an error with its output", err)
	}
	if _, err := Run(Options{Name: "nothing", Binary: "/does/not/exist"}, patience); err == nil || !strings.Contains(err.Error(), "run nothing") {
		t.Errorf("Run(a file that does not exist) = %v, want an error", err)
	}
}

func TestCheckLog(t *testing.T) {
	for line, wrong := range map[string]string{
		`{"level":"INFO","msg":"ready"}`:    "",
		`{"level":"WARN","msg":"4111"}`:     "secret",
		`{"level":"ERROR","msg":"no disk"}`: "error",
		`panic: index out of range`:         "not JSON",
	} {
		if err := CheckLog(line, "4111"); (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("CheckLog(%s) = %v, want %q", line, err, wrong)
		}
	}
}

func TestTopics(t *testing.T) {
	one, other := NewTopics(), NewTopics()
	if one.Orders == other.Orders || one.Disputes == other.Disputes || one.Group == other.Group || one.Orders == one.Disputes {
		t.Errorf("NewTopics() = %+v and %+v, want different names", one, other)
	}
	for copies, want := range map[int]string{1: "1", 3: "2"} {
		args := one.CreateArgs("kafka:9092", 8, copies)
		if at := slices.Index(args, "--min-insync-replicas"); at < 0 || args[at+1] != want {
			t.Errorf("CreateArgs with %d copies = %q, want %s replicas in sync", copies, args, want)
		}
	}
}
