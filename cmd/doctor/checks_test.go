package doctor

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// want checks that a report has one check, with a result and a text.
func want(t *testing.T, what string, result Result, text string, check func(*Report)) {
	t.Helper()
	var r Report
	check(&r)
	if len(r.Checks) != 1 || r.Checks[0].Result != result || !strings.Contains(r.Checks[0].Message, text) {
		t.Errorf("%s: %+v, want one check that is %s with %q", what, r.Checks, result, text)
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		off, took time.Duration
		want      Result
	}{
		{0, 0, OK}, {200 * time.Millisecond, 0, OK}, {-201 * time.Millisecond, 0, Warn}, {2 * time.Second, 0, Warn}, {2001 * time.Millisecond, 0, Fail}, {-time.Hour, 0, Fail},
		{300 * time.Millisecond, 400 * time.Millisecond, OK}, // the call took so long that the clocks may agree
		{3 * time.Second, 400 * time.Millisecond, Fail},
	} {
		want(t, c.off.String(), c.want, "", func(r *Report) { r.Clock("the database", now.Add(c.took/2+c.off), now, now.Add(c.took)) })
	}
	want(t, "remedy", Fail, "NTP", func(r *Report) { r.Clock("the database", now.Add(time.Hour), now, now) })
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	const huge = 1 << 62
	want(t, "room", OK, "MiB free in "+dir, func(r *Report) { r.Disk(dir, 1) })
	want(t, "a full disk", Fail, "less than", func(r *Report) { r.Disk(dir, huge/4) })
	free, _, err := disk(dir)
	if err != nil {
		t.Skip(err)
	}
	want(t, "a disk that is nearly full", Warn, "less than twice", func(r *Report) { r.Disk(dir, free*3/4) })
	want(t, "no directory yet", OK, "the first start creates", func(r *Report) { r.Disk(filepath.Join(dir, "a", "b"), 1) })
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, "a file", Fail, "not a directory", func(r *Report) { r.Disk(file, 1) })
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory has %v, %v, want that nothing was made", entries, err)
	}
	if os.Getuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
		want(t, "a directory of others", Fail, "may not write", func(r *Report) { r.Disk(dir, 1) })
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for text, c := range map[string]struct {
		left time.Duration
		want Result
	}{
		"in 30 days: ":   {30 * day, OK},
		"in 14 days":     {14 * day, OK},
		"in 13 days":     {14*day - time.Second, Warn},
		"in 1 day":       {day, Warn},
		"in 1h0m0s":      {time.Hour, Warn},
		"expired on 202": {-time.Second, Fail},
	} {
		want(t, text, c.want, strings.TrimSuffix(text, ": "), func(r *Report) { r.Expiry("secret", "secret 1", now.Add(c.left), now, 14*day) })
	}
}

func TestAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	want(t, "taken", Fail, "--api-addr", func(r *Report) { r.Address("api", "api-addr", addr, false) })
	want(t, "ours", OK, "payrelay runs", func(r *Report) {
		if !r.Address("api", "api-addr", addr, true) {
			t.Error("Address() = false of an address in use")
		}
	})
	_ = listener.Close()
	want(t, "free", OK, "is free: no payrelay runs here", func(r *Report) {
		if r.Address("api", "api-addr", addr, false) {
			t.Error("Address() = true of a free address")
		}
	})
	want(t, "any", OK, "any free port", func(r *Report) { r.Address("api", "api-addr", "127.0.0.1:0", false) })
	want(t, "of another machine", Fail, "cannot be used", func(r *Report) { r.Address("api", "api-addr", "192.0.2.1:3000", false) })
}

func TestPrint(t *testing.T) {
	var r Report
	r.Add("disk", OK, "%d MiB", 7)
	r.Add("clock", Warn, "late\n\x1b[2J")
	r.Err("schema", os.ErrNotExist, "unused")
	r.Err("topics", nil, "all there")
	var text, object strings.Builder
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	const table = "ok    disk    7 MiB\nwarn  clock   late  [2J\nfail  schema  file does not exist\nok    topics  all there\n\n4 checks, 1 warnings, 1 failures\n"
	if text.String() != table {
		t.Errorf("Print() = %q, want %q", text.String(), table)
	}
	if err := r.PrintJSON(&object); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Checks   []Check
		Total    int
		Failures int
	}
	if err := json.Unmarshal([]byte(object.String()), &got); err != nil || got.Total != 4 || got.Failures != 1 || got.Checks[2] != (Check{"schema", Fail, "file does not exist"}) {
		t.Errorf("PrintJSON() = %s, %v", object.String(), err)
	}
}
