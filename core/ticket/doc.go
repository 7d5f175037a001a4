// Package ticket owns the table tickets and the code a ticket shows at the gate.
//
// A Code proves, without asking anybody, that this event issued this ticket: it carries an Ed25519 signature, and a scanner needs
// only the event's public keys. What a code cannot prove is that the ticket is still good, so it carries an epoch: handing a ticket
// over issues the next epoch, and a scanner that knows of it refuses the earlier one.
//
// Tickets are written in the transaction of whoever completes the order. Their ids follow from order and item, so issuing twice
// changes nothing, and one seat has at most one valid ticket by a unique index. A ticket whose money goes back becomes void
// (Void), once and for ever; its seat may then have another.
//
// # Code, version 1
//
// The text form is unpadded RFC 4648 base32, upper case: QR codes hold it in their alphanumeric mode, and it survives being read
// out. One code has one text; anything else is refused. Below it lie at most 120 bytes, integers big-endian:
//
//	offset  bytes  field
//	0       1      version, 1
//	1       2      number of the signing key
//	3       16     ticket id
//	19      16     event id
//	35      2      epoch, from 1
//	37      0–19   place: the seat, or the tier where there are no seats, for the eye of the person at the gate; printable
//	               ASCII, cut after 19 bytes
//	end-64  64     Ed25519 signature over "fairgate-ticket-v1" and all bytes before it
package ticket
