package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/payrelay/payrelay/modules/admin"
)

// process is what a serve command runs, and what it tells the user about it.
type process struct {
	log   *slog.Logger
	admin *admin.Server
	crew  *crew
	// serving is what listens where, in the order of starting.
	serving []listener
}

type listener struct{ name, url, what string }

// runProcess builds a process and runs it until ctx ends or a part fails. build
// starts the parts, each as soon as it is built; when it fails, what it had
// started is stopped like anything else. introduce is called when all are
// started. Being told to stop while starting is a clean stop.
func runProcess(ctx context.Context, logs logConfig, garbage int, build func(context.Context, *process) error, introduce func(*process)) error {
	// A server outlives its terminal and whatever reads its log. Without this, Go
	// ends a process that writes to standard output or error after the reader left.
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	log, err := logs.logger(os.Stderr)
	if err != nil {
		return err
	}
	relaxGarbageCollection(garbage)
	limitMemory(memlimit.FromCgroup, log)
	p := &process{log: log, crew: newCrew()}
	if err := build(ctx, p); err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return errors.Join(err, p.crew.stop())
	}
	p.announce()
	introduce(p)
	if failed := p.crew.wait(ctx); failed != "" {
		log.Warn("stopping because a part failed", "part", failed)
	} else {
		log.Info("stopping")
	}
	p.admin.SetReady(false)
	return p.crew.stop()
}

func (p *process) announce() {
	for _, l := range p.serving {
		p.log.Info("listening", "name", l.name, "url", l.url)
	}
	p.admin.SetReady(true)
	p.log.Info("ready", "version", versionText())
}

// addAdmin adds the admin listener. It comes right after the locks, so that it
// outlives everything that it tells about.
func (p *process) addAdmin(ctx context.Context, cfg admin.Config) error {
	server, err := admin.New(cfg, p.log)
	if err != nil {
		return err
	}
	p.admin = server
	b := thisBuild()
	server.AddGauges("payrelay_build_info", "The build of this process. The value is always 1.", []string{"version", "revision", "goversion"},
		func(show func(float64, ...string)) { show(1, b.version, b.revision, b.goVersion) })
	p.crew.start(ctx, "admin listener", server.Run)
	p.listens("admin", "http://"+server.Addr(), "/livez /readyz /metrics /debug/pprof")
	return nil
}

// addLock takes a directory for this process alone. Locks come first, so that
// a second process on the same data is told so, and not about its ports.
func (p *process) addLock(ctx context.Context, dir string) error {
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	p.closeLater(ctx, "lock of "+dir, unlock)
	return nil
}

// closeLater adds a part that has nothing to do but to be closed.
func (p *process) closeLater(ctx context.Context, name string, closeIt func() error) {
	p.crew.start(ctx, name, func(ctx context.Context) error {
		<-ctx.Done()
		return closeIt()
	})
}

func (p *process) listens(name, url, what string) {
	p.serving = append(p.serving, listener{name, url, what})
}

// introduce tells a person what listens where.
func (p *process) introduce(out io.Writer, headline string) {
	fmt.Fprintf(out, "\n%s\n\n", headline)
	for _, l := range p.serving {
		fmt.Fprintf(out, "  %-9s %-24s %s\n", l.name, l.url, l.what)
	}
	fmt.Fprintln(out)
}

// url is where the listener of that name is.
func (p *process) url(name string) string {
	for _, l := range p.serving {
		if l.name == name {
			return l.url
		}
	}
	panic("no listener is called " + name)
}
