package deployment

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// neighbour is a server on this machine that the deployment uses and did not
// start, with all the processes that it is made of.
type neighbour struct {
	name string
	pid  int
}

// CPU is the processor time that each process has taken since its start, by
// name: the roles, and database and broker as far as they are on this machine.
func (d *Deployment) CPU() map[string]time.Duration {
	used := make(map[string]time.Duration)
	for _, p := range d.processes {
		if s, err := readStat(p.pid()); err == nil { // gone: Failed tells
			used[p.name] = s.own
		}
	}
	for _, n := range d.neighbours {
		used[n.name] = treeCPU(n.pid)
	}
	return used
}

// PeakMemory is the largest resident memory that each role has had so far, in
// bytes, by name.
func (d *Deployment) PeakMemory() map[string]int64 {
	peaks := make(map[string]int64)
	for _, p := range d.processes {
		if peak, err := peakMemory(p.pid()); err == nil {
			peaks[p.name] = peak
		}
	}
	return peaks
}

// OwnCPU is what this process has taken, which is the sender's share.
func OwnCPU() time.Duration {
	s, err := readStat(os.Getpid())
	if err != nil {
		return 0 // not on Linux
	}
	return s.own
}

// stat is a line of /proc/PID/stat.
type stat struct {
	parent int
	// own is the processor time of the process, children that of those that it
	// has waited for.
	own, children time.Duration
}

// clockTick is the unit of /proc, which is the same wherever Linux runs.
const clockTick = 10 * time.Millisecond

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The name, in brackets, may have spaces and brackets in it.
	_, rest, _ := strings.Cut(string(line[strings.LastIndexByte(string(line), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	number := func(field int) int { // counted from 1, as proc(5) does
		n, _ := strconv.Atoi(fields[field-3])
		return n
	}
	ticks := func(a, b int) time.Duration { return time.Duration(number(a)+number(b)) * clockTick }
	return stat{parent: number(4), own: ticks(14, 15), children: ticks(16, 17)}, nil
}

// treeCPU is what a process and its children have taken, also those that are
// gone: a database has a process for each connection.
func treeCPU(pid int) time.Duration {
	root, err := readStat(pid)
	if err != nil {
		return 0
	}
	total := root.own + root.children
	for _, child := range processes() {
		if s, err := readStat(child); err == nil && s.parent == pid {
			total += s.own
		}
	}
	return total
}

// processes are the numbers of all of them; none where there is no /proc.
func processes() []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	var pids []int
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if size, found := strings.CutPrefix(line, "VmHWM:"); found {
			kilobytes, err := strconv.ParseInt(strings.Fields(size)[0], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
}
