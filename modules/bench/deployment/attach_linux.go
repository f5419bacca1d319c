package deployment

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// attached has the kernel kill a process when this one is gone, however it
// ended: nobody wants to look for the leftovers of a benchmark. Signals of the
// terminal go to this process only, which stops the others in their order.
func attached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// starter is a thread that never ends, for to the kernel the parent of a process
// is the thread that started it.
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
