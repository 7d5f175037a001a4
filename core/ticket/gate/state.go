package gate

import (
	"errors"

	"fairgate/core/ticket/code"
)

// State is a ticket's state as one number that only grows: twice its epoch, plus one while it is void or listed for
// resale: whatever ends either of them begins the next epoch.
type State uint32

// Issued is the state of a ticket as it was issued.
const Issued State = 2

// StateOf is the state of a ticket in an epoch, whose code of that epoch is dead or not.
func StateOf(epoch uint32, dead bool) State {
	s := State(2 * epoch)
	if dead {
		s++
	}
	return s
}

// Check tells whether a code of an epoch is good: nil, ErrVoid or ErrSuperseded. A code of a later epoch than the state's is newer
// than what is known of the ticket, and good.
func (s State) Check(epoch uint32) error {
	switch good := StateOf(epoch, false); {
	case s <= good:
		return nil
	case s == good+1:
		return ErrVoid
	}
	return ErrSuperseded
}

// reasons are the words for refusals, in the order in which they are looked for.
var reasons = []struct {
	is   error
	word string
}{
	{code.ErrMalformed, "malformed"}, {code.ErrOtherEvent, "other_event"}, {code.ErrForged, "forged"}, {code.ErrStatic, "static"},
	{code.ErrExpired, "expired"}, {ErrClosed, "closed"}, {ErrSuperseded, "superseded"}, {ErrVoid, "void"}, {ErrListed, "listed"}, {ErrZone, "zone"}, {ErrUsed, "used"},
	{ErrInside, "inside"}, {ErrOutside, "outside"}, {ErrCompanion, "companion"},
}

// Reason is the word by which records and metrics know a refusal; empty for anything else.
func Reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return r.word
		}
	}
	return ""
}

// Known tells whether a word is one of Reason's.
func Known(word string) bool {
	for _, r := range reasons {
		if r.word == word {
			return true
		}
	}
	return false
}

// Refused is the error of one of Reason's words; nil for the empty word and what is none.
func Refused(word string) error {
	for _, r := range reasons {
		if r.word == word {
			return r.is
		}
	}
	return nil
}
