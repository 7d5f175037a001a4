// Package payment owns everything that is said to and heard from payment providers: the calls (Provider), the outbox that
// makes them after the intent to call is durable (Outbox), and the inbox that keeps what providers report (Inbox).
//
// It refuses to call a provider inside a database transaction, to answer a webhook before it is stored, and to store one
// whose signature does not verify. It does not know what an order is: package checkout owns the orders and the payments
// rows, and passes its own transaction to Enqueue and its own functions to the two Run methods.
//
// # Which provider
//
// Providers chooses by rules (Route): currency, country of the venue, method of the buyer, cost. Between a core and each of
// its providers stands a circuit breaker. It counts calls that got no answer or one of trouble, never declines, and while it
// is open answers ErrUnavailable without calling. New payments pass over a provider that is down; a payment that may have
// been sent to one stays with it.
//
// # A task's life
//
//	Enqueue ──▶ ready ──claim──▶ ready, leased ──handler done──▶ done
//	              ▲                 │   │
//	              │  error: backed  │   └─ ErrPermanent, or attempts used up ──▶ dead (counted, listed, logged)
//	              └─ off, jittered ─┤
//	              └─ lease ran out ─┘   (no sign of life of the worker: any worker runs it again)
//
// A task runs at least once, so handlers are idempotent: they call the provider with a key made from the payment's id and
// the step, and they look at the rows before they act. Two tasks of one order never run at once, whatever the number of
// processes; tasks of one order that are due start in the order in which they fell due.
//
// # What a webhook is worth
//
// Providers deliver a webhook twice, late, in any order, and sometimes before they answer the call that caused it. An
// Event therefore carries the order, attempt and payment it is about, taken from the metadata that every provider object
// was made with, and is a hint: whoever applies its Outcome must let a later state of the payment stand.
//
// # Concurrency
//
// An Outbox, an Inbox and a Bucket are safe for concurrent use. Run of either is called once per process and returns when
// its context ends and everything it started has stopped.
package payment
