package report

import "github.com/prometheus/procfs"

// readProc sets what /proc contains and leaves the rest unchanged.
func (m *Machine) readProc() {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return
	}
	if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 && cpus[0].ModelName != "" {
		m.CPU = cpus[0].ModelName
	}
	if release, err := proc.SysctlStrings("kernel.osrelease"); err == nil && len(release) > 0 {
		m.System = "Linux " + release[0]
	}
	if memory, err := proc.Meminfo(); err == nil && memory.MemTotalBytes != nil {
		m.Memory = int64(*memory.MemTotalBytes)
	}
	if load, err := proc.LoadAvg(); err == nil {
		m.Load = load.Load1
	}
}
