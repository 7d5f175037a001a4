// Package ticket owns the table tickets: the right to enter.
//
// What a ticket shows at the gate, and how a gate believes it, is package code below this one; what a gate decides without a
// database is package gate, and with one package scan. Package wallet puts tickets into the wallets of phones.
//
// Tickets are written in the transaction of whoever completes the order. Their ids follow from order and item, so issuing twice
// changes nothing, and one seat has at most one valid ticket by a unique index. A ticket whose money goes back becomes void
// (Void); its seat may then have another. One that becomes valid again (Reinstate) is so in its next epoch, with a new code.
// When a ticket is first shown to its owner (NoteShown) is all that is known of its delivery.
package ticket
