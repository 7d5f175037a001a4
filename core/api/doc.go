// Package api is core's HTTP: five listeners, each with an address and a right of its own.
//
//	edge     what edges ask: enrolment, keys, pool, state, redemption, holds in batches, and the buyers' routes they pass on
//	admin    what operators ask through ticketctl
//	gate     what scanners at the doors ask, each with its gate's own credential
//	webhook  what payment providers report; the signature is the authorization
//	private  health, metrics and profiles; never reachable from outside
//
// It owns the only table from errors to HTTP (problem.go), the shapes of the JSON, and authorization: bearer secrets for
// edges and operators, the core's own MAC on sessions for buyers, and ownership of every hold, order and ticket asked for.
// It decides nothing else; every rule is in the packages it calls. Bodies, batches and waits are bounded. Handlers are
// safe for concurrent use, as everything they call is.
package api
