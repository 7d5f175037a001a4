package code

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

var (
	// ErrExpired means that a code's rotating part is not of now: it is a copy, or a clock is wrong.
	ErrExpired = errors.New("code: rotating part is not of now")
	// ErrStatic means that a code lacks the rotating part its event asks for: it is a copy or a print.
	ErrStatic = errors.New("code: without its rotating part")
)

// Reader believes or refuses the codes of one event. It must not be changed while it is used.
type Reader struct {
	Event uuid.UUID
	Keys  lottery.PublicKeys // that sign the event's codes
	// GateKeys make the seeds of rotating parts, the newest first; none: the event's codes do not rotate, and a rotating part
	// that is shown nevertheless is refused like one that is not of now.
	GateKeys [][]byte
	// Rotating refuses codes without a rotating part.
	Rotating bool
}

// Read decides whether what was shown at an instant is a genuine code of the event. Errors, in the order in which they are looked
// for: ErrMalformed, ErrOtherEvent, ErrForged, ErrStatic, ErrExpired. With the last two the code is given back all the same.
func (r *Reader) Read(shown string, now time.Time) (Code, error) {
	text, rotating, err := Split(shown)
	if err != nil {
		return Code{}, err
	}
	c, err := Verify(text, r.Event, r.Keys)
	if err != nil {
		return Code{}, err
	}
	if rotating == "" {
		if r.Rotating {
			return c, fmt.Errorf("%w: ticket %s", ErrStatic, c.TicketID)
		}
		return c, nil
	}
	for _, key := range r.GateKeys {
		if fresh(Seed(key, c.TicketID, c.Epoch), rotating, now) {
			return c, nil
		}
	}
	return c, fmt.Errorf("%w: ticket %s", ErrExpired, c.TicketID)
}
