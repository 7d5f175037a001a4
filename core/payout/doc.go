// Package payout pays organizers what they have earned, a while after each event and less a reserve.
//
// It owns the tables payout_events, payout_lines, payouts and payout_history. It moves no money: the bank does, from the list of
// approved payouts, and an operator tells what became of each. It refuses to approve or send more than is available, what the
// organizer owes taken off, and to send what nobody approved. So a payout is told as sent before the bank is given it.
//
// # A run
//
// For each organizer and currency, in one serializable transaction, once for each run id:
//
//  1. What the organizer owes (payable below zero, after refunds or lost disputes) is covered from their reserve, and then from
//     what was available to be paid out.
//  2. Reserves whose time is over become available.
//  3. Of events that ended long enough ago, what was earned since the last run is released: a share into the reserve, the rest to
//     what is available. Earned is face value captured, less refunds, less what disputes hold. Never more than payable has:
//     what one event has given back too much of, the others make up for.
//  4. A payout that is proposed or approved and of more than is available now is withdrawn: it is rejected.
//  5. If nothing else is proposed, a payout of all that is available is, unless it is less than the minimum.
//
// A run that dies has done whole organizers; run again under the same id it does the others.
//
// # A payout's life
//
//	proposed ──approve──▶ approved ──sent──▶ sent ──arrived──▶ arrived
//	   └──────reject────────┘ ▶ rejected       └────returned─────┘ ▶ returned
//
// sent, arrived and returned are in the ledger in the same transaction. What was returned is available again, and the next run
// proposes it. A step that was taken is answered as it was then.
//
// # Concurrency
//
// A Service is safe for concurrent use, in several processes. Runs at once, also of different ids, release and propose once.
package payout
