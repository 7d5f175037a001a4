// Package soak buys and gives back tickets while everything around the money misbehaves, and then counts it: was anybody
// charged twice, or charged for nothing, or given a ticket for nothing, and is every cent explained?
//
// It owns a private PostgreSQL behind a proxy that troubles COMMITs, two real fairgate-core processes, and paysim, which
// misbehaves in every way it knows. Its buyers hold, order, pay with good, bad, slow and abandoned cards, click twice, and give up again
// and again while their payment is being begun;
// its operators refund, two at a time. Meanwhile
//
//   - a core is killed with SIGKILL every few seconds and started again;
//   - the database is stopped at once, and recovers from its log;
//   - webhooks come twice, late, in any order, early or never, and to whichever core lives.
//
// When the last order is over the processes are left in peace until nothing is under way any more. Then the audit holds the
// provider's own books against the database's, order by order and cent by cent. A check that found nothing to look at has
// failed, and so has a soak in which one of the misbehaviours did not occur.
//
// Options.Sabotage has the cores do without one of the safeguards of package payment, to show that a check notices: payment.Safeguard
// says what each is, and make soak-negative tries them all.
package soak
