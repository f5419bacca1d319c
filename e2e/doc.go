// Package e2e tests the built program as its users run it: real processes with
// real sockets and signals. It checks the promise that a webhook answered 2xx is
// never lost and takes effect once, in every mode, whichever process is killed.
//
// The package has only tests. They know the program by its command line, its
// answers, its contract in gen and the list of its modes. A test that runs in every
// mode is named Test…/<mode>/<lane>/<layout>, where the lane is the servers that
// the program uses.
package e2e
