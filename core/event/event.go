package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// ErrUnknown means that there is no such event.
var ErrUnknown = errors.New("event: unknown")

// Event is an applied event, ready for use. It never changes; a change of the event is another Event.
type Event struct {
	ID           uuid.UUID
	Slug         string
	State        string // active or cancelled
	Spec         Spec
	Tiers        map[string]Tier // by id; Spec.Tiers has their order
	Location     *time.Location  // of the venue
	Revision     int64           // grows by one with every change
	PseudonymKey []byte          // makes entrants of identities; secret
}

// Tier is a price level as it is sold.
type Tier struct {
	ID    string
	Name  string
	Kind  string
	Sort  int // place in the file, from 0
	Price Price
}

// open completes an event from its row.
func (e *Event) open(spec string) error {
	if err := json.Unmarshal([]byte(spec), &e.Spec); err != nil {
		return fmt.Errorf("decode event %s: %w", e.Slug, err)
	}
	location, err := time.LoadLocation(e.Spec.TimeZone)
	if err != nil {
		return fmt.Errorf("find the time zone of event %s: %w", e.Slug, err)
	}
	e.Location = location
	e.Tiers = make(map[string]Tier, len(e.Spec.Tiers))
	for i, t := range e.Spec.Tiers {
		p, err := e.Spec.Price(t)
		if err != nil {
			return fmt.Errorf("open event %s: %w", e.Slug, err)
		}
		e.Tiers[t.ID] = Tier{ID: t.ID, Name: t.Name, Kind: t.Kind, Sort: i, Price: p}
	}
	return nil
}
