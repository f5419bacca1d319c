// Package payments is the language that every module speaks, and the domain
// behind it: what orders and disputes are, what a provider's update may do to
// them, and the ledger that records each update exactly once.
//
// It imports the generated contract, the Protobuf runtime and the standard
// library only. It knows no wire, no database and no configuration. Every rule
// about an update is here, once for all transports.
//
// An Update travels through Appliers until it reaches the [Ledger], which
// judges it against the history of its order and hands the result to a [Store].
package payments
