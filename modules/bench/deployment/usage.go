package deployment

import (
	"os"
	"slices"
	"sort"
	"time"

	"github.com/prometheus/procfs"
)

// CPU returns the processor time that each process has used since it started, by
// name: the roles, and the database and broker if they run on this machine. It is
// measured on Linux only.
func (d *Deployment) CPU() map[string]time.Duration {
	used := make(map[string]time.Duration)
	for _, p := range d.processes {
		if s, err := readStat(p.pid()); err == nil { // Failed reports a process that has ended
			used[p.name] = ownCPU(s)
		}
	}
	for _, s := range d.localServers {
		used[s.name] = treeCPU(s.pid)
	}
	return used
}

// PeakMemory returns the largest resident memory of each role since it started, in
// bytes, by name.
func (d *Deployment) PeakMemory() map[string]int64 {
	peaks := make(map[string]int64)
	for _, p := range d.processes {
		if peak, err := peakMemory(p.pid()); err == nil && peak > 0 {
			peaks[p.name] = peak
		}
	}
	return peaks
}

func peakMemory(pid int) (int64, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	status, err := p.NewStatus()
	return int64(status.VmHWM), err
}

// OwnCPU returns the processor time of this process, which sends the load; 0 where
// there is no /proc.
func OwnCPU() time.Duration {
	s, err := readStat(os.Getpid())
	if err != nil {
		return 0
	}
	return ownCPU(s)
}

func readStat(pid int) (procfs.ProcStat, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, err
	}
	return p.Stat()
}

// clockTick is the unit of time in /proc, which is the same on every Linux.
const clockTick = 10 * time.Millisecond

func ownCPU(s procfs.ProcStat) time.Duration { return time.Duration(s.UTime+s.STime) * clockTick }

// treeCPU returns the processor time of a process and its children, including
// those that have ended: PostgreSQL has a process for each connection.
func treeCPU(pid int) time.Duration {
	root, err := readStat(pid)
	if err != nil {
		return 0
	}
	total := ownCPU(root) + time.Duration(root.CUTime+root.CSTime)*clockTick
	all, _ := procfs.AllProcs() // root was read, so there is a /proc
	for _, p := range all {
		if s, err := p.Stat(); err == nil && s.PPID == pid {
			total += ownCPU(s)
		}
	}
	return total
}

// holder returns the process with the lowest ID that has a file open: a server's
// children may have inherited it. It returns 0 if there is none, or none whose
// files this user may see.
func holder(file string) int {
	all, _ := procfs.AllProcs() // there are none without a /proc
	sort.Sort(all)
	for _, p := range all {
		if open, err := p.FileDescriptorTargets(); err == nil && slices.Contains(open, file) {
			return p.PID
		}
	}
	return 0
}
