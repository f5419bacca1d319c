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
	// interleaved is how many orders are told at once. It is above every number of
	// concurrent senders, so that no two webhooks of one order are under way at the
	// same time unless that is the point.
	interleaved = 4096
	// hotEvery is how often the hot order comes.
	hotEvery = 10
	// hotOrder is the number of the hot order; others count from 0.
	hotOrder = -1
)

// Script says what the n-th webhook of a run is. It keeps nothing, so that a
// check can ask again after the run. Its methods may be called concurrently.
type Script struct {
	workload Workload
	life     life
	// run is in every id, so that runs can share a database.
	run   string
	seed  uint64
	start time.Time
	taken atomic.Int64
}

// NewScript is a script whose ids contain run, and whose orders began an hour
// before now.
func NewScript(w Workload, run string, now time.Time) *Script {
	s := &Script{workload: w, life: lives[w.Kind], run: run, start: now.UTC().Add(-time.Hour).Truncate(time.Second)}
	for _, b := range []byte(run) {
		s.seed = bits.RotateLeft64(s.seed, 7) ^ uint64(b)
	}
	if s.life.telling == nil {
		for place := range s.life.stories[0] {
			s.life.telling = append(s.life.telling, place)
		}
		s.life.shuffled = s.life.telling
	}
	return s
}

// take is the number of the webhook that is next.
func (s *Script) take() int64 { return s.taken.Add(1) - 1 }

// A place says which fact of which order a webhook tells.
type place struct{ order, at int64 }

// place is that of the n-th webhook. The lanes are staggered, so that every
// moment of a run has the same mix of beginnings and ends; the first orders are
// told from their middle on.
func (s *Script) place(n int64) place {
	if s.workload.Kind == "hot" {
		if n%hotEvery == 0 {
			return place{hotOrder, n / hotEvery}
		}
		n -= n/hotEvery + 1
	}
	lane, length := n%interleaved, int64(len(s.life.telling))
	step := n/interleaved + lane
	order := step/length*interleaved + lane
	telling := s.life.telling
	if order%5 == 4 {
		telling = s.life.shuffled
	}
	return place{order, int64(telling[step%length])}
}

func (s *Script) fact(p place) fact {
	if p.order == hotOrder {
		return updated
	}
	story := s.life.stories[p.order&1]
	return story[p.at]
}

// orderID spreads orders over the index as random ids do: each number has
// another one, for the factor is odd.
func (s *Script) orderID(p place) string { return "order-" + s.run + "-" + s.scatter(p.order) }

func (s *Script) eventID(p place) string {
	return "evt-" + s.run + "-" + s.scatter(p.order) + "-" + strconv.FormatInt(p.at, 10)
}

func (s *Script) scatter(n int64) string {
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15^s.seed)
	return hex.EncodeToString(id[:])
}

// occurredAt is the time of a fact: a second after the one before it, or a
// microsecond for the hot order, which has more of them.
func (s *Script) occurredAt(p place) time.Time {
	if p.order == hotOrder {
		return s.start.Add(time.Duration(p.at) * time.Microsecond)
	}
	return s.start.Add(time.Duration(p.at) * time.Second)
}
