// Package code owns what a ticket shows at the gate, its bytes, its rotating part and its picture, and decides whether it is
// genuine. It does no I/O and knows no database: a gate needs the event's public keys and, where codes rotate, the event's gate
// key, and nothing else.
//
// A Code proves that this event issued this ticket: it carries an Ed25519 signature. What it cannot prove is that the ticket is
// still good, so it carries an epoch: whatever makes a ticket's printed code worthless issues the next epoch, and a gate that knows
// of it refuses the earlier one.
//
// # Code, version 1
//
// The text form is unpadded RFC 4648 base32, upper case: QR codes hold it in their alphanumeric mode, and it survives being
// read out. One code has one text; anything else is refused. Below it lie at most 120 bytes, integers big-endian:
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
//
// # Rotating part
//
// A screenshot of a code is as good as the code. Where an event asks for it, a code is shown with a part behind a full stop that
// changes every 15 seconds: the eight digits of RFC 6238 (SHA-1, as wallets have it), counted from the Unix epoch. Its seed is
//
//	HMAC-SHA256(gate key of the event, "fairgate-rotating-v1" ‖ ticket id ‖ epoch)[:20]
//
// so a gate works it out from the code it reads, and needs no table of seeds. One period either side of the gate's own time is
// accepted. A gate that holds the gate key could show codes of tickets it has seen; it cannot sign others.
//
// Everything here may be used from many goroutines.
package code
