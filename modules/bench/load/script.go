package load

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// interleaved is the number of orders that are in progress at once. It is larger
	// than any number of connections, so that two webhooks of one order are in flight
	// at the same time only in the workload that tests it.
	interleaved = 4096
	// hotInterval is the number of webhooks from one about the hot order to the next.
	hotInterval = 10
	// hotOrder is the number of the hot order. The others are numbered from 0.
	hotOrder = -1
)

// Script is the sequence of webhooks of a run. The n-th webhook is a function of n,
// so that a check can generate it again after the run. The methods are safe for
// concurrent use.
type Script struct {
	workload  Workload
	lifecycle lifecycle
	// run is part of every ID, so that runs can share a database.
	run   string
	seed  uint64
	start time.Time
	taken atomic.Int64
}

// NewScript returns a script whose IDs contain run and whose orders began an hour
// before now.
func NewScript(w Workload, run string, now time.Time) *Script {
	s := &Script{workload: w, lifecycle: lifecycles[w.Kind], run: run, start: now.UTC().Add(-time.Hour).Truncate(time.Second)}
	for _, b := range []byte(run) {
		s.seed = bits.RotateLeft64(s.seed, 7) ^ uint64(b)
	}
	if s.lifecycle.sequence == nil {
		for index := range s.lifecycle.histories[0] {
			s.lifecycle.sequence = append(s.lifecycle.sequence, index)
		}
		s.lifecycle.shuffled = s.lifecycle.sequence
	}
	return s
}

// take returns the number of the next webhook to send.
func (s *Script) take() int64 { return s.taken.Add(1) - 1 }

// position identifies a change by the number of its order and its index in the
// order's history.
type position struct{ order, index int64 }

// position returns the position of the n-th webhook. The script sends interleaved
// orders in turn, each in its own lane. The lanes start at different places in
// their first order's history, so that the mix of changes is the same at any time.
func (s *Script) position(n int64) position {
	if s.workload.Kind == "hot" {
		if n%hotInterval == 0 {
			return position{hotOrder, n / hotInterval}
		}
		n -= n/hotInterval + 1
	}
	lane, length := n%interleaved, int64(len(s.lifecycle.sequence))
	step := n/interleaved + lane
	order := step/length*interleaved + lane
	sequence := s.lifecycle.sequence
	if order%5 == 4 {
		sequence = s.lifecycle.shuffled
	}
	return position{order, int64(sequence[step%length])}
}

func (s *Script) change(p position) change {
	if p.order == hotOrder {
		return updated
	}
	return s.lifecycle.histories[p.order&1][p.index]
}

// orderID returns an ID that is spread over the database's index as a random one
// is. IDs are unique because scatter multiplies by an odd number.
func (s *Script) orderID(p position) string { return "order-" + s.run + "-" + s.scatter(p.order) }

func (s *Script) eventID(p position) string {
	return "evt-" + s.run + "-" + s.scatter(p.order) + "-" + strconv.FormatInt(p.index, 10)
}

func (s *Script) scatter(n int64) string {
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15^s.seed)
	return hex.EncodeToString(id[:])
}

// occurredAt returns the time of a change: a second after the one before it, or a
// microsecond for the hot order, which has many.
func (s *Script) occurredAt(p position) time.Time {
	if p.order == hotOrder {
		return s.start.Add(time.Duration(p.index) * time.Microsecond)
	}
	return s.start.Add(time.Duration(p.index) * time.Second)
}
