// Package title owns the chain of title: whose a ticket was since it was issued, and how it went from one to the next.
//
// The issue is the ticket's own row and the order it belongs to: a sale writes nothing here. Whatever changes owner or seat
// afterwards appends a Step, in the transaction that changes the ticket. A ticket that is resold becomes void and another one is issued:
// the first step of the new one names the ticket it follows, so Of goes back to the first issue over all of them.
//
// Steps are only ever inserted; the service's database role may do no more. They are a hash chain: each has the hash of itself and of
// the step before, the first one that of the ticket as it was issued, and the first of a resold ticket that of the last step that the
// one it follows had then. A sale that is undone makes the sold ticket valid again, which may be sold once more: then two follow it, of which the
// first is void. What is cut off the end, or left out, shows against the ticket's row: Verify compares the owner and epoch that
// the steps come to with those that the gate believes, the first owner with the order's buyer, and every hand with the next.
//
// Integers are big-endian, texts have a length of 4 in front, times are microseconds since 1970:
//
//	issue  "fairgate-title-issue-v1" · ticket 16 · event 16 · order 16 · item 8 · first owner 16 · issued at 8
//	step   "fairgate-title-step-v1" · hash before 32 · ticket 16 · seq 8 · epoch 8 · from 16 · to 16 · how · price 8 · currency ·
//	       previous ticket 16 (zero for none) · note · at 8
//
// Everything here may be used from many goroutines.
package title
