package doctor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The differences of clocks above which Clock warns and fails. A webhook whose time is more
// than a day in the future is a dead letter; signatures and certificates depend on the time
// too.
const (
	clockWarn = 200 * time.Millisecond
	clockFail = 2 * time.Second
)

// Clock compares the clock of a server, read between before and after, with that of this
// machine.
func (r *Report) Clock(of string, server, before, after time.Time) {
	// The server read its clock at some time in between.
	ahead := server.Sub(before.Add(after.Sub(before) / 2))
	uncertain := after.Sub(before) / 2
	const remedy = "synchronize both with NTP"
	switch off := max(ahead.Abs()-uncertain, 0); {
	case off > clockFail:
		r.Add("clock", Fail, "the clock of %s differs by %s: %s", of, ahead.Round(time.Millisecond), remedy)
	case off > clockWarn:
		r.Add("clock", Warn, "the clock of %s differs by %s: %s", of, ahead.Round(time.Millisecond), remedy)
	default:
		r.Add("clock", OK, "agrees with that of %s within %s", of, (ahead.Abs() + uncertain).Round(time.Millisecond))
	}
}

// Disk checks the data directory and the free space of its disk, in bytes: less than least
// fails, and less than twice least warns. It writes nothing.
func (r *Report) Disk(dir string, least int64) {
	existing, err := filepath.Abs(dir)
	if err != nil {
		r.Err("disk", err, "")
		return
	}
	made := true
	for {
		info, err := os.Stat(existing)
		if err == nil && !info.IsDir() {
			r.Add("disk", Fail, "%s is not a directory: name another one with --data-dir (DATA_DIR)", existing)
			return
		}
		if err == nil {
			break
		}
		if parent := filepath.Dir(existing); errors.Is(err, os.ErrNotExist) && parent != existing {
			existing, made = parent, false
			continue
		}
		r.Add("disk", Fail, "the data directory cannot be read: %v", err)
		return
	}
	free, writable, err := disk(existing)
	const remedy = "remove files, or make the disk larger, before payments are refused"
	switch {
	case err != nil:
		r.Add("disk", Warn, "the free space of %s is unknown: %v", existing, err)
	case !writable:
		r.Add("disk", Fail, "this user may not write to %s: change its owner or its mode", existing)
	case free < least:
		r.Add("disk", Fail, "%s has %d MiB free, less than %d: %s", existing, free>>20, least>>20, remedy)
	case free < 2*least:
		r.Add("disk", Warn, "%s has %d MiB free, less than twice %d: %s", existing, free>>20, least>>20, remedy)
	case !made:
		r.Add("disk", OK, "%d MiB free; the first start creates the data directory %s", free>>20, dir)
	default:
		r.Add("disk", OK, "%d MiB free in %s", free>>20, dir)
	}
}

// Expiry checks when something expires. It warns if that is within ahead from now.
func (r *Report) Expiry(name, what string, end, now time.Time, ahead time.Duration) {
	left := end.Sub(now)
	switch date := end.UTC().Format(time.RFC3339); {
	case left <= 0:
		r.Add(name, Fail, "%s expired on %s: renew it", what, date)
	case left < ahead:
		r.Add(name, Warn, "%s expires on %s, in %s: renew it", what, date, days(left))
	default:
		r.Add(name, OK, "%s expires on %s, in %s", what, date, days(left))
	}
}

func days(left time.Duration) string {
	const day = 24 * time.Hour
	switch n := left / day; n {
	case 0:
		return left.Round(time.Minute).String()
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

// Address checks that an address is free or, as running reports, in use by a payrelay
// process. It reports whether the address is in use.
func (r *Report) Address(name, flag, addr string, running bool) (used bool) {
	if _, port, err := net.SplitHostPort(addr); err == nil && port == "0" {
		r.Add(name, OK, "any free port")
		return false
	}
	listener, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		_ = listener.Close()
		r.Add(name, OK, "%s is free: no payrelay runs here with these settings", addr)
	case running:
		r.Add(name, OK, "%s is in use, and payrelay runs", addr)
	default:
		r.Add(name, Fail, "%s cannot be used: %v: stop the program that uses it, or choose another address with --%s", addr, err, flag)
	}
	return err != nil
}
