// Package store is where the databases are: each folder below holds one
// implementation of payments.Store and of what the api role and the operators'
// commands read, and all of them pass the suite in storetest.
package store

import "time"

// Migration is one step of a database's schema.
type Migration struct {
	Version int64
	Name    string
	// AppliedAt is zero while the migration is pending.
	AppliedAt time.Time
}
