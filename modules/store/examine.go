package store

import "time"

// Examination holds what a check of an installation reads from a database.
type Examination struct {
	// Clock is the time of the server, or zero if the database has no clock of its own.
	Clock time.Time
	// Empty reports whether the database has no tables of payrelay yet.
	Empty bool
	// Lacking has the privileges that the user lacks, such as "UPDATE on orders".
	Lacking []string
}
