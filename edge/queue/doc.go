// Package queue is waiting: the pass a buyer waits with, the state object everybody polls, and the board on which an edge
// keeps what it answers.
//
// It owns the pass's byte layout and MAC, the strict reading of the state object, and the arithmetic from it: whose turn
// it is, about how many are ahead, about how long it takes. It refuses to admit anybody: "called" here is a filter, core
// decides. No HTTP, no database, no clock. Passes and states are values, and a decoded State is never changed; a Board is
// safe for concurrent use.
package queue

import "errors"

// What a caller may branch on.
var (
	// ErrMalformed means the bytes are not of the form they should be of, whoever made them.
	ErrMalformed = errors.New("queue: malformed")
	// ErrForged means the form is right and the MAC is not.
	ErrForged = errors.New("queue: MAC does not verify")
	// ErrKeyUnknown means the pass was made with a key this edge has not heard of, perhaps not yet.
	ErrKeyUnknown = errors.New("queue: key number is unknown")
	// ErrStale means the board already shows a newer state.
	ErrStale = errors.New("queue: state is older than the one shown")
)
