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

// reasons are the words for refusals, in the order in which they are looked for, and the codes by which core's HTTP interface knows them.
var reasons = []struct {
	is         error
	word, code string
}{
	{code.ErrMalformed, "malformed", "code_malformed"}, {code.ErrOtherEvent, "other_event", "code_other_event"}, {code.ErrForged, "forged", "code_forged"},
	{code.ErrStatic, "static", "code_static"}, {code.ErrExpired, "expired", "code_expired"}, {ErrClosed, "closed", "gates_closed"},
	{ErrSuperseded, "superseded", "ticket_superseded"}, {ErrVoid, "void", "ticket_void"}, {ErrListed, "listed", "ticket_listed"}, {ErrZone, "zone", "zone_other"},
	{ErrUsed, "used", "ticket_used"}, {ErrInside, "inside", "ticket_inside"}, {ErrOutside, "outside", "ticket_outside"}, {ErrCompanion, "companion", "ticket_companion"},
}

// strangers is how many of reasons, from the first on, are those of what is no code of the event.
const strangers = 3

// Reason is the word by which records and metrics know a refusal; empty for anything else.
func Reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return r.word
		}
	}
	return ""
}

// PublicCode is the code by which core's HTTP interface knows a refusal, and whoever is a gate off line; empty for anything else.
func PublicCode(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return r.code
		}
	}
	return ""
}

// stranger tells whether a word is that of what is no code of the event, so that no ticket is known.
func stranger(word string) bool {
	for _, r := range reasons[:strangers] {
		if r.word == word {
			return true
		}
	}
	return false
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
