//go:build !linux

package deployment

import (
	"os/exec"
	"syscall"
)

// childAttributes keeps signals from the terminal away from the children, which
// this process stops in order.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func start(command *exec.Cmd) error { return command.Start() }
