package payments

import (
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// This file holds the rules of orders and disputes as tables. A row is the current
// status, a column the status of the newer snapshot, and a cell the move.
// docs/payments.md explains the moves and their sources.
//
// No status is final. The newest exact statement wins. A vague statement (updated,
// under_review) does not replace a more specific status.

// move is a cell of the tables: how a snapshot changes the status.
type move byte

const (
	// set takes the status of the snapshot.
	set move = 'S'
	// keep leaves the status and merges the other facts of the snapshot.
	keep move = 'k'
	// reopen takes the status of the snapshot and begins a new round of a dispute.
	reopen move = 'R'
	// attempt is a failure or a cancellation after a success. The result depends on
	// whether the snapshot is about a part that paid.
	attempt move = 'A'
	// contradict refuses the snapshot: it and the state cannot both be true, and a wrong
	// choice would hide money.
	contradict move = '!'
	// contest takes the status of an opposite outcome, unless both have the same time:
	// then it is a contradiction.
	contest move = 'C'
)

var orderMoves = parseMoves(OrderStatuses, `
	            created updated authorized failed canceled success refunded reversed
	-           S       S       S          S      S        S       S        S
	created     S       S       S          S      S        S       S        S
	updated     k       S       S          S      S        S       S        S
	authorized  k       k       S          S      S        S       S        S
	failed      k       S       S          S      S        S       S        S
	canceled    k       k       S          k      S        S       S        S
	success     k       k       k          A      A        S       S        S
	reversed    k       k       k          k      k        S       S        S
`)

// The moves of disputes depend on the stages of the snapshot and the state: the snapshot
// is at the same level, up or down. Stages are level if they are equal or one of them is
// not stated.
var (
	disputeMovesLevel = parseMoves(DisputeStatuses, `
	              open under_review submitted closed lost canceled won
	-             S    S            S         S      S    S        S
	open          S    S            S         S      S    S        S
	under_review  S    S            S         S      S    S        S
	submitted     S    S            S         S      S    S        S
	closed        R    k            R         S      S    S        S
	lost          R    k            R         k      S    C        C
	canceled      R    k            R         k      C    S        S
	won           R    k            R         k      C    S        S
	`)
	disputeMovesUp = parseMoves(DisputeStatuses, `
	              open under_review submitted closed lost canceled won
	open          S    S            S         S      S    S        S
	under_review  S    S            S         S      S    S        S
	submitted     S    S            S         S      S    S        S
	closed        R    R            R         S      S    S        S
	lost          R    R            R         S      S    S        S
	canceled      R    R            R         S      S    S        S
	won           R    R            R         S      S    S        S
	`)
	disputeMovesDown = parseMoves(DisputeStatuses, `
	              open under_review submitted closed lost canceled won
	open          S    S            S         S      S    S        S
	under_review  S    S            S         S      S    S        S
	submitted     S    S            S         S      S    S        S
	closed        R    k            R         S      S    S        S
	lost          R    k            R         k      k    !        !
	canceled      R    k            R         k      !    k        k
	won           R    k            R         k      !    k        k
	`)
)

// The ranks order the snapshots of one instant.
var (
	orderRanks   = ranks(OrderStatuses, "created updated authorized failed canceled success refunded reversed")
	disputeRanks = ranks(DisputeStatuses, "open under_review submitted closed lost canceled won")
)

// finalDispute reports whether a status is an outcome.
func finalDispute(s payrelayv1.DisputeStatus) bool {
	switch s {
	case payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED, payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST,
		payrelayv1.DisputeStatus_DISPUTE_STATUS_CANCELED, payrelayv1.DisputeStatus_DISPUTE_STATUS_WON:
		return true
	default:
		return false
	}
}

// moves maps the status of the state and that of the snapshot to a cell.
type moves[S ~int32] map[[2]S]move

// parseMoves parses a table in the form above. "-" is the unspecified status.
func parseMoves[S ~int32](names Names[S], table string) moves[S] {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	columns := strings.Fields(lines[0])
	parsed := make(moves[S])
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		from := mustParse(names, cells[0])
		for i, column := range columns {
			parsed[[2]S{from, mustParse(names, column)}] = move(cells[1+i][0])
		}
	}
	return parsed
}

func ranks[S ~int32](names Names[S], ascending string) map[S]int {
	ranked := make(map[S]int)
	for i, name := range strings.Fields(ascending) {
		ranked[mustParse(names, name)] = i + 1
	}
	return ranked
}

// mustParse panics if the name is unknown.
func mustParse[S ~int32](names Names[S], name string) S {
	status, ok := names.Parse(name)
	if !ok && name != "-" {
		panic("unknown status " + name)
	}
	return status
}
