package access

import (
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// doorsteps are those who were told that the room is full, by event: their turn has come, so nobody else is called into the room
// that they wait for. Whoever has not asked again for a while has gone, or asks another core.
//
// What one core knows is told to the driver by the row of draw_doors, at most once a second and along with something else that
// is written. The edges send the claims of an event to one core, so that is nearly all there is to know.
type doorsteps struct {
	mu     sync.Mutex
	events map[uuid.UUID]*doorstep
}

type doorstep struct {
	knocked map[lottery.Entrant]time.Time
	told    int
	toldAt  time.Time
}

const (
	// knockedFor is longer than the longest interval between two polls of a page.
	knockedFor = 25 * time.Second
	// tellEvery bounds how often the row is written for it.
	tellEvery = time.Second
)

// note takes in how a batch was answered.
func (s *doorsteps) note(calls []*redemption, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range calls {
		d := s.events[call.token.Event]
		switch {
		case errors.Is(call.err, ErrRoomFull):
			if d == nil {
				d = &doorstep{knocked: make(map[lottery.Entrant]time.Time)}
				if s.events == nil {
					s.events = make(map[uuid.UUID]*doorstep)
				}
				s.events[call.token.Event] = d
			}
			d.knocked[call.token.Entrant] = now
		case d != nil && call.err == nil:
			delete(d.knocked, call.token.Entrant)
		}
	}
}

// due is how many stand at the doors of which events, where that is to be told now.
func (s *doorsteps) due(now time.Time) (events []uuid.UUID, waiting []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for event, d := range s.events {
		if now.Sub(d.toldAt) < tellEvery {
			continue
		}
		for entrant, at := range d.knocked {
			if now.Sub(at) > knockedFor {
				delete(d.knocked, entrant)
			}
		}
		n := len(d.knocked)
		if n > 0 || d.told > 0 {
			events, waiting = append(events, event), append(waiting, int64(n))
		}
		d.told, d.toldAt = n, now
		if n == 0 {
			delete(s.events, event)
		}
	}
	return events, waiting
}
