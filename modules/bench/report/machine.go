package report

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where it was measured.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes,omitempty"`
	System string `json:"system"`
	Go     string `json:"go"`
	// Load is the mean number of processes that wanted a core in the minute before
	// the benchmark began; much above 0 spoils it.
	Load float64 `json:"load"`
}

// ThisMachine describes itself, as far as it can.
func ThisMachine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), System: runtime.GOOS, Go: runtime.Version()}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		m.CPU = model
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System = "Linux " + strings.TrimSpace(string(release))
	}
	if size, _, _ := strings.Cut(field("/proc/meminfo", "MemTotal"), " "); size != "" {
		kilobytes, _ := strconv.ParseInt(size, 10, 64) // 0 says that it is not known
		m.Memory = kilobytes << 10
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		minute, _, _ := strings.Cut(string(load), " ")
		m.Load, _ = strconv.ParseFloat(minute, 64)
	}
	return m
}

// field is the first value of a name in a file of /proc; empty without one.
func field(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }() // it was only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String is the machine in a line.
func (m Machine) String() string {
	text := fmt.Sprintf("%d cores of %s", m.Cores, m.CPU)
	if m.Memory > 0 {
		text += fmt.Sprintf(", %d GiB", (m.Memory+1<<29)>>30)
	}
	return text + ", " + m.System + ", " + m.Go
}
