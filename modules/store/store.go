// Package store has what the engines of the ledger's database share. Each engine
// is a package below: it implements payments.Store, embeds [Reader] for the queries
// of the API and of operators, and passes the suite in storetest. Package transfer
// copies the database of one engine into that of another.
//
// Here belongs what is the same in every engine: the columns of the tables and how
// they are read, the text of queries, and the migrations.
package store
