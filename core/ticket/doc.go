// Package ticket owns the table tickets: the right to enter.
//
// What a ticket shows at the gate, and how a gate believes it, is package code below this one; what a gate decides without a
// database is package gate, and with one package scan. Package wallet puts tickets into the wallets of phones. Whose a ticket was since
// its issue is package title.
//
// Tickets are written in the transaction of whoever completes the order. Their ids follow from order and item, so issuing twice
// changes nothing, and one seat has at most one valid ticket by a unique index. When a ticket is first shown (NoteShown) is all that is
// known of its delivery.
//
// # States
//
//	                 SetAside(Offered)                Reissue to the receiver, next epoch
//	      ┌───▶ free ─────────────────▶ offered ──────────────────────────────────────▶ free
//	      │      │ ▲                       │ PutBack
//	      │      │ └───────────────────────┘
//	      │      │ SetAside(Listed)                   PutBack, next epoch
//	issued┘      └────────────────────▶ listed ───────────────────────────────────────▶ free
//	            any of them ── Void ──▶ void ── Reinstate, next epoch ──▶ free
//	            free ── Reissue (another seat, the same owner), next epoch ──▶ free
//
// Free, offered and listed are valid, and differ in the column hold; a void ticket is set aside for nothing. Offered: its owner's as
// before, and gates open for it until somebody accepts. Listed: out of use; gates refuse it, on line as listed, off line as void, and
// the code it had is never good again, whoever withdraws the listing. A ticket leaves offered and listed only through the one who set it
// aside (package transfer, package resale), by Reissue or PutBack, or because it becomes void: then they find it void, and are at
// their end. One column says both, so a ticket cannot be offered and listed at once.
//
// A ticket that has entered may be neither offered nor listed, and nobody accepts it: Entered is asked in the same transaction, so that of
// a scan and a hand-over at the same instant only one commits.
//
// To gates the state is one number that only grows: twice the epoch, plus one while the ticket is void or listed. So whatever makes a
// printed code worthless for good begins the next epoch (Reissue, Reinstate), and a listing that is withdrawn does so as well:
// a gate off line that has heard of the listing but not of its end refuses the old code and believes the new one.
//
// Whatever changes what passes in wallets show of a ticket marks them in the same transaction; package passes, below this one, tells the
// wallets, and owns the table that is marked.
//
// Everything here runs inside the caller's transaction, and may be used from many goroutines.
package ticket
