package source

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// pollInterval is the time between two looks at the files. Looking works on every file
// system, and with the symbolic links by which Kubernetes replaces a mounted file.
const pollInterval = 2 * time.Second

// Live holds the set of sources that is in use. Its methods may be called concurrently.
type Live struct {
	path          string
	allowUnsigned bool
	log           *slog.Logger
	set           atomic.Pointer[Set]

	mu      sync.Mutex
	lastErr string
	pending string // what the last look of Run found
}

// Open loads the sources, as [Load] does.
func Open(path string, allowUnsigned bool, log *slog.Logger) (*Live, error) {
	set, err := Load(path, allowUnsigned)
	if err != nil {
		return nil, err
	}
	l := &Live{path: path, allowUnsigned: allowUnsigned, log: log}
	l.set.Store(set)
	return l, nil
}

// Set returns the current set.
func (l *Live) Set() *Set { return l.set.Load() }

// Reload reads the files again. If one of them is wrong, all sources stay as they are,
// and the log has the reason once.
func (l *Live) Reload() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return
	}
	l.use(Load(l.path, l.allowUnsigned))
}

// look reloads the files if they are the same as at the last look. A file that is being
// written may be valid as far as it is: without its last sources, whose webhooks would be
// refused, or without the line that ends the use of a secret.
func (l *Live) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return
	}
	set, err := Load(l.path, l.allowUnsigned)
	found := ""
	if err != nil {
		found = "error: " + err.Error()
	} else {
		found = set.fingerprint()
	}
	settled := found == l.pending
	l.pending = found
	if settled {
		l.use(set, err)
	}
}

// use replaces the set by the one that was loaded, if that differs. l.mu must be held.
func (l *Live) use(set *Set, err error) {
	if err != nil {
		if err.Error() != l.lastErr {
			l.log.Error("the sources were not reloaded, and those before the change stay in use", "error", err)
		}
		l.lastErr = err.Error()
		return
	}
	l.lastErr = ""
	before := l.set.Load()
	added, changed, removed := set.changes(before)
	if len(added)+len(changed)+len(removed) == 0 {
		return
	}
	set.keep(before)
	l.set.Store(set)
	l.log.Info("the sources were reloaded", "added", added, "changed", changed, "removed", removed)
}

// Run reloads the sources whenever a file changed and was then the same for pollInterval,
// until ctx is done.
func (l *Live) Run(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.look()
		}
	}
}
