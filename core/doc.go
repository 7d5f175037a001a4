// Package core is the map of Fairgate's middle; it has no code of its own.
//
//	db         pool, InTx (the one way to run a transaction), migrations, group commit, private database servers
//	event      events from YAML: venue, seating, tiers, prices, allocations, on-sale rules, and the keys of an event
//	catalog    the searchable list of events, in memory, following its table
//	inventory  stock, seats, holds, limits; decided in batches, each one transaction; seating/ picks the best seats,
//	           history/ records what is done and proof/ judges it
//	checkout   the order's state table; composes inventory, payment, ledger and ticket in one transaction
//	payment    providers, the routes to them and their circuit breakers, the outbox that calls them, the inbox of their
//	           webhooks; stripe/ and paypal/ are adapters, offline/ records transfers and cash by hand
//	settlement reconciliation: what providers settled against what the ledger has, and the corrections
//	fraud      judges payments before they are begun and when they are authorized: velocity, signals, verdicts with reasons
//	payout     what organizers are paid: releases, reserves, payouts
//	booking    what only the bank or an operator knows: provider payouts that arrived, taxes paid, rounding closed
//	ticket     tickets; code/ is what they show at the gate: signed, rotating where the event asks for it, drawn as QR; gate/ decides who
//	           enters, without a database; scan/ is the same with one, and merges what gates off line have let in; wallet/ makes
//	           passes for Apple Wallet and links for Google's, passes/ keeps those that were given out as their tickets are; paper/ draws tickets for print; scanner/ is the page with which a phone is a gate;
//	           title/ is whose a ticket was since its issue
//	transfer   hands tickets on: offers to an e-mail address, accepted in one transaction by the account that has proved it
//	notify     mails: the outbox in which they wait, the words they are written in, the server that takes them
//	account    who a buyer is beyond one browser: an e-mail address proved with a one-time code, sessions that edges know without asking
//	waitlist   who waits for tickets that come back, in an order that is drawn, and what they are offered before anybody else
//	reminder   who asked for a mail when a sale, or a presale, opens, and how they end that without signing in
//	resale     tickets that their owners sell on: listings, what they may cost, whose money it is, what sellers are paid
//	access     waiting room: pool, draw ceremony, admission controller, sessions, bans
//	story      everything that is known of one order, in the order in which it happened; reads only
//	api        HTTP: five listeners, the only table from errors to answers
//	cmd        the program that puts them together
//
// The ledger is beside this folder, not in it: it knows nothing of tickets. Core shares two pure packages with the edge,
// edge/lottery and edge/admission, because both sides must agree on bytes.
//
// # The life of a purchase, and what happens when a step dies
//
// Each step is one serializable transaction unless it says otherwise. Whoever asks may ask again with the same key; a step
// that was committed is found, one that was not is done.
//
//  1. Join. An edge streams entrants; access appends them to the event's pool in blocks and answers with signed receipts
//     (access.JoinBatch). Edge dies before the receipt: the page joins again anywhere, gets the same entrant. Core dies
//     after the commit: the repeated join finds the entrant with the window it had.
//  2. Draw. At the sale instant the core that holds the event's lease waits for the edges' final markers, bounded, and
//     seals the window: root, secret and seed are written together (access, draw ceremony); with a beacon the root first, the rest
//     when the public value named in advance is told. It dies before: another core
//     takes the lease within seconds and seals. After: the committed row is what everybody publishes. A join that comes
//     too late for a sealed window is in the next one; the transaction on the draws row orders the two.
//  3. Call. The controller moves the cursor by as many as fit (access, pace). Fenced by the lease's epoch, so an old
//     driver that wakes up writes nothing.
//  4. Claim. The edge mints an admission token; core checks key, pool, device and cursor, and makes the one session of the
//     entrant (access.Redeem), if there is room; else the turn is kept and asked for again (access, door). Where accounts are the identity the account's session is
//     the proof instead of the device, and another browser of the account may take the turn over. The answer is lost: the same device gets the same session again.
//  5. Hold. Requests of many buyers, many events, are decided together (inventory.Hold). The answer is lost: the same key
//     is the same hold. The process dies before the commit: nothing was taken. Nobody comes back: the sweep of any core
//     returns the units after the deadline, by the database's clock.
//  6. Order. Order, payment attempt and the outbox row that begins it (checkout.Open). Dies after: any core's outbox goes on.
//  7. Begin. No transaction: the outbox calls the provider with a key derived from the attempt, then writes the answer as
//     an outcome. Dies in between: the lease of the task ends, the identical call is repeated, the provider answers the same.
//     The provider's breaker is open, and this is the first run that counts: another provider is written down in one
//     transaction, which proves that the run still has the task, and called after it. A run of unknown end stays with its own.
//  8. Pay. Between the buyer and the provider. Its news comes as a webhook (stored before it is acknowledged, so it is
//     handled even if core dies right after) or by looking it up, whichever is first, in any order, any number of times.
//     Who closes everything finds the order again in the browser, by the account, or by a mail with a link (checkout.Unfinished): queued once,
//     by any core that sees it unpaid, composed when it is sent, and not sent when there is nothing to pay any more.
//  9. Sell. Hold to sold, ledger transfers pending, capture in the outbox (checkout.Apply, authorized); after the
//     commit the buyer's place inside is freed, or when the session ends if core dies there. The hold died first: the money is late, and the outbox
//     looks for another hold of the kind, under a key of the payment's, or voids. Dies in between: that hold is found again.
//  10. Capture and issue. Like begin. Then one transaction posts the transfers (captured), writes the tickets with their
//     codes (issued) and queues the mail that brings them. Refused for good: transfers voided, units back on sale, the authorization voided (capture_refused).
//  11. Late money. What is authorized or captured after its hold died buys the same kind of ticket while there is one, with a new hold under
//     a key that follows from the payment; else it is voided or refunded. Dies in between: the task is repeated and finds the hold by its key.
//  12. Refund. One transaction voids the tickets, gives the units back, promises the money in the books and puts the call into the outbox
//     (checkout.Refund). Dies after: any core's outbox calls with the refund's id as key. The answer is lost: the same call finds the same
//     refund; a refusal is believed only when the provider knows of none. A cancelled event's run goes on from its row under any core.
//  13. Dispute. A webhook like any other, applied in one transaction: tickets void, money booked as taken, evidence in the outbox. Told
//     twice, late or in another order it comes to the same; before the capture, the outbox asks until it fits. Dies before the commit:
//     the webhook is handled again. Every webhook of it is lost: one core at a time reads the providers' lists of disputes, and what
//     is not known goes the same way. That core dies: another goes on with the page it had come to.
//  14. Settle. Reports of providers are read by day, matched with the books row by row, and differences proposed to an operator
//     (settlement); organizers are paid in steps that are each a row first and a call with its key after (payout).
//  15. Mail. Tickets, refunds, changes and the end of an event are told by mail: queued in the transaction that makes them so, composed and handed
//     to the mail server afterwards (notify.Mailer). The process dies after the server took a mail: it is sent again, with the same Message-ID.
//     The server is away: mails wait. A recipient is refused: the mail bounced, and an operator sees it.
//  16. Scan. One transaction reads the ticket, moves its entry and writes the scan (scan.Scan). The answer is lost: the gate asks again with
//     the same scan id. A gate off line writes its log to disk before it opens (gate.Gate); logs are merged in any order, any number of times.
//  17. Change. Another seat is one transaction: seats, hold, order, ticket and title (checkout.MoveSeat); asked again it answers the same.
//     An event that is moved is noted with its file (event.Apply); its buyers' mails are queued page by page behind a cursor, under any core.
//  18. Resell. Listing takes the ticket out of use and puts a unit of stock on sale, in one transaction (resale.List); the buyer holds, orders
//     and pays it by steps 5 to 10. The capture's transaction makes the seller's ticket void, issues the buyer's, appends to its title and divides the
//     money. Dies before it: nothing has changed hands, any core's outbox goes on. The seller's ticket dies between authorization and capture: the
//     money goes back as late money does (11). A refund or a lost dispute of the buyer undoes all of it in its own transaction. A seller's payout is
//     noted as sent before the bank is told (resale.Pay): who dies in between leaves one to look into, and none to be made twice.
//  19. Hand on. An offer sets the ticket aside; accepting it is one transaction: the ticket is the receiver's in its next epoch, the step is
//     in its title, the unit counts for the receiver, the mail is queued (transfer.Accept). Dies before the commit: nothing happened. After:
//     who asks again is told so. Nobody asks: any core ends the offer when it has expired or the ticket has gone.
//  20. Wait. Who found nothing asks to be told (waitlist.Ask). What comes back of a sold-out event is kept for them by its stock row, so the
//     transaction that brings it back gives it to them. An offer is a row first, then a hold whose key follows from it, then open with its mail, in
//     one transaction: whoever dies in between leaves one that any core goes on with. It is bought by steps 6 to 10, or its hold expires and the
//     next one is asked.
//  21. Wallets. Whatever changes what a ticket shows marks its passes in the same transaction; passes.Run pushes to the phones that have them, and
//     patches what Google has. Dies in between: the lease ends, and any core tells again how it is by then. A phone that missed the push is right when it asks.
//
// # Two or more cores
//
// Any core serves any event. Edges send an event's requests to one of them so that batches are large; correctness comes
// from SERIALIZABLE, guarded updates and constraints. One core at a time drives an event's draw and cursor, by lease.
// A core that is told to stop says so first, to its feed and to every call; edges go elsewhere at once. One that is killed is
// noticed at the first call that fails, and the edge asks another with the same key.
//
// # What is never done
//
// A call to a provider inside a transaction. A balance or a stock row changed without its reason in the same transaction.
// A retry of anything without its key. A plain SELECT on the serializable pool outside a transaction: db.DB.Reader is for that.
package core
