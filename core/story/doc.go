// Package story tells everything that is known of one order in the order in which it happened: the hold, how its buyer was let
// in, each attempt to pay, each step with who caused it and by what, what the provider reported and was told, the ledger, the
// tickets, and what came afterwards.
//
// It owns nothing and writes nothing. It is made of small sources, each of which reads one table by its primary key or by an
// index that is there anyway; a new kind of thing that can happen to an order is one more source in the list. Tables are read
// one after the other and not in one snapshot: a story of an order that is moving may lack the last moment of it.
//
// It refuses to tell a client secret or personal data: raw events of providers are redacted, see Redact.
//
// # Concurrency
//
// Tell may be called from many goroutines.
package story
