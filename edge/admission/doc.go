// Package admission is the proof that an entrant was called and what it is exchanged for: the edge's admission token and
// core's session. Beside them stand the account session, core's word of who has signed in, and the link that leads back to an unpaid order.
//
// It owns their byte layouts, signatures and MACs, and the ring of an edge's signing keys. It refuses to decide whose
// turn it is: a token is an edge's claim that core redeems against the sealed pool. It does no input or output and reads
// no clock; time and randomness are passed in. Tokens and sessions are values; a Ring is safe for concurrent use.
//
// Text form of all is base64url without padding.
package admission

import "errors"

// What a caller may branch on.
var (
	// ErrMalformed means the bytes are not of the form they should be of, whoever made them.
	ErrMalformed = errors.New("admission: malformed")
	// ErrForged means the form is right and the signature or MAC is not.
	ErrForged = errors.New("admission: signature does not verify")
	// ErrExpired means it was good until its time ran out.
	ErrExpired = errors.New("admission: expired")
	// ErrNoKey means the edge has no key that is valid now for the event.
	ErrNoKey = errors.New("admission: no signing key is valid now")
)
