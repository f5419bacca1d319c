package ingest

import (
	"sync"
	"time"
)

// burstTime is the time for which refusals of one kind are logged once.
const burstTime = 10 * time.Second

// bursts counts refusals that are not logged, by kind. The kinds are few: a source and a
// code of this package. The methods may be called concurrently.
type bursts struct {
	mu    sync.Mutex
	kinds map[string]*burst
}

type burst struct {
	began      time.Time
	suppressed int
}

func newBursts() *bursts { return &bursts{kinds: make(map[string]*burst)} }

// next reports whether a refusal is the first of its burst. Suppressed is the number of
// refusals of that kind since the last one that was the first.
func (b *bursts) next(kind string, now time.Time) (suppressed int, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := b.kinds[kind]
	if current == nil {
		current = &burst{}
		b.kinds[kind] = current
	}
	if now.Sub(current.began) < burstTime {
		current.suppressed++
		return 0, false
	}
	suppressed = current.suppressed
	current.began, current.suppressed = now, 0
	return suppressed, true
}
