// Package resale owns the tables listings and listing_prices: tickets that their owners sell on, at a price that law and organizer allow.
//
// It knows tickets, stock and money, and nothing of orders or payments: package checkout sells a listing as it sells anything else, and
// calls Begin, Release, Take, Entitle, Gone and Undo inside its own transactions.
//
// # A listing's life
//
//	         List                Begin                  Take
//	(ticket) ────▶ open ────────────────────▶ selling ────────▶ sold
//	                │ ▲          Release         │                │
//	                │ └──────────────────────────┤                │ Undo
//	       Withdraw │ └──────────┐ Gone          │ Gone           ▼
//	                ▼            ▼               │              undone
//	           withdrawn       ended ◀───────────┘
//
// Listing takes the ticket out of use in the same transaction: its code is dead, and whatever ends the listing without a sale begins its
// next epoch. An open listing is a stock row of capacity 1 (inventory.List), so two buyers of one listing are decided as two buyers of
// the last place are. While somebody holds it, it cannot be withdrawn; its price can change, and whoever holds it pays the one they
// were shown. When the hold expires it is on sale again by itself.
//
// Selling means that a buyer's payment is authorized. If the capture is refused it is open again. When the money is captured, one
// transaction makes the seller's ticket void, issues the buyer's, appends the step to its title and divides the money. A ticket that was
// refunded, disputed or whose event was cancelled meanwhile cannot be handed over (ended): the buyer's money then goes back as late
// money does.
//
// # What a price is
//
// The seller asks an amount; the buyer pays that, a fee of the platform and the tax on the fee: the all-in price, which is what is shown
// and what the cap is compared with. The cap follows from the chain of title: what the ticket cost in all when it was first issued, or
// where the rule says so the lower of that and what its present holder paid. Of the event's rule and that of the venue's country the
// stricter one counts.
//
// # Whose money it is
//
// Of what was asked the organizer gets a share, the platform a commission, the seller the rest, on their account in the ledger until
// they are paid: a while after the event, or so many days after the sale, never before, and once. A payout is noted as sent before the
// bank is told, so that whoever dies in between leaves a payout to be looked into and none to be made twice.
//
//   - The buyer is refunded, or wins a dispute: Undo. They get back what they paid; the seller is not paid and has the ticket again, in its
//     next epoch. A seller who was paid before keeps the money, the organizer bears it, and the ticket stays void; so only
//     an operator refunds such a resale. If the bank sends the money back later, it is the organizer's, and the seller has the ticket again.
//   - The buyer's bank takes a part: the seller, the platform and the organizer each give back their share of that part; the ticket stays
//     void, and the seller is paid what is left. What an operator refunds of the rest is divided the same way, and the last of it undoes
//     the resale.
//   - The event is cancelled: the last holder is refunded, and so is everybody before them who was not paid for selling. Who was paid is
//     not refunded what they had paid themselves, unless the bank sends it back: then asking for the event's refund again does so. Who paid for a
//     ticket and gave it away is refunded, though who was given it was paid for selling it.
//   - The seller's own purchase is charged back by their bank: they forfeit what they were not paid yet, or what the bank sends back
//     later; the buyer keeps the ticket. Of one that the bank takes a part of, or an operator then refunds, they forfeit of each ticket no
//     more than its share of the price that was lost, and are paid the rest.
//   - The buyer's purchase is charged back, whole or in part, after they had resold the ticket: the buyer forfeits so much of their own share
//     of that, the organizer bears the rest, and the seller, whose ticket is gone, is paid.
//   - The buyer is refunded while the seller's own purchase is disputed: the seller has neither; they have the ticket again when the
//     dispute is won.
//   - While one of the two purchases is disputed the seller is not paid.
//
// # Concurrency
//
// A Service is safe for concurrent use, in several processes: every step is a serializable transaction whose statements repeat the state
// they rest on.
package resale
