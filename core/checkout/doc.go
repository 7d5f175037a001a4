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
//	       review ─────────▶ PaymentReview (from either; authorized, nothing sold) ── approved ──▶ as authorized
//	                           └── denied, hold expired or released ──▶ Cancelled or Expired (the authorization is voided)
//	       denied ─────┼──▶ Cancelled    (by what is known of the buyer, or an operator; nothing was sold)
//	    hold expired ──────┼──▶ Expired      (also from PaymentPending before the sale; the intent is voided)
//	    hold released ─────┼──▶ Cancelled    (likewise)
//	   card over limit ────┼──▶ Cancelled    (instead of the sale; the authorization is voided, the hold released)
//	    event cancelled ───┼──▶ Cancelled    (instead of the sale; its hold is given back)
//	    capture refused ───┴──▶ CaptureFailed (from PaymentPending after the sale; transfers voided, seats back on sale)
//
// A payment that was never sent to its provider, because the provider is down, is given to another one (rerouted), see
// failover.go; one that may have been sent never is.
//
//	[TicketIssued, RefundPending, Refunded, RefundFailed] ── dispute opened (tickets void) ──▶ Disputed ── lost ──▶ DisputeLost
//	Disputed ── won ──▶ TicketIssued (tickets valid again, in a new epoch), or where its refunds say: Refunded, RefundPending, RefundFailed
//
// Money goes back like this; as long as tickets are left the order stays where it is (the part_ causes):
//
//	              refund requested              refunded
//	TicketIssued ──────────────────▶ RefundPending ─────▶ Refunded ──┐ sent back by the buyer's bank
//	                                   ▲      │ failed               │
//	                           retried │      ▼                      │
//	                                   └─ RefundFailed ◀─────────────┘
//	                                          └──▶ Refunded (paid otherwise)
//
// and money that came too late like this, while the event sells, its file lets it and the same kind of ticket is left:
//
//	         reseated                    (another hold is sold, capture in the outbox)
//	Expired ──────────▶ PaymentPending
//	         late sold                   (the money was captured already)
//	Expired ──────────▶ PaymentComplete ──▶ TicketIssued
//
// else an authorization is voided, and what is captured goes back: Expired, Cancelled or CaptureFailed ──▶ RefundPending.
//
// An operator may give a ticket another seat (MoveSeat); the order stays TicketIssued, and its lines name the seat that it has now.
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
// # Unpaid orders
//
// An order with an address that nobody pays for a while is mailed a link, once and only while its hold lives (unpaid.go): whoever opens it can
// pay that order and see how it stands, on any device, and nothing else. All devices pay the one live attempt, so two at once pay once.
//
// # The audit trail
//
// Each row of order_events says who caused the step and by what: the webhook (with the hash of its payload) or the outbox
// task. The rows of an order are a hash chain whose head is kept in the order's row, written by the statements that write
// them anyway; a seal over the heads follows some seconds later, off the hot path (chain.go, seal.go). Verify recomputes
// all of it. Rows of order_events and seals are only ever inserted; the service's role may do no more.
//
// # Refunds
//
// A refund (refund_make.go) is one transaction: tickets void, units back on sale unless they are kept off it, transfers
// pending, the call in the outbox. Its id follows from the order and the caller's key and is the provider's idempotency key,
// so no step of it can be done twice. Success and failure come by answer, webhook or lookup (refund_outcome.go), and the
// transfers are posted, voided, or reversed when the buyer's bank sends the money back. What somebody refunded in the
// provider's own pages is booked, whether a webhook tells of it or the settlement (refund_found.go, refund_settled.go): if nothing is left of
// the order's money its tickets are void, and a part waits for an operator to say what becomes of them (refund_review.go). Of one that an operator gave up the provider is asked before anything
// else is given back (refund_revive.go). The books refuse more than is left of an order, in the
// transaction that would promise it. A cancelled event is refunded by a run (refund_run.go).
//
// A buyer cannot refund a ticket that has been scanned in, nor a resale whose seller has been paid; an operator can.
// A ticket that was handed on is its receiver's: its buyer cannot refund it, an operator can, and a cancelled event does. The money goes
// back to who paid, and the ticket is void whoever has it (refund_transferred.go); who has it is told so by mail (holders.go).
//
// # Disputes
//
// A bank takes money back and asks nobody (dispute.go). While it is undecided all tickets of the order are void, also when only a part is
// disputed: a bank does not say which tickets it means. Won (dispute_close.go), those that no refund has taken back are valid again in a
// new epoch; lost, even in part, none is, and an operator may refund an amount of what is left. Who has one of them and did not pay for it
// is told each of that by mail (holders.go). Of several disputes the first that is lost
// decides, and nothing is won before all are. A refund cannot be asked for while a dispute is undecided, and the books refuse one that
// is tried again; one that was under way ends as its provider says. What a lost dispute takes beyond what is left is a cost of the
// provider, counted by core_disputes_lost_twice_total and told in the order's history; if the refund that made it so fails after all, it
// is charged to those who had earned it, and the refund is settled (paid otherwise). Money that came late and is disputed waits for the
// bank. A dispute that is told before its payment's capture is asked about by the outbox until that is known (dispute_early.go), for a day. One of which
// nothing is told is found in its provider's list (dispute_listing.go), and one of whose decision nothing is told is asked about
// (dispute_lookup.go).
//
// # Resale
//
// An order whose one line names a listing is a resale (resale.go): a ticket of one buyer, sold to the next. It is held, screened, paid and
// captured as any other; the transaction that records its money makes the seller's ticket void before it writes the buyer's, and divides the
// price. Its late money buys nothing else and goes back. Whoever paid for a ticket that was resold has no claim to a refund of it, except that
// a cancelled event refunds those who were not paid for selling; a refund or a lost dispute of the resale undoes it, a dispute that is
// lost in part takes its part of everybody's share (package resale). A resold ticket's seat may be changed as any other's; it stays with the
// hold that it was sold first with, and the orders that sold it on follow (seat_resold.go).
//
// # Concurrency
//
// Openings and outcomes are group-committed in one lane: many orders per transaction, one writer per core. Several
// cores may do so at once; SERIALIZABLE and the unique constraints decide between them. A Service is safe for concurrent
// use. Run must be running for anything to move after an order is opened.
package checkout
