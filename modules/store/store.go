// Package store is where the databases are: each folder below holds one
// implementation of payments.Store and of what the api role and the operators'
// commands read, and all of them pass the suite in storetest. Here is what they
// have in common, and how one is copied into another.
package store
