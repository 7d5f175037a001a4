// Package account is who a buyer is beyond one browser: an e-mail address that is proved with a one-time code, and the session that
// follows from it.
//
// It owns the tables accounts, account_codes and account_entrants. It knows nothing of events but their ids, and never says whether an
// account of an address exists: every answer is the same for an address that has one and for one that has none.
//
// # Signing in
//
//	code asked for ──▶ mailed ──▶ typed in the same browser ──▶ used: session
//	                      ╰──▶ expired after CodeTTL, or dead after MaxAttempts wrong ones
//
// A code works in the browser that asked for it and in no other, so guessing needs codes of one's own, which are bounded by the
// hour and the day for an address, and by the hour for a network; and nobody's wrong guesses spoil another's code. Wrong ones count
// against all codes that this browser could use. The first use makes the account where there is none, and ends the browser's other
// codes. The same code, again in the same browser and within RepeatWithin, is the same session, byte for byte: so whoever clicks
// twice, or whose answer got lost with the process that gave it, is signed in once.
//
// # The session
//
// Its bytes are admission.Account: signed by core, known by edges without asking, bound to the browser. It lasts SessionTTL and is renewed
// by use. Signing out everywhere counts up the account's epoch: core refuses older sessions from the next request on. Edges go on
// computing entrants from one until it expires, which lets nobody in: core looks when a turn is taken.
//
// # When things die
//
//   - After a code was committed and before its mail went out: the mail is in the outbox of package notify, in the same transaction.
//   - After a code was used and before the session was answered: the same code again within RepeatWithin; later, a new one.
//   - The mail is not delivered: asking again makes another code, and both work until they expire.
//
// Addresses are compared as Normalize writes them and mailed as their owner wrote them first, so a spelling that a mail
// provider tells apart and we do not leads to the first one's owner.
package account
