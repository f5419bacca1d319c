package program

import (
	"bytes"
	"io"
)

// lines passes on what is written and hands over each complete line of it.
type lines struct {
	to   io.Writer
	each func(string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	if n, err := l.to.Write(p); err != nil {
		return n, err
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
