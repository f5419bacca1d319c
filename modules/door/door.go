// Package door opens the listeners and holds the policy that is the same for all of
// them: TLS, limits of connections, and which requests reach a handler. What a webhook
// has to prove, and what an API does, belongs to the modules that serve the listeners.
package door

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Options are what a process decides for the listeners that it opens.
type Options struct {
	// Proxies are the trusted proxies.
	Proxies Proxies
	// Needs returns the role that a request needs if the listener has tokens. If it is
	// nil, every request needs a reader.
	Needs func(*http.Request) Role
	// Refuse, if it is not nil, may answer a refused request in its own form, with a code
	// such as "unauthenticated" and a message. It reports whether it has answered.
	Refuse func(w http.ResponseWriter, r *http.Request, code, message string) bool
	// Log gets warnings, and what is read again from changed files.
	Log *slog.Logger
}

// Door is an open listener with its policy. Its methods may be called concurrently.
type Door struct {
	cfg      Config
	options  Options
	log      *slog.Logger
	listener net.Listener
	// hosts are the names and addresses that the Host header may have besides those of
	// loopback, of the connection and of the certificate.
	hosts  []string
	tls    *files[*tls.Config]
	tokens *files[[]token]
	counts refusals
}

// Open opens the listener, so that an address in use is an error at the start, as are
// files that cannot be read. It warns of what the listener lacks. Run must be called.
func Open(cfg Config, options Options) (*Door, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	log := options.Log.With("listener", cfg.Kind.Name)
	d := &Door{cfg: cfg, options: options, log: log, hosts: cfg.Hosts, tls: newTLS(cfg), tokens: newTokens(cfg)}
	if host, _, _ := net.SplitHostPort(cfg.Addr); host != "" { // Validate has split it
		d.hosts = append(d.hosts[:len(d.hosts):len(d.hosts)], strings.ToLower(host))
	}
	if _, err := d.load(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("open the %s listener (%s): %w", cfg.Kind.Name, variable(cfg.flag("addr")), err)
	}
	if err := d.checkOpen(listener.Addr()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	d.counts.log = log
	listener = newPerAddress(listener, cfg.perAddress(), options.Proxies.trust, func(remote netip.Addr) { d.counts.add(tooManyConnections, remote.String()) })
	d.listener = netutil.LimitListener(listener, cfg.MaxConnections)
	if d.tls != nil {
		d.listener = tls.NewListener(d.listener, serverTLS(d.tls))
	}
	d.warn()
	return d, nil
}

// warn logs what the listener lacks.
func (d *Door) warn() {
	if lacks := d.Insecure(); lacks != nil {
		d.log.Warn("INSECURE: other machines can reach this listener, which lacks "+strings.Join(lacks, " and ")+", because --insecure-"+d.cfg.Kind.Name+" is set",
			"addr", d.listener.Addr().String())
	}
}

// checkOpen refuses an address that other machines can reach although its name looked
// like loopback.
func (d *Door) checkOpen(addr net.Addr) error {
	host, _, _ := net.SplitHostPort(d.cfg.Addr)
	if isLoopback(host) && !isOnLoopback(addr) && !d.cfg.Insecure && d.cfg.lacks() != nil {
		return fmt.Errorf("%s is %q: %w", d.cfg.setting("addr"), d.cfg.Addr, errNotLoopback)
	}
	return nil
}

// isOnLoopback reports whether only this machine can reach an open listener.
func isOnLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Listener returns the listener to serve. Its connections speak TLS if it is set up.
func (d *Door) Listener() net.Listener { return d.listener }

// URL returns the URL of the listener, with its actual port.
func (d *Door) URL() string {
	scheme := "http"
	if d.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + d.listener.Addr().String()
}

// Name returns the name of the listener.
func (d *Door) Name() string { return d.cfg.Kind.Name }

// OnLoopback reports whether only this machine can reach the listener.
func (d *Door) OnLoopback() bool { return isOnLoopback(d.listener.Addr()) }

// Insecure returns what the listener lacks of "tls" and "authentication". It is nil on
// loopback.
func (d *Door) Insecure() []string {
	if d.OnLoopback() {
		return nil
	}
	return d.cfg.lacks()
}

// CertificateEnd returns when the certificate expires, or false without TLS.
func (d *Door) CertificateEnd() (time.Time, bool) {
	leaf := d.leaf()
	if leaf == nil {
		return time.Time{}, false
	}
	return leaf.NotAfter, true
}

// Run looks for changed files until ctx is done, and then closes the listener, if its
// server has not done so.
func (d *Door) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.look()
		case <-ctx.Done():
			_ = d.listener.Close() // it is closed already if a server ran
			return nil
		}
	}
}

// Reload reads the files of the listener at once. What cannot be used is logged, and the
// current certificate or tokens stay.
func (d *Door) Reload() { d.report(d.load()) }

// changes are what was read anew.
type changes []string

func (d *Door) load() (changes, error) {
	return d.both((*files[*tls.Config]).load, (*files[[]token]).load)
}

func (d *Door) look() {
	d.report(d.both((*files[*tls.Config]).look, (*files[[]token]).look))
}

// both calls a method for the certificate and one for the tokens, as far as the
// listener has them. An error of one does not keep the other back.
func (d *Door) both(certificate func(*files[*tls.Config]) (bool, error), tokens func(*files[[]token]) (bool, error)) (done changes, err error) {
	var failures []error
	if d.tls != nil {
		changed, err := certificate(d.tls)
		if failures = append(failures, err); changed {
			done = append(done, d.tls.what)
		}
	}
	if d.tokens != nil {
		changed, err := tokens(d.tokens)
		if failures = append(failures, err); changed {
			done = append(done, d.tokens.what)
		}
	}
	return done, errors.Join(failures...)
}

func (d *Door) report(done changes, err error) {
	for _, what := range done {
		d.log.Info("read again: "+what, "certificate_ends", d.shownEnd())
	}
	if err != nil {
		d.log.Error("a changed file cannot be used: what was read before stays in use", "error", err)
	}
}

func (d *Door) shownEnd() string {
	end, ok := d.CertificateEnd()
	if !ok {
		return ""
	}
	return end.Format(time.RFC3339)
}
