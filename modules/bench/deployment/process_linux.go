package deployment

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// childAttributes makes the kernel kill a child when this process ends, however it
// ends, so that an interrupted benchmark leaves no processes behind. Signals from
// the terminal reach only this process, which stops its children in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// starter runs functions on an OS thread that lives as long as the process. The
// kernel regards the thread that forked a child as its parent and sends Pdeathsig
// when that thread ends.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
})

func start(command *exec.Cmd) error {
	result := make(chan error)
	starter() <- func() { result <- command.Start() }
	return <-result
}
