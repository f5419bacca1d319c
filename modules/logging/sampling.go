// Package logging has the handlers between the loggers of a process and its output, which
// sample repeated lines and add the ID of the trace. It also logs batches and dead letters.
package logging

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// Period is the time over which lines of one kind are counted.
	Period = 10 * time.Second
	// burst is the number of lines of one kind that are written in a period.
	burst = 20
	// letterBurst is burst for dead letters: each needs an operator.
	letterBurst = 500
	// actionMessage is the message of the line about an action of an operator. Each is
	// written: it says who did what, and why.
	actionMessage = "an operator acted"
	// maxKinds is the largest number of kinds that are counted at once.
	maxKinds = 1024
)

// Sampler is a handler that passes on the first lines of a kind in each period, and then
// one line with the number of the others. The kind of a line is its level, its message and
// the attributes in kindKeys. Lines below Info and those about actions of operators are passed on. The methods may be called
// concurrently.
type Sampler struct {
	slog.Handler
	counts *counts
}

// Sample returns a Sampler in front of next. The caller closes it.
func Sample(next slog.Handler) *Sampler {
	return &Sampler{next, &counts{kinds: make(map[kind]*count)}}
}

// kind identifies lines that are counted together. It has no values of unbounded sets, such
// as ids.
type kind struct {
	level   slog.Level
	message string
	values  [len(kindKeys)]string
}

var kindKeys = [...]string{"code", "reason", "source"}

// counts are the lines of each kind in its period.
type counts struct {
	mu    sync.Mutex
	kinds map[kind]*count
}

type count struct {
	passed, left int
	end          *time.Timer
	// report writes the line about those that are left out.
	report func(left int)
}

func kindOf(record slog.Record) kind {
	k := kind{level: record.Level, message: record.Message}
	record.Attrs(func(attr slog.Attr) bool {
		for i, key := range kindKeys {
			if attr.Key == key && attr.Value.Kind() == slog.KindString {
				k.values[i] = attr.Value.String()
			}
		}
		return true
	})
	return k
}

// Handle passes on the record, or counts it.
func (s *Sampler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelInfo && record.Message != actionMessage && !s.counts.pass(kindOf(record), s.Handler) {
		return nil
	}
	return s.Handler.Handle(ctx, record)
}

// pass reports whether a line of a kind is written.
func (c *counts) pass(k kind, next slog.Handler) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.kinds[k]
	if n == nil {
		if len(c.kinds) >= maxKinds {
			return true
		}
		n = &count{report: func(left int) { reportLeft(next, k, left) }}
		n.end = time.AfterFunc(Period, func() { c.finish(k, n) })
		c.kinds[k] = n
	}
	limit := burst
	if k.message == letterMessage {
		limit = letterBurst
	}
	if n.passed < limit {
		n.passed++
		return true
	}
	n.left++
	return false
}

// finish ends the period of a kind.
func (c *counts) finish(k kind, n *count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kinds[k] == n {
		delete(c.kinds, k)
		n.finish()
	}
}

func (n *count) finish() {
	if n.end.Stop(); n.left > 0 {
		n.report(n.left)
	}
}

// reportLeft logs the number of lines of a kind that were left out.
func reportLeft(next slog.Handler, k kind, left int) {
	record := slog.NewRecord(time.Now(), k.level, fmt.Sprintf("%s: %d more in the last %s", k.message, left, Period), 0)
	for i, key := range kindKeys {
		if k.values[i] != "" {
			record.AddAttrs(slog.String(key, k.values[i]))
		}
	}
	record.AddAttrs(slog.Int("left_out", left))
	_ = next.Handle(context.Background(), record) // as a logger does
}

// Close writes the numbers of the lines that were left out until now.
func (s *Sampler) Close() {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	for k, n := range s.counts.kinds {
		delete(s.counts.kinds, k)
		n.finish()
	}
}

// WithAttrs returns the handler with attributes. They are not part of the kind.
func (s *Sampler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Sampler{s.Handler.WithAttrs(attrs), s.counts}
}

// WithGroup returns the handler with a group.
func (s *Sampler) WithGroup(name string) slog.Handler {
	return &Sampler{s.Handler.WithGroup(name), s.counts}
}
