// Package deployment runs payrelay as its operators would, each role a process
// of its own, and says what that costs: processors, memory, allocations, and
// bytes on the wire.
package deployment

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// Spec is a deployment to start.
type Spec struct {
	// Binary is the program, Dir an empty directory for its data.
	Binary, Dir string
	// Mode is the wire, by its name on the command line.
	Mode string
	// Unary makes each webhook a call of its own.
	Unary bool
	// HTTP2 calls the api role over HTTP/2 in the modes that use HTTP/1.1 otherwise.
	HTTP2 bool
	// DatabaseURL is an existing database; without one it is SQLite in Dir.
	DatabaseURL string
	// Kafka is an existing cluster; without brokers it is the embedded one.
	Kafka Kafka
}

// Kafka is a cluster and what to use there.
type Kafka struct {
	Brokers                    string // separated by commas
	OrdersTopic, DisputesTopic string
}

// Deployment is what runs.
type Deployment struct {
	// Ingest and API are the URLs of the listeners for webhooks and for people.
	Ingest, API string
	// Admins are the URLs of the admin listeners, by role.
	Admins map[string]string

	spec      Spec
	processes []*process
	// neighbours are processes on this machine that others started.
	neighbours []neighbour
	// servers are the addresses on which others are called, by name.
	servers map[string]string
}

// Start starts the roles of a mode and waits until they are ready. What had been
// started before something failed is stopped.
func Start(ctx context.Context, spec Spec) (*Deployment, error) {
	d := &Deployment{spec: spec, Admins: make(map[string]string), servers: make(map[string]string)}
	for _, r := range spec.roles() {
		if err := d.start(ctx, r); err != nil {
			return nil, errors.Join(err, d.Stop())
		}
	}
	d.lookAround()
	return d, nil
}

func (d *Deployment) start(ctx context.Context, r role) error {
	p, err := launch(string(r), d.spec.Binary, d.spec.environment(r), d.spec.args(r, d.servers))
	if err != nil {
		return err
	}
	d.processes = append(d.processes, p)
	if err := p.awaitReady(ctx); err != nil {
		return err
	}
	for name, url := range p.urls() {
		switch name {
		case "ingest":
			d.Ingest = url
		case "api":
			d.API = url
		case "admin":
			d.Admins[string(r)] = url
		case "internal", "broker":
			d.servers[name] = url
		}
	}
	return nil
}

// Stop stops the roles in reverse, each awaited. The error is of those that did
// not end well.
func (d *Deployment) Stop() error {
	var failures []error
	for _, p := range slices.Backward(d.processes) {
		failures = append(failures, p.stop())
	}
	return errors.Join(failures...)
}

// Failed says which roles have ended by themselves, or is nil.
func (d *Deployment) Failed() error {
	var failures []error
	for _, p := range d.processes {
		failures = append(failures, p.failed())
	}
	return errors.Join(failures...)
}

// Watch is a context that also ends when a role does. The caller cancels it.
func (d *Deployment) Watch(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	for _, p := range d.processes {
		go func() {
			select {
			case <-p.exited:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// dataDir is where a role keeps its data.
func (s Spec) dataDir() string { return filepath.Join(s.Dir, "data") }

// Attach finds a deployment that others started: by the URLs of its listeners
// for webhooks and for people, which may be empty, and for admins.
func Attach(ingest, api string, admins []string) *Deployment {
	d := &Deployment{Ingest: ingest, API: api, Admins: make(map[string]string), servers: make(map[string]string)}
	for _, admin := range admins {
		name := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(admin, "/"), "http://"), "https://")
		d.Admins[name] = strings.TrimSuffix(admin, "/")
		d.visit(name, name)
	}
	return d
}
