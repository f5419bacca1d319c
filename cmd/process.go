package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/admin"
	"github.com/payrelay/payrelay/modules/door"
	"github.com/payrelay/payrelay/modules/logging"
	"github.com/payrelay/payrelay/modules/tracing"
)

// process is a running serve command: its parts, and what it shows of them.
type process struct {
	supervisor
	log    *slog.Logger
	admin  *admin.Server
	tracer *tracing.Tracer
	// proxies are the trusted proxies of all listeners.
	proxies door.Proxies
	// mu guards the fields below, which metrics read while the process starts.
	mu        sync.Mutex
	doors     []*door.Door
	queues    []queue
	oldest    []func() time.Time
	consumers []namedConsumer
	// sources returns what the ingest role knows about its sources. It is nil before the
	// process has one, which is after the api role began to serve.
	sources func() []*payrelayv1.Source
	// watchesKafka reports whether the readiness depends on the brokers.
	watchesKafka bool
	// listeners is in the order of starting.
	listeners []listener
	// reloads are called after SIGHUP.
	reloads []func()
}

type listener struct{ name, url, what string }

// runProcess runs a process until ctx ends or a part fails. build starts the
// parts, each as soon as it is built; if build fails, the parts that it started
// are stopped. introduce is called when all parts are started. A ctx that ends
// during the start leads to a clean stop.
func runProcess(ctx context.Context, cfg processConfig, gcPercent int, build func(context.Context, *process) error, introduce func(*process)) error {
	// A server outlives its terminal and the reader of its log. Without this, Go
	// ends a process that writes to standard output or error after the reader left.
	signal.Ignore(syscall.SIGPIPE)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	handler, err := cfg.log.handler(os.Stderr)
	if err != nil {
		return err
	}
	if cfg.log.level >= slog.LevelInfo { // at debug, every line is written
		sampler := logging.Sample(handler)
		defer sampler.Close()
		handler = sampler
	}
	log := slog.New(logging.Traced(handler, tracing.ID))
	tracer, err := tracing.New(ctx, tracing.Config{Version: versionText(), Mask: maskCardNumbers, Log: log})
	if err != nil {
		return err
	}
	defer tracer.Close()
	warnMisspelt(log, os.Environ())
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	limitMemory(memlimit.FromCgroup, log)
	p := &process{log: log, tracer: tracer, supervisor: newSupervisor()}
	p.start(ctx, "memory limit", followMemory)
	if err := build(ctx, p); err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return errors.Join(err, p.stop())
	}
	for _, l := range p.listeners {
		log.Info("listening", "name", l.name, "url", l.url)
	}
	p.start(ctx, "reload", func(ctx context.Context) error { return p.reload(ctx, hangups) })
	p.admin.SetReady(true)
	log.Info("ready", "version", versionText())
	introduce(p)
	failed := p.wait(ctx)
	p.admin.SetReady(false)
	if failed == "" && cfg.delay > 0 {
		log.Info("no longer ready, and stopping after shutdown-delay", "delay", cfg.delay)
		failed = p.linger(ctx, cfg.delay)
	}
	if failed != "" {
		log.Warn("stopping because a part failed", "part", failed)
	} else {
		log.Info("stopping")
	}
	return p.stop()
}

// processConfig configures what every serve command has.
type processConfig struct {
	log logConfig
	// delay is the time between the first signal and the stop.
	delay time.Duration
}

// RegisterFlags declares the flags.
func (c *processConfig) RegisterFlags(fs *flag.FlagSet) {
	c.log.RegisterFlags(fs)
	fs.DurationVar(&c.delay, "shutdown-delay", 0, "how long the process keeps serving after SIGTERM, with /readyz at 503, so that a load balancer stops sending requests: `SHUTDOWN_DELAY`")
}

// Validate checks the delay.
func (c processConfig) Validate() error {
	if c.delay < 0 {
		return fmt.Errorf("shutdown-delay (SHUTDOWN_DELAY) is %v: it must not be negative", c.delay)
	}
	return nil
}

// addAdmin adds the admin listener. It is started right after the locks, so that
// it outlives every part that it reports on.
func (p *process) addAdmin(ctx context.Context, cfg adminConfig) error {
	entrance, err := p.openDoor(ctx, cfg.door, door.Options{Needs: adminNeeds})
	if err != nil {
		return err
	}
	cfg.server.Wrap = entrance.Wrap
	if p.tracer != nil {
		cfg.server.TraceID, cfg.server.UpdateTraceID = tracing.ID, tracing.UpdateID
	}
	server := admin.New(cfg.server, entrance.Listener(), entrance.Log())
	p.admin = server
	p.measureProcess()
	p.start(ctx, "admin listener", server.Run)
	p.listens("admin", entrance.URL(), "/livez /readyz /metrics /debug/pprof")
	return nil
}

// addLock takes a directory for this process alone. Locks come first, so that a
// second process on the same data fails for that, and not for its ports.
func (p *process) addLock(ctx context.Context, dir string) error {
	unlock, err := lockDir(dir)
	if err != nil {
		return err
	}
	p.closeLater(ctx, "lock of "+dir, unlock)
	return nil
}

// onHangup adds a function that reads files again after SIGHUP. It is called before the
// process is ready only.
func (p *process) onHangup(reload func()) { p.reloads = append(p.reloads, reload) }

