package lottery

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// WaitlistID is the event under which the draw of an event's waiting list is made, so that it has nothing in common with that of its
// waiting room.
func WaitlistID(event uuid.UUID) uuid.UUID { return uuid.NewSHA1(event, []byte("fairgate:waitlist")) }

// ErrWaitlistDraw means that a draw was not made as it had to be.
var ErrWaitlistDraw = errors.New("the draw of the waiting list is not right")

// WaitlistTranscript is all there is to know of the draw of an event's waiting list. It names nobody.
type WaitlistTranscript struct {
	Event      uuid.UUID `json:"event"`
	Commitment Hex32     `json:"commitment"`
	DrawAt     time.Time `json:"draw_at"`
	DrawnAt    time.Time `json:"drawn_at"`
	Secret     Hex32     `json:"secret"`
	Root       Hex32     `json:"root"`
	Seed       Hex32     `json:"seed"`
	Entrants   []Entrant `json:"entrants"`
}

// Verify checks a transcript: that its secret is the one that was committed to, that its root is that of its entrants, and that its seed
// follows from both. It returns the order in which the entrants come.
func (t *WaitlistTranscript) Verify() ([]Entrant, error) {
	if !VerifySecret(WaitlistID(t.Event), t.Commitment, 0, t.Secret) {
		return nil, fmt.Errorf("lottery: the secret is not the one that was committed to: %w", ErrWaitlistDraw)
	}
	leaves := make([]Leaf, len(t.Entrants))
	for i, e := range t.Entrants {
		leaves[i] = Leaf{Entrant: e}
	}
	if Root(leaves) != t.Root {
		return nil, fmt.Errorf("lottery: the root is not that of these entrants: %w", ErrWaitlistDraw)
	}
	if Seed(WaitlistID(t.Event), 0, t.Secret, t.Root, nil) != t.Seed {
		return nil, fmt.Errorf("lottery: the seed does not follow from secret and root: %w", ErrWaitlistDraw)
	}
	order := make([]Entrant, len(leaves))
	for i, d := range Order(t.Seed, 0, leaves) {
		order[i] = d.Entrant
	}
	return order, nil
}
