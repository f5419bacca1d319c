// Package e2e runs the built program as its users do, as real processes with
// real sockets and signals, and holds it to its promise: a webhook answered 2xx
// is never lost and takes effect once, in every mode, through the death of any
// process.
//
// It has tests only. They know the program by its command line, its answers and
// its contract in gen, and nothing else of it. What has to hold in every mode is
// named Test…/<mode>/<lane>/<layout>, where a lane is what the program stands on.
package e2e
