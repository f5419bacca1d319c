package cmd

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestLockDirKeepsOthersOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockDir(dir)
	if err == nil {
		t.Fatal("the directory was locked twice, want an error")
	}
	for _, want := range []string{dir, "process " + strconv.Itoa(os.Getpid()), "--data-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lockDir = %q, want an error that says %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("lockDir = %q, want an error of one line", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = lockDir(dir)
	if err != nil {
		t.Fatalf("lockDir after unlock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestLockDirIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o700 {
		t.Errorf("mode = %o, want 700", got)
	}
}
