package admin

import (
	"context"
	"math"
	"sync"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// pollInterval is the time between two readings of the database for its gauges.
	pollInterval = 15 * time.Second
	// pollTimeout limits one query of a reading.
	pollTimeout = 5 * time.Second
)

// Database reads the values of the gauges of a database.
type Database interface {
	// CountDeadLetters returns the numbers of the dead letters that a query selects.
	CountDeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]payments.DeadLetterCount, error)
	// OldestOpenDeadLetter returns when the oldest open dead letter was created, or a zero
	// time if none is open.
	OldestOpenDeadLetter(ctx context.Context) (time.Time, error)
	// DisputesDue counts the open disputes by their deadline.
	DisputesDue(ctx context.Context, now time.Time) (payments.DisputesDue, error)
}

// StoreStats holds sizes of a database.
type StoreStats struct {
	// InUse and Idle are numbers of open connections, and Max is the largest number of
	// both together.
	InUse, Idle, Max int
	// Bytes is the size of the database, and WALBytes that of its write-ahead log; less
	// than 0 if the database does not report one.
	Bytes, WALBytes int64
}

// WatchDatabase adds the gauges of a database. It returns a function that reads the
// database for them at once and then every 15 seconds, until its context ends. A gauge is
// NaN before the first reading, and after one that failed; the log has the error once.
func (s *Server) WatchDatabase(db Database, stats func(context.Context) (StoreStats, error)) (run func(context.Context) error) {
	p := &poll{server: s}
	s.addOpenLetters(p, db)
	s.addDisputesDue(p, db)
	s.addStoreStats(p, stats)
	return p.run
}

func (s *Server) addOpenLetters(p *poll, db Database) {
	open := polled(p, "open dead letters", func(ctx context.Context) ([]payments.DeadLetterCount, error) {
		return db.CountDeadLetters(ctx, payments.DeadLetterQuery{})
	})
	s.AddGauges("payrelay_dead_letters_open", "Dead letters that wait for an operator, NaN if the database could not be read.", []string{"reason"},
		func(show func(float64, ...string)) {
			counts, known := open()
			byReason := make(map[payrelayv1.DeadLetterReason]int64)
			for _, c := range counts {
				byReason[c.Reason] += c.Count
			}
			for number := range payrelayv1.DeadLetterReason_name {
				reason := payrelayv1.DeadLetterReason(number)
				if name := payments.DeadLetterReasons.Name(reason); name != "" {
					show(knownValue(byReason[reason], known), name)
				}
			}
		})
	oldest := polled(p, "oldest open dead letter", db.OldestOpenDeadLetter)
	s.AddGauges("payrelay_dead_letters_oldest_timestamp_seconds", "Time at which the oldest open dead letter was created, NaN if the database could not be read. There is no value while none is open.", nil,
		func(show func(float64, ...string)) {
			if at, known := oldest(); !known {
				show(math.NaN())
			} else if !at.IsZero() {
				show(float64(at.UnixMilli()) / float64(time.Second/time.Millisecond))
			}
		})
}

func (s *Server) addDisputesDue(p *poll, db Database) {
	due := polled(p, "disputes that are due", func(ctx context.Context) (payments.DisputesDue, error) { return db.DisputesDue(ctx, time.Now()) })
	s.AddGauges("payrelay_disputes_due", "Open disputes whose deadline for evidence has passed, or is within 24 or 72 hours. NaN if the database could not be read.", []string{"within"},
		func(show func(float64, ...string)) {
			counts, known := due()
			show(knownValue(counts.PastDue, known), "past")
			show(knownValue(counts.InDay, known), "24h")
			show(knownValue(counts.InThreeDays, known), "72h")
		})
}

func (s *Server) addStoreStats(p *poll, stats func(context.Context) (StoreStats, error)) {
	sizes := polled(p, "sizes", stats)
	s.AddGauges("payrelay_store_connections", "Connections to the database: in use, idle, and the largest number of both together.", []string{"state"},
		func(show func(float64, ...string)) {
			now, known := sizes()
			show(knownValue(int64(now.InUse), known), "in_use")
			show(knownValue(int64(now.Idle), known), "idle")
			show(knownValue(int64(now.Max), known), "max")
		})
	for name, size := range map[string]struct {
		help string
		of   func(StoreStats) int64
	}{
		"payrelay_store_size_bytes": {"Size of the database, NaN if it could not be read.", func(s StoreStats) int64 { return s.Bytes }},
		"payrelay_store_wal_bytes":  {"Size of the write-ahead log of SQLite, NaN if it could not be read.", func(s StoreStats) int64 { return s.WALBytes }},
	} {
		s.AddGauges(name, size.help, nil, func(show func(float64, ...string)) {
			if now, known := sizes(); !known || size.of(now) >= 0 {
				show(knownValue(size.of(now), known))
			}
		})
	}
}

func knownValue(value int64, known bool) float64 {
	if !known {
		return math.NaN()
	}
	return float64(value)
}

// poll runs queries of a database in turn.
type poll struct {
	server  *Server
	queries []func(context.Context)
}

// run runs the queries until ctx is done.
func (p *poll) run(ctx context.Context) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		for _, query := range p.queries {
			query(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// polled adds a query. It returns a function that returns the last result, and false if
// the last query failed.
func polled[T any](p *poll, what string, read func(context.Context) (T, error)) func() (T, bool) {
	var (
		mu    sync.Mutex
		last  T
		known bool
		again bool // whether the last query failed too
	)
	p.queries = append(p.queries, func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, pollTimeout)
		defer cancel()
		value, err := read(bounded)
		if ctx.Err() != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		last, known = value, err == nil
		if err != nil && !again {
			p.server.log.Warn("a gauge of the database cannot be read", "of", what, "error", err)
		}
		again = err != nil
	})
	return func() (T, bool) {
		mu.Lock()
		defer mu.Unlock()
		return last, known
	}
}
