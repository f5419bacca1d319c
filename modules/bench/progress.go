package bench

import (
	"fmt"
	"io"
	"strings"
)

// progress is one line that says how far the benchmark is.
type progress struct {
	out         io.Writer
	done, steps int
	width       int
}

// newProgress is silent without a terminal to write to.
func newProgress(out io.Writer, steps int) *progress {
	if out == nil {
		out = io.Discard
	}
	return &progress{out: out, steps: max(steps, 1)}
}

// steps are the calls of step to come.
func (b *bench) steps() int {
	each := 3 + len(b.loads) // start, warm-up, check
	if b.FindMax {
		each += expectedProbes
	}
	return b.Rounds * len(b.variants) * each
}

// step says what begins now.
func (p *progress) step(doing string) {
	const length = 20
	filled := min(p.done*length/p.steps, length)
	p.done++
	line := fmt.Sprintf("[%s%s] %s", strings.Repeat("#", filled), strings.Repeat(".", length-filled), doing)
	fmt.Fprintf(p.out, "\r%-*s", p.width, line) // a line that is not seen harms nobody
	p.width = len(line)
}

// end makes way for what comes next.
func (p *progress) end() { fmt.Fprintf(p.out, "\r%*s\r", p.width, "") }
