// Package transfer owns the handing on of tickets: the table transfers. It composes packages ticket, title and inventory by passing one
// transaction to each of them; none of those knows of another.
//
//	          accepted by the account of that address: the ticket is its, with a new code
//	offered ──┬──▶ accepted
//	          ├──▶ declined    by the same
//	          ├──▶ cancelled   by the giver
//	          ├──▶ expired     nobody accepted in time
//	          └──▶ ended       the ticket became void, entered, or changed otherwise: the receiver is told
//
// An offer is made to an e-mail address, whether or not that has an account, and the answer is the same for both. While it stands the
// ticket is its giver's and opens gates, but can be neither offered again nor listed (ticket.Offered). It ends after the
// event's offer life, and always when transfers close before doors, so that gates off line can know of it.
//
// # One step
//
// Accepting is one serializable transaction (accept.go): the transfer is accepted, the ticket reissued to the receiver in its next epoch, so
// that the code before is dead, the step appended to its title, the unit counted under the receiver's limits and no longer under the
// giver's, and the mail queued. There is nothing between two of these where a process could die: either all of it is committed,
// and whoever asks again is told so, or nothing was. The same holds for every other step.
//
// Whatever else happens to the ticket at the same instant (a scan, a refund, a dispute, a cancelled event, another offer, a listing)
// reads or writes its row as well, so that of two that do not go together one commits and the other one is decided anew.
//
// # What it refuses
//
// To hand on a ticket of somebody else, to oneself, while it is listed or offered, once it has entered or is void, too late, more often than
// the event allows; to accept what was offered to another address, or more than the receiver may have. Each has an error of its own.
// Offers of one ticket, and of one giver in a day, are bounded, since each is a mail to a stranger.
//
// # Money
//
// A transfer is free, and moves no money. What was paid goes back to who paid it: package checkout lets a buyer refund only tickets
// that are still the buyer's; an operator may refund others too, which voids them whoever has them. A dispute of the payment voids
// the tickets of the order whoever has them, and when it is won they are valid again for whoever had them; a cancelled event pays back who
// paid.
//
// A Service may be used from many goroutines. Run ends what nobody accepted; any number of cores may run it.
package transfer
