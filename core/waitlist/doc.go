// Package waitlist owns the tables waitlists, waitlist_entries and waitlist_offers: who found nothing and asked to be told, and what they
// are offered before anybody else can have it.
//
// It knows stock and holds, and nothing of orders or money. An offer is a hold of the buyer's own: who accepts it orders and pays it as any
// hold, with every limit and check, and who does not loses it as any hold is lost, by the database's clock.
//
// # Who comes when
//
// Whoever asks before the draw is drawn; whoever asks later is behind them, in order of asking. The draw is draw_after the moment at which
// the event was first seen sold out, so asking within that time is not a race. Its secret is made with the list and its commitment is public
// from then on; at the draw the entrants' Merkle root, the secret and the seed that follows from both are written together, and seed and
// entrant give everybody's place (edge/lottery). Anybody can check a Transcript: Verify.
//
// Who comes first is offered as many as they asked for, or as many as there are, of the tier they named first; who wants all together or
// none is passed over as long as there are fewer, and keeps the place. What nobody waiting wants goes to general sale. Who declines an offer
// or lets it lapse has to ask again.
//
// Who cannot have what is offered, since the seats do not fit, a limit leaves fewer or anything else refuses the hold, is offered fewer of it
// at once, if they take fewer and can have some. If not, they keep the place and are passed over for these units for some minutes: the next
// has them, or everybody. Only who has as many as one buyer may is taken off the list; what others of the same browser or network hold may
// come free.
//
// An asker is an account, and has one entry. What somebody has bought without it, as a browser, counts with what they are offered where the
// event has limits by browser (limits.per_device) and they asked in the same one: the mark is the browser's either way. Elsewhere nobody can
// tell that the two are one: an account that happens to be signed in is not taken for the buyer, since signing out would undo that, and
// the limit by buyer counts them apart.
//
// # What is kept
//
// While somebody waits for a tier of an event that is sold out, or whose sale has ended, its stock row is kept for the list
// (inventory.KeepForWaitlist): refunds, failed and expired purchases, everything that comes back, is for the list in the transaction that
// brings it back. So is a listing, from the transaction that lists it (Resold). A second may pass between "sold out" and the first row that
// is kept; what comes back in it is anybody's.
//
// # An entry, and its offer
//
//	        Ask                arrange            the hold is sold
//	(nothing) ──▶ waiting ─────────────▶ offered ─────────────────▶ bought
//	               │    ▲  no such hold     │ declined ──▶ left
//	         Leave │    └───────────────────┤ expired  ──▶ lapsed
//	               ▼                        │ over the limit, the event is cancelled, or the list closes ──▶ closed
//	              left
//
//	making ──the hold is granted──▶ open ──Accept──▶ accepted ──▶ bought, expired, declined
//	   └── refused: void              └──▶ bought, expired, declined
//
// Making is written before the hold is asked for, whose key follows from the offer: a process that dies in between leaves an offer that any
// core makes again, with the same hold. Units of offers in the making are not offered again, and the transaction that makes an offer reads
// the stock and those, so two cores never put the second before the first. Opening and the mail are one transaction. What becomes of the
// hold is read from the hold itself, so nothing is missed however it ended. Accept gives the hold as long to live as an ordinary one; it
// meets the expiry in the hold's row, and one of the two wins.
//
// # Concurrency
//
// A Service is safe for concurrent use. Any number of processes may Run one.
package waitlist
