package door

import (
	"errors"
	"os"
	"testing"

	"github.com/payrelay/payrelay/internal/testcert"
)

// watched is a file whose content is its value; "bad" cannot be used.
func watched(t *testing.T, dir string) *files[string] {
	t.Helper()
	path := testcert.Write(t, dir, "file", []byte("first"))
	f := &files[string]{files: []file{{"the file", path}}, parse: func(contents [][]byte) (string, error) {
		if string(contents[0]) == "bad" {
			return "", errors.New("bad")
		}
		return string(contents[0]), nil
	}}
	if changed, err := f.load(); !changed || err != nil {
		t.Fatalf("load() = %v, %v", changed, err)
	}
	return f
}

// TestLookWaitsUntilAFileIsWritten goes through the states of a file that is replaced.
func TestLookWaitsUntilAFileIsWritten(t *testing.T) {
	dir := t.TempDir()
	f := watched(t, dir)
	for i, step := range []struct {
		content string // "-" removes the file, and "" leaves it
		changed bool
		failed  bool
		current string
	}{
		{"", false, false, "first"},
		{"half", false, false, "first"},
		{"second", false, false, "first"},
		{"", true, false, "second"},
		{"", false, false, "second"},
		{"-", false, false, "second"}, // it may be about to be replaced
		{"third", false, false, "second"},
		{"", true, false, "third"},
		{"-", false, false, "third"},
		{"", false, true, "third"}, // it is missing for longer
		{"", false, false, "third"},
		{"bad", false, false, "third"},
		{"", false, true, "third"},
		{"", false, false, "third"}, // reported once
		{"third", false, false, "third"},
		{"", true, false, "third"},
	} {
		switch step.content {
		case "":
		case "-":
			if err := os.Remove(f.files[0].path); err != nil {
				t.Fatal(err)
			}
		default:
			testcert.Write(t, dir, "file", []byte(step.content))
		}
		changed, err := f.look()
		if changed != step.changed || (err != nil) != step.failed || *f.current.Load() != step.current {
			t.Fatalf("step %d: look() = %v, %v with the value %s, want %+v", i, changed, err, *f.current.Load(), step)
		}
	}
}

// A reload does not wait, and reports an error each time.
func TestLoadIsImmediate(t *testing.T) {
	dir := t.TempDir()
	f := watched(t, dir)
	testcert.Write(t, dir, "file", []byte("second"))
	if changed, err := f.load(); !changed || err != nil || *f.current.Load() != "second" {
		t.Errorf("load() = %v, %v with the value %s, want the second", changed, err, *f.current.Load())
	}
	testcert.Write(t, dir, "file", []byte("bad"))
	for range 2 {
		if changed, err := f.load(); changed || err == nil || *f.current.Load() != "second" {
			t.Errorf("load() of a bad file = %v, %v with the value %s, want an error and the second", changed, err, *f.current.Load())
		}
	}
}
