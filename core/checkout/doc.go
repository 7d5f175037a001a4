// Package checkout owns orders: it opens one for a hold, follows its payment, sells the hold when the payment is
// authorized, posts the ledger when it is captured, and issues the tickets. It composes packages inventory, payment,
// ledger and ticket by passing one transaction to each of them; none of those knows of another.
//
// It refuses an order for a hold that is not the buyer's, not active or past its deadline, and any cause that the state
// table does not list for the order's state.
//
//	             opened                authorized (hold sold, transfers pending, capture in the outbox)
//	[Reserved] ─────────▶ PaymentPending ◀──┐
//	                       │  ▲   │   └─────┘
//	              declined │  │   │ captured (transfers posted)             issued
//	                       ▼  │   └───────────────▶ PaymentComplete ───────────────▶ TicketIssued (same transaction)
//	              PaymentFailed retried, authorized
//	                       │
//	    hold expired ──────┼──▶ Expired      (also from PaymentPending before the sale; the intent is voided)
//	    hold released ─────┼──▶ Cancelled    (likewise)
//	   card over limit ────┼──▶ Cancelled    (instead of the sale; the authorization is voided, the hold released)
//	    capture refused ───┴──▶ CaptureFailed (from PaymentPending after the sale; transfers voided, seats back on sale)
//
// The whole table, with the time an order may stay in each state and what is retried, is in state.go; nothing else in the
// repository decides about an order's state.
//
// # Steps and what a death between them costs
//
// Every arrow is one serializable transaction that also appends to order_events and writes the outbox row for the next
// call to the provider, so a process may die anywhere: what is committed is continued by any core from the outbox, what
// is not committed never happened. Messages of the provider may come twice, late and in any order, because an outcome is
// applied to what the rows say, not to what was expected next.
//
// # Concurrency
//
// Openings and outcomes are group-committed in one lane: many orders per transaction, one writer per core. Several
// cores may do so at once; SERIALIZABLE and the unique constraints decide between them. A Service is safe for concurrent
// use. Run must be running for anything to move after an order is opened.
package checkout
