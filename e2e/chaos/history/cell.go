// Package history holds what is known about one run: its cell, the webhooks that
// were sent, every attempt and its answer, every fault, and the rows that the
// database held at the end. The other packages of the fault checker write a
// history or judge one; this package has its types, the recorder that writes it to
// disk while the run goes on, and the reading of it afterwards.
//
// It does nothing to the program under test and knows no rule about what should
// be in a history.
package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// The stores and brokers that a cell is made of.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"

	Embedded = "embedded"
	Apache   = "apache"
)

// Modes returns the modes with a wire between ingest and api.
func Modes() []payments.Mode {
	return slices.DeleteFunc(slices.Clone(payments.Modes), func(m payments.Mode) bool { return m == payments.Direct })
}

// Cell is one combination of mode, store, broker and number of processes.
type Cell struct {
	Mode  payments.Mode `json:"mode"`
	Store string        `json:"store"`
	// Broker is the broker of mode kafka, and empty in the other modes.
	Broker string `json:"broker,omitempty"`
	// Processes is the number of ingest processes and, where the store allows more
	// than one, of api processes.
	Processes int `json:"processes"`
}

// String returns the cell's name, such as "kafka/sqlite+embedded/1".
func (c Cell) String() string {
	name := string(c.Mode) + "/" + c.Store
	if c.Broker != "" {
		name += "+" + c.Broker
	}
	return fmt.Sprintf("%s/%d", name, c.Processes)
}

// APIs returns the number of api processes: a SQLite file allows only one.
func (c Cell) APIs() int {
	if c.Store == SQLite {
		return 1
	}
	return c.Processes
}

// Matrix returns every cell. The modes without a broker are listed once for each
// store.
func Matrix() []Cell {
	var cells []Cell
	for _, processes := range []int{1, 2} {
		for _, mode := range Modes() {
			if mode != payments.Kafka {
				cells = append(cells, Cell{mode, SQLite, "", processes}, Cell{mode, Postgres, "", processes})
				continue
			}
			cells = append(cells,
				Cell{mode, SQLite, Embedded, processes},
				Cell{mode, Postgres, Embedded, processes},
				Cell{mode, Postgres, Apache, processes})
		}
	}
	return cells
}

// Limits are the times that a run must keep to.
type Limits struct {
	// Answer is the longest time that a webhook may wait for its answer.
	Answer time.Duration `json:"answer"`
	// Ready is the longest time from the end of a fault until every process is
	// ready.
	Ready time.Duration `json:"ready"`
	// CaughtUp is the longest time from the end of the last fault until everything
	// that was answered 2xx is applied.
	CaughtUp time.Duration `json:"caught_up"`
}

// IngestTimeout is the deadline of a webhook in every ingest process of a run.
const IngestTimeout = 3 * time.Second

// Strict are the limits that payrelay promises on a machine that does nothing
// else: an answer within the deadline and one second, readiness in five, and
// everything applied in a minute.
var Strict = Limits{Answer: IngestTimeout + time.Second, Ready: 5 * time.Second, CaughtUp: time.Minute}