// reload calls the functions of onHangup after each signal, until ctx is done.
func (p *process) reload(ctx context.Context, hangups <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			p.log.Info("reading the files again, because of SIGHUP")
			for _, reload := range p.reloads {
				reload()
			}
		}
	}
}

// closeLater adds a part that only has to be closed.
func (p *process) closeLater(ctx context.Context, name string, closeIt func() error) {
	p.start(ctx, name, func(ctx context.Context) error {
		<-ctx.Done()
		return closeIt()
	})
}

func (p *process) listens(name, url, what string) {
	p.listeners = append(p.listeners, listener{name, url, what})
}

// introduce prints the listeners for the user.
func (p *process) introduce(out io.Writer, headline string) {
	fmt.Fprintf(out, "\n%s\n\n", headline)
	for _, l := range p.listeners {
		fmt.Fprintf(out, "  %-9s %-24s %s\n", l.name, l.url, l.what)
	}
	fmt.Fprintln(out)
}

// url returns the URL of the listener of that name, which must exist.
func (p *process) url(name string) string {
	for _, l := range p.listeners {
		if l.name == name {
			return l.url
		}
	}
	panic("there is no listener " + name)
}

// The values of GOGC, unless the operator sets it: how much the heap grows, in
// percent of the live heap, before it is collected. Mostly little is live, a few
// MiB, and each webhook leaves some 10 KiB of garbage: at Go's default of 100, a
// busy process spends a third of its processor time on collections.
//
// Webhooks that wait for Kafka or for calls make more of the heap of ingest live,
// so 400 would exceed the 64 MiB that it should need at its highest rate.
const (
	gcPercent       = 400
	ingestGCPercent = 150
)

// limitMemory makes collections more frequent when the process comes near 90% of
// the memory of its container or cgroup: in an outage 64 MiB of records can wait
// in a queue, and five times that exceeds many a container. A GOMEMLIMIT that the
// operator sets is kept.
func limitMemory(ofContainer memlimit.Provider, log *slog.Logger) {
	_, err := memlimit.Set(memlimit.WithProvider(ofContainer))
	if err != nil && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		log.Warn("the memory limit of the container cannot be read: set GOMEMLIMIT", "error", err)
	}
}

// logConfig selects what is logged, and in which format.
type logConfig struct {
	level  slog.Level
	format string
}

func (c *logConfig) RegisterFlags(fs *flag.FlagSet) {
	fs.TextVar(&c.level, "log-level", slog.LevelInfo, "lowest level to log, one of debug, info, warn and error: `LOG_LEVEL`")
	fs.StringVar(&c.format, "log-format", "", "format of the log, text or json; by default text on a terminal and json elsewhere: `LOG_FORMAT`")
}

// handler returns a handler that writes to out, which is standard error: standard output
// is for the results of commands.
func (c *logConfig) handler(out *os.File) (slog.Handler, error) {
	format := c.format
	if format == "" {
		format = defaultFormat(out)
	}
	options := &slog.HandlerOptions{Level: c.level, ReplaceAttr: maskAttr}
	switch format {
	case "text":
		return slog.NewTextHandler(out, options), nil
	case "json":
		return slog.NewJSONHandler(out, options), nil
	default:
		return nil, fmt.Errorf("log-format (LOG_FORMAT) is %q: choose text or json", format)
	}
}

// defaultFormat returns text for a terminal and json for everything else.
func defaultFormat(out *os.File) string {
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return "text"
	}
	return "json"
}

// supervisor runs the parts of a process. It stops them in the reverse order of
// their start, so that each part outlives those that use it.
type supervisor struct {
	parts []*part
	// failed receives the name of the first part that ends before it is stopped.
	failed chan string
}

func newSupervisor() supervisor { return supervisor{failed: make(chan string, 1)} }

// part is a running part. Its run function blocks until its context ends and its
// work has drained; returning earlier means that the part failed.
type part struct {
	name   string
	cancel context.CancelFunc
	done   chan error
}

// start runs a part until stop. The part gets the values of ctx, but does not end
// with it.
func (s *supervisor) start(ctx context.Context, name string, run func(ctx context.Context) error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{name: name, cancel: cancel, done: make(chan error, 1)}
	s.parts = append(s.parts, p)
	go func() {
		err := run(own)
		if own.Err() == nil {
			if err == nil {
				err = errors.New("ended without an error, but was not stopped")
			}
			select {
			case s.failed <- name:
			default: // another part failed first
			}
		}
		p.done <- err
	}()
}

// wait blocks until ctx ends or a part fails. It returns the name of the part that
// failed, if any.
func (s *supervisor) wait(ctx context.Context) (failed string) {
	select {
	case <-ctx.Done():
		return ""
	case name := <-s.failed:
		return name
	}
}

// linger blocks for a while after ctx has ended, or until a part fails. It returns the name
// of the part that failed, if any.
func (s *supervisor) linger(ctx context.Context, delay time.Duration) (failed string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), delay)
	defer cancel()
	return s.wait(ctx)
}

// stop stops the parts in reverse order and waits for each before it stops the
// next. It returns the errors of all parts that failed, earlier or during the stop.
func (s *supervisor) stop() error {
	var failures []error
	for _, p := range slices.Backward(s.parts) {
		p.cancel()
		if err := <-p.done; err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(failures...)
}
