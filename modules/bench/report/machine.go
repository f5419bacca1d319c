package report

import (
	"fmt"
	"runtime"
)

// Machine describes the machine that ran the benchmark.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes,omitempty"`
	System string `json:"system"`
	Go     string `json:"go"`
	// Load is the load average of the minute before the benchmark. A load much
	// above 0 distorts the figures.
	Load float64 `json:"load"`
}

// ThisMachine returns a description of this machine, with fewer details where
// there is no /proc.
func ThisMachine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), System: runtime.GOOS, Go: runtime.Version()}
	m.readProc()
	return m
}

// String returns the description on one line, without the load.
func (m Machine) String() string {
	text := fmt.Sprintf("%d cores of %s", m.Cores, m.CPU)
	if m.Memory > 0 {
		text += fmt.Sprintf(", %d GiB", (m.Memory+1<<29)>>30)
	}
	return text + ", " + m.System + ", " + m.Go
}
