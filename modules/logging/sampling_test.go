package logging

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// output is a log that can be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// lines returns the lines that have all parts.
func (o *output) lines(parts ...string) (found []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range strings.Lines(o.b.String()) {
		has := true
		for _, part := range parts {
			has = has && strings.Contains(line, part)
		}
		if has {
			found = append(found, line)
		}
	}
	return found
}

func sampled() (*slog.Logger, *Sampler, *output) {
	out := new(output)
	s := Sample(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return slog.New(s), s, out
}

func wantLines(t *testing.T, out *output, want int, parts ...string) {
	t.Helper()
	if got := out.lines(parts...); len(got) != want {
		t.Errorf("%d lines have %q, want %d:\n%s", len(got), parts, want, strings.Join(got, ""))
	}
}

func TestRepeatedLinesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, out := sampled()
		defer s.Close()
		for i := range 1260 {
			log.Warn("refused", "code", "unavailable", "id", i)
		}
		log.Warn("refused", "code", "internal")     // another kind
		log.Error("refused", "code", "unavailable") // and another
		wantLines(t, out, burst, "level=WARN", "code=unavailable")
		wantLines(t, out, 1, "code=internal")
		wantLines(t, out, 1, "level=ERROR")
		time.Sleep(Period + 1)
		synctest.Wait()
		wantLines(t, out, 1, `level=WARN msg="refused: 1240 more in the last 10s" code=unavailable left_out=1240`)
		wantLines(t, out, burst+3)
		log.Warn("refused", "code", "unavailable") // a new period
		wantLines(t, out, burst+1, "msg=refused", "level=WARN", "code=unavailable")
	})
}

func TestLinesOfDebugAreNotSampled(t *testing.T) {
	log, s, out := sampled()
	defer s.Close()
	for range 3 * burst {
		log.Debug("webhook accepted")
	}
	wantLines(t, out, 3*burst, "webhook accepted")
}

func TestDeadLettersHaveALargerBurst(t *testing.T) {
	log, s, out := sampled()
	for range letterBurst + 1 {
		log.Warn(letterMessage, "reason", "conflict")
	}
	wantLines(t, out, letterBurst, `msg="dead letter opened"`)
	s.Close()
	wantLines(t, out, 1, "1 more in the last", "reason=conflict")
	s.Close()
	wantLines(t, out, letterBurst+1)
}

// The number of kinds is bounded: further ones are written.
// The log has each action of an operator.
func TestActionsOfOperatorsAreNotSampled(t *testing.T) {
	log, s, out := sampled()
	defer s.Close()
	for i := range 10 * burst {
		log.Info("an operator acted", "who", "ops (ann)", "target", i)
	}
	wantLines(t, out, 10*burst)
}

func TestKindsAreBounded(t *testing.T) {
	log, s, out := sampled()
	defer s.Close()
	for i := range maxKinds + 100 {
		log.Warn("refused", "source", fmt.Sprint("source-", i))
	}
	if n := len(s.counts.kinds); n != maxKinds {
		t.Errorf("%d kinds are counted, want %d", n, maxKinds)
	}
	wantLines(t, out, maxKinds+100)
}

// Loggers with attributes and groups share the counts, and keep their attributes.
func TestDerivedLoggersShareTheCounts(t *testing.T) {
	log, s, out := sampled()
	defer s.Close()
	for range burst {
		log.With("listener", "api").WithGroup("g").Warn("x", "y", 1)
	}
	log.Warn("x")
	wantLines(t, out, burst, "listener=api", "g.y=1")
	wantLines(t, out, burst)
}

type key struct{}

func TestLinesHaveTheTrace(t *testing.T) {
	out := new(output)
	log := slog.New(Traced(slog.NewTextHandler(out, nil), func(ctx context.Context) string {
		id, _ := ctx.Value(key{}).(string)
		return id
	}))
	log.With("a", 1).InfoContext(context.WithValue(t.Context(), key{}, "abc"), "traced")
	log.WithGroup("g").InfoContext(context.WithValue(t.Context(), key{}, "def"), "grouped")
	log.Info("not traced")
	wantLines(t, out, 1, "a=1 trace_id=abc")
	wantLines(t, out, 1, "trace_id=def")
	wantLines(t, out, 2, "trace_id")
}
