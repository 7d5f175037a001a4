// Package lottery is the draw: who an entrant is, what was committed to before the sale, how a sealed window is ordered,
// and how anybody checks all of it afterwards.
//
// It owns the formulas and byte layouts that edge, core and an outside verifier must agree on to the bit. It refuses
// input and output of every kind: no clock, no randomness, no network, no files; whatever it needs is passed in. All of
// it is values and functions, safe for concurrent use.
//
// # The draw
//
//	entrant    = HMAC-SHA256(pseudonym key, kind ‖ 0x00 ‖ identity)[:16]
//	device     = SHA-256("fairgate-device-v1" ‖ secret)[:16]
//	network    = SHA-256("fairgate-network-v1" ‖ masked address)[:8]
//	leaf       = SHA-256("fairgate-leaf-v1" ‖ entrant ‖ band ‖ reason)
//	node       = SHA-256("fairgate-node-v1" ‖ left ‖ right)
//	empty root = SHA-256("fairgate-empty-v1")
//	link(w-1)  = SHA-256("fairgate-chain-v1" ‖ event ‖ w ‖ link(w)); link(w) is the secret of window w
//	commitment = link(-1), or SHA-256("fairgate-beacon-v1" ‖ link(-1) ‖ name) when a beacon was named
//	seed       = SHA-256("fairgate-draw-v1" ‖ event ‖ window ‖ secret ‖ root ‖ beacon)
//	value      = HMAC-SHA256(seed, entrant)[:8]
//
// Windows are 4 bytes, bands and reasons 1 byte, events the 16 bytes of their UUID; every integer is big-endian. The
// leaves of a tree are in order of entrant, and a node without a sibling rises to the next level unhashed, so the tree
// is that of RFC 6962 and no set of leaves has the root of another.
//
// # The order
//
// (window, band, value, entrant), lowest first. Nobody knows it while the window is open, because the secret is still
// hidden; nobody can be added, removed or demoted once it is known, because the root went into the seed; and the
// operator cannot choose the secret late, because one commitment, published before joining, covers all of them.
//
// # The beacon
//
// An operator alone could still try pools, with entrants of their own, until the seed pleases. A beacon ends that: a public
// value that nobody can know yet (a round of a randomness service, an official drawing), named when the on-sale is
// scheduled, and covered by the commitment. The root of window 0 is published first, then the value comes about, and only
// then the secret is revealed and the seed made. Later windows have the same value in their seeds; it is known when they
// are sealed, so for them the operator is trusted as without one. A draw without a beacon has no bytes in its place.
package lottery
