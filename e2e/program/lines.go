package program

import (
	"bytes"
	"io"
	"sync"
)

// lines copies what is written to another writer, and calls each for every complete
// line. Write does not wait for the copy: a slow disk would otherwise hold up the
// process that writes the log.
type lines struct {
	each func(string)
	rest []byte

	mu      sync.Mutex
	pending []byte
	more    chan struct{} // has an element when pending may have grown
	written sync.WaitGroup
}

func newLines(to io.Writer, each func(string)) *lines {
	l := &lines{each: each, more: make(chan struct{}, 1)}
	l.written.Go(func() {
		for range l.more {
			// Only people read the copy.
			_, _ = to.Write(l.take())
		}
	})
	return l
}

func (l *lines) take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending := l.pending
	l.pending = nil
	return pending
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.pending = append(l.pending, p...)
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default: // there is an element already
	}
	l.rest = append(l.rest, p...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		l.each(string(line))
		l.rest = rest
	}
}

// close waits until everything is copied. Nothing may be written after it.
func (l *lines) close() {
	close(l.more)
	l.written.Wait()
}
