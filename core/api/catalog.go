package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"fairgate/core/access"
	"fairgate/core/event"
	"fairgate/core/inventory"
)

type venueJSON struct {
	Name    string `json:"name"`
	City    string `json:"city"`
	Country string `json:"country"`
}

type onSaleJSON struct {
	Phase   string   `json:"phase"`
	OpensAt timeJSON `json:"opens_at"`
}

type tierJSON struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Kind  string    `json:"kind"`
	Price moneyJSON `json:"price"` // all-in
	Face  moneyJSON `json:"face"`
	Fee   moneyJSON `json:"fee"`
	Tax   moneyJSON `json:"tax"`
	Left  int64     `json:"left"`
}

type rangeJSON struct {
	From moneyJSON `json:"from"`
	To   moneyJSON `json:"to"`
}

type eventJSON struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	Category string      `json:"category"`
	Summary  string      `json:"summary,omitempty"`
	StartsAt timeJSON    `json:"starts_at"`
	TimeZone string      `json:"time_zone"`
	Currency string      `json:"currency"`
	Venue    venueJSON   `json:"venue"`
	OnSale   *onSaleJSON `json:"on_sale"`
	Prices   *rangeJSON  `json:"price_range,omitempty"` // all-in; in lists
	Performs []string    `json:"performers,omitempty"`
	Tags     []string    `json:"tags,omitempty"`
	PerBuyer int         `json:"per_buyer,omitempty"`
	Identity string      `json:"identity,omitempty"`
	Tiers    []tierJSON  `json:"tiers,omitempty"`
	Sections []string    `json:"sections,omitempty"`
}

// describe is what an event file says of an event, as lists show it.
func (s *Server) describe(e *event.Event) eventJSON {
	return eventJSON{
		ID: e.Slug, Name: e.Spec.Name, Category: e.Spec.Category, Summary: e.Spec.Summary, StartsAt: timeJSON(e.Spec.StartsAt),
		TimeZone: e.Spec.TimeZone, Currency: e.Spec.Currency,
		Venue: venueJSON{e.Spec.Venue.Name, e.Spec.Venue.City, e.Spec.Venue.Country},
	}
}

// onSaleInMemory is an event's on-sale as far as it is known without asking the database, nil when it has none.
func (s *Server) onSaleInMemory(slug string) *onSaleJSON {
	phase, opensAt, ok := s.Room.PhaseInMemory(slug)
	if !ok {
		return nil
	}
	return &onSaleJSON{Phase: string(phase), OpensAt: timeJSON(opensAt)}
}

// eventView is an event with what one needs to choose: prices, what is left, sections.
func (s *Server) eventView(ctx context.Context, e *event.Event) (eventJSON, error) {
	view := s.describe(e)
	switch phase, opensAt, err := s.Room.Phase(ctx, e.Slug); {
	case err == nil:
		view.OnSale = &onSaleJSON{Phase: string(phase), OpensAt: timeJSON(opensAt)}
	case !errors.Is(err, access.ErrNoSale):
		return view, err
	}
	stock, err := s.Inventory.Availability(ctx, e.ID)
	if err != nil {
		return view, err
	}
	left := map[string]int64{}
	for _, row := range stock {
		if row.Allocation == event.GeneralAllocation {
			left[row.Tier] = row.Capacity - row.Taken
		}
	}
	view.Performs, view.Tags = e.Spec.Performers, e.Spec.Tags
	view.PerBuyer, view.Identity = e.Spec.Limits.PerBuyer, e.Spec.OnSale.Identity
	for _, t := range e.Spec.Tiers {
		p := e.Tiers[t.ID].Price
		view.Tiers = append(view.Tiers, tierJSON{ID: t.ID, Name: t.Name, Kind: t.Kind, Price: money(p.AllIn),
			Face: money(p.Face), Fee: money(p.Fee), Tax: money(p.Tax), Left: left[t.ID]})
	}
	for _, section := range e.Spec.Sections {
		view.Sections = append(view.Sections, section.ID)
	}
	return view, nil
}

// listEvents lists every event there is for operators, also those that are over, from the database.
//
//	GET /admin/v1/events?after=&limit=
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	events, next, err := s.Events.List(r.Context(), q.Get("after"), limit)
	if err != nil {
		return err
	}
	list := make([]eventJSON, len(events))
	for i, e := range events {
		list[i] = s.describe(e)
		list[i].OnSale = s.onSaleInMemory(e.Slug)
	}
	writeJSON(w, http.StatusOK, map[string]any{"events": list, "next": next})
	return nil
}

// showEvent shows one event to anybody. What is left and the phase are read now, the rest may come from a copy of the database; the
// answer is fresh for a second and has an ETag.
//
//	GET /v1/events/{id}
func (s *Server) showEvent(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.Browse(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	view, err := s.eventView(r.Context(), e)
	if err != nil {
		return err
	}
	return writeCacheable(w, r, eventMaxAge, view)
}

type seatJSON struct {
	Seat  string `json:"seat"`
	State string `json:"state"`
	Tier  string `json:"tier"`
}

type rowJSON struct {
	Row   string     `json:"row"`
	Seats []seatJSON `json:"seats"`
}

type sectionJSON struct {
	ID   string    `json:"id"`
	Rows []rowJSON `json:"rows"`
}

// seatsFor is how long a seat map may be answered from memory: shoppers all look at once, and a seat that was taken
// meanwhile is refused when it is held.
const seatsFor = 250 * time.Millisecond

// seatMaps remembers seat maps for a moment and reads each only once at a time. The zero value is ready for use.
type seatMaps struct {
	flight singleflight.Group
	mu     sync.Mutex
	known  map[uuid.UUID]seatMap
}

type seatMap struct {
	body  []byte // JSON, as it is sent
	until time.Time
}

func (m *seatMaps) find(id uuid.UUID, read func() ([]byte, error)) ([]byte, error) {
	m.mu.Lock()
	found, ok := m.known[id]
	m.mu.Unlock()
	if ok && time.Now().Before(found.until) {
		return found.body, nil
	}
	body, err, _ := m.flight.Do(id.String(), func() (any, error) {
		body, err := read()
		if err != nil {
			return nil, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.known == nil || len(m.known) > 100 {
			m.known = map[uuid.UUID]seatMap{}
		}
		m.known[id] = seatMap{body, time.Now().Add(seatsFor)}
		return body, nil
	})
	if err != nil {
		return nil, err
	}
	return body.([]byte), nil
}

func (s *Server) showSeats(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	body, err := s.seats.find(e.ID, func() ([]byte, error) {
		// Not the request's context: others wait for the same answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), requestTimeout)
		defer cancel()
		seats, err := s.Inventory.SeatMap(ctx, e.ID, event.GeneralAllocation)
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]any{"sections": arrange(seats)})
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the client has gone
	return nil
}

// arrange groups seats that come ordered by section and row.
func arrange(seats []inventory.Seat) []sectionJSON {
	sections := []sectionJSON{}
	for _, seat := range seats {
		if n := len(sections); n == 0 || sections[n-1].ID != seat.Section {
			sections = append(sections, sectionJSON{ID: seat.Section})
		}
		section := &sections[len(sections)-1]
		if n := len(section.Rows); n == 0 || section.Rows[n-1].Row != seat.Row {
			section.Rows = append(section.Rows, rowJSON{Row: seat.Row})
		}
		row := &section.Rows[len(section.Rows)-1]
		row.Seats = append(row.Seats, seatJSON{seat.ID, seat.State, seat.Tier})
	}
	return sections
}
