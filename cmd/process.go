package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/payrelay/payrelay/modules/admin"
)

// process is what a serve command builds: the parts it runs, and what it tells
// the user about them.
type process struct {
	log   *slog.Logger
	admin *admin.Server
	parts []part
	// serving is what listens where, in the order of the parts.
	serving []listener
}

type listener struct{ name, url, what string }

// newProcess starts with the admin listener, which outlives everything else.
func newProcess(logs logConfig, cfg admin.Config) (*process, error) {
	log, err := logs.logger(os.Stderr)
	if err != nil {
		return nil, err
	}
	server, err := admin.New(cfg, log)
	if err != nil {
		return nil, err
	}
	p := &process{log: log, admin: server}
	p.add("admin listener", server.Run)
	p.listens("admin", "http://"+server.Addr(), "/livez /readyz /metrics /debug/pprof")
	return p, nil
}

// add appends a part: it starts after those before it, and stops before them.
func (p *process) add(name string, run func(context.Context) error) {
	p.parts = append(p.parts, part{name, run})
}

func (p *process) addClosing(name string, closeIt func() error) {
	p.parts = append(p.parts, closing(name, closeIt))
}

func (p *process) listens(name, url, what string) {
	p.serving = append(p.serving, listener{name, url, what})
}

// run runs all parts until ctx ends or one fails. ready is called when they have
// started.
func (p *process) run(ctx context.Context, ready func()) error {
	return run(ctx, p.log, p.parts, func() {
		for _, l := range p.serving {
			p.log.Info("listening", "name", l.name, "url", l.url)
		}
		p.admin.SetReady(true)
		p.log.Info("ready", "version", versionText())
		ready()
	}, func() { p.admin.SetReady(false) })
}

// introduce tells a person what listens where.
func (p *process) introduce(out io.Writer, headline string) {
	fmt.Fprintf(out, "\n%s\n\n", headline)
	for _, l := range p.serving {
		fmt.Fprintf(out, "  %-9s %-24s %s\n", l.name, l.url, l.what)
	}
	fmt.Fprintln(out)
}

// url is where a part of that name listens.
func (p *process) url(name string) string {
	for _, l := range p.serving {
		if l.name == name {
			return l.url
		}
	}
	return ""
}
