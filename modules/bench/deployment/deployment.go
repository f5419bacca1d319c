// Package deployment starts payrelay as an operator would, with each role in its
// own process, and measures what the processes use: processor time, memory,
// allocations and bytes on the wire.
package deployment

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/payrelay/payrelay/modules/payments"
)

// Spec describes a deployment to start.
type Spec struct {
	// Binary is the program, Dir an empty directory for its data.
	Binary, Dir string
	// Mode is the value of --mode.
	Mode payments.Mode
	// Unary sends each webhook in its own call (--batch=false).
	Unary bool
	// HTTP2 makes a mode that uses HTTP/1.1 by default use HTTP/2 (--api-http2).
	HTTP2 bool
	// DatabaseURL is an existing PostgreSQL database. If it is empty, the roles use
	// SQLite in Dir.
	DatabaseURL string
	// Kafka is an existing cluster. Without brokers, mode kafka starts the embedded
	// broker.
	Kafka Kafka
}

// Kafka is a cluster and the topics to use there.
type Kafka struct {
	Brokers                    string // separated by commas
	OrdersTopic, DisputesTopic string
}

// Deployment is a running payrelay.
type Deployment struct {
	// Ingest and API are the URLs of the webhook listener and the public API.
	Ingest, API string
	// Admins are the URLs of the admin listeners, by role.
	Admins map[string]string

	spec         Spec
	processes    []*process
	localServers []localServer
	// servers are the addresses that the roles connect to, by name.
	servers map[string]string
}

// Start starts the roles of a mode in order and waits until each is ready. If one
// fails, Start stops the others and returns the error.
func Start(ctx context.Context, spec Spec) (*Deployment, error) {
	d := &Deployment{spec: spec, Admins: make(map[string]string), servers: make(map[string]string)}
	for _, r := range spec.roles() {
		if err := d.start(ctx, r); err != nil {
			return nil, errors.Join(err, d.Stop())
		}
	}
	d.addServers()
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

// Stop stops the roles in reverse order and waits for each. The error names the
// roles that did not stop cleanly.
func (d *Deployment) Stop() error {
	var failures []error
	for _, p := range slices.Backward(d.processes) {
		failures = append(failures, p.stop())
	}
	return errors.Join(failures...)
}

// Failed returns an error that names the roles that ended without being stopped;
// nil if there are none.
func (d *Deployment) Failed() error {
	var failures []error
	for _, p := range d.processes {
		failures = append(failures, p.failed())
	}
	return errors.Join(failures...)
}

// Watch returns a context that is also canceled when a role ends.
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

// Attach returns a deployment that is already running, by the URLs of its webhook
// listener, its public API, which may be empty, and its admin listeners.
func Attach(ingest, api string, admins []string) *Deployment {
	d := &Deployment{Ingest: ingest, API: api, Admins: make(map[string]string), servers: make(map[string]string)}
	for _, admin := range admins {
		admin = strings.TrimSuffix(admin, "/")
		name := strings.TrimPrefix(strings.TrimPrefix(admin, "http://"), "https://")
		d.Admins[name] = admin
		d.addLocalServer(name, name)
	}
	return d
}
