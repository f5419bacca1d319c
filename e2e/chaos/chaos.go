// Package chaos tries to break payrelay's promise: a webhook answered with 2xx is
// never lost and takes effect once, in every mode, through kill -9 of any process.
//
// A provider sends webhooks to a deployment of real processes and keeps a ledger
// of every attempt, outside of what is tested. A nemesis kills, stops and freezes
// the processes meanwhile, and cuts and slows the links between them. Then
// everything is healed, the database is read, not through the program, and a
// checker compares: [Check]. It knows the program by its command line, its answers
// and its tables, and has a model of its own of what they should hold.
//
// One run is of one [Cell]; the command in the folder run goes through the matrix.
package chaos

import (
	"fmt"
	"time"
)

// The modes, stores and brokers that a cell is made of.
const (
	Kafka    = "kafka"
	HTTP     = "http"
	Protobuf = "protobuf"
	GRPC     = "grpc"

	SQLite   = "sqlite"
	Postgres = "postgres"

	Embedded = "embedded"
	Apache   = "apache"
)

// Modes are those that have a wire.
var Modes = []string{Kafka, HTTP, Protobuf, GRPC}

// Cell is one kind of deployment.
type Cell struct {
	Mode  string `json:"mode"`
	Store string `json:"store"`
	// Broker is which one mode kafka runs on; empty in the other modes, which have
	// none.
	Broker string `json:"broker,omitempty"`
	// Processes is how many there are of the ingest role and, where the store
	// allows more than one, of the api role.
	Processes int `json:"processes"`
}

func (c Cell) String() string {
	name := c.Mode + "/" + c.Store
	if c.Broker != "" {
		name += "+" + c.Broker
	}
	return fmt.Sprintf("%s/%d", name, c.Processes)
}

// apis is how many api processes there are: a SQLite file has one.
func (c Cell) apis() int {
	if c.Store == SQLite {
		return 1
	}
	return c.Processes
}

// Matrix is every cell that there is. Without a broker in it, a calling mode is
// the same cell whichever broker stands beside it, so it is there once for each
// store.
func Matrix() []Cell {
	var cells []Cell
	for _, processes := range []int{1, 2} {
		cells = append(cells,
			Cell{Kafka, SQLite, Embedded, processes},
			Cell{Kafka, Postgres, Embedded, processes},
			Cell{Kafka, Postgres, Apache, processes})
		for _, mode := range Modes[1:] {
			cells = append(cells, Cell{mode, SQLite, "", processes}, Cell{mode, Postgres, "", processes})
		}
	}
	return cells
}

// Limits are what a run is held to.
type Limits struct {
	// Answer is within which every webhook has to be answered.
	Answer time.Duration `json:"answer"`
	// Ready is how soon after the healing of a fault everything has to be ready.
	Ready time.Duration `json:"ready"`
}

// Strict is what payrelay promises, on a machine that is not busy with other things:
// an answer within the deadline of the edge and a second, and readiness in five.
var Strict = Limits{Answer: edgeTimeout + time.Second, Ready: 5 * time.Second}

const (
	// edgeTimeout is within which the edge has to answer, by its configuration;
	// wireTimeout is within which it gives up on the wire.
	edgeTimeout = 3 * time.Second
	wireTimeout = 2500 * time.Millisecond
	// caughtUpWithin is how soon all that was answered 2xx has to be applied.
	caughtUpWithin = 60 * time.Second
	// stopWithin is the promise for a clean stop.
	stopWithin = 15 * time.Second
	// startWithin is generous: whether a start was soon enough is judged later.
	startWithin = 60 * time.Second
)
