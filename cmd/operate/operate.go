// Package operate has the commands of the people on call. They show orders, disputes,
// dead letters, sources and the audit log, and settle what could not be applied. They
// call the query and operator services: over the network or, for a database, the handlers
// in this process.
//
// The package belongs to cmd, which passes in a function that opens a database.
package operate

import "github.com/spf13/cobra"

// New returns the commands.
func New(open Open) []*cobra.Command {
	return []*cobra.Command{
		newDeadLetters(open), newOrders(open), newDisputes(open), newExplain(open), newSources(open), newAudit(open), newRederive(open), newTail(),
	}
}
