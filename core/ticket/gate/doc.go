// Package gate owns what a gate decides of a genuine code: whether its ticket is still good, may enter this zone, and has not entered
// before. The same rules are used on line (package scan, in the database) and off line (Gate, with a Pack and a Log). It knows no
// database and no network.
//
// # Passes and entries
//
// A Pass is a scan that opened a gate. The passes of a ticket through a zone, in the order of their times, come to its Entry
// (Rules.Replay): so logs of several gates come to the same whatever the order in which they are merged, and however often. A pass
// that another one before it should have prevented is a Duplicate: off line, two gates cannot know of each other.
//
// # Pack
//
// A Pack is what a gate needs off line: the keys, the rules, and which codes are dead. A ticket's state is one number, twice its
// epoch, plus one while it is void or listed for resale; it only grows, and a code is good while the state is at most twice the code's epoch. The pack
// lists the states above 2, that of a ticket as it was issued; a bloom filter in front of the list answers for the others. Its version
// is the sum of what the states are above 2, so that a Delta, which has the states that changed lately, either completes a pack to
// exactly the version it names or is refused (ErrGap), and the whole pack is loaded.
//
// A pack is as old as its time: AsOf. Tickets that change hands afterwards it does not know, so transfers and resales close some time
// before the doors (SettledAt), and a pack made after that lacks none of them (Early). It is signed with the event's pack key; where codes rotate it has the event's gate key, and is a secret.
//
//	"FGPK", version 2, kind (0 pack, 1 delta)
//	event id 16, slug
//	as of, base (of a delta: from when on it has changes), closes at: Unix milliseconds, 8 each
//	version 8
//	settled at: Unix milliseconds, 8
//	flags 1 (1 rotating, 2 companions together, 4 cancelled), re-entry 1 (0 once, 1 after exit, 2 free)
//	keys: count 1, each number 2 and public key 32
//	gate keys: count 1, each 32
//	zones: count 1, each a name, count 2 and places
//	states: count 4, each ticket id 16 and state 4, by id
//	bloom filter, none in a delta: words 4, hashes 1, each word 8
//	signature 64 over "fairgate-pack-v2" and all bytes before it
//
// Integers are big-endian, texts a length of 1 and their bytes.
//
// A file may be a pack followed by deltas, each with a length of 4 in front (Load). A gate takes both up while it runs (Gate.Update).
//
// # Log
//
// A gate that is off line writes each scan to a Log and has it on disk before it says that the gate is open. After a crash the log is
// read, a torn last line, of which nobody was told, is cut off, and everything is as it was.
//
// A Gate may be used from many goroutines; everything else is a value.
package gate
