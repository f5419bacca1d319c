//go:build !linux

package deployment

import (
	"os/exec"
	"syscall"
)

// attached keeps signals of the terminal from the processes, which this one
// stops in their order.
func attached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func start(command *exec.Cmd) error { return command.Start() }
