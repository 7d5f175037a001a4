package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/core/event"
)

type venueJSON struct {
	Name    string `json:"name"`
	City    string `json:"city"`
	Country string `json:"country"`
}

type onSaleJSON struct {
	Phase   string   `json:"phase"`
	OpensAt timeJSON `json:"opens_at"`
	Presale string   `json:"presale,omitempty"` // whose on-sale it is; of one event
}

type tierJSON struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Kind  string    `json:"kind"`
	Price moneyJSON `json:"price"` // all-in
	Face  moneyJSON `json:"face"`
	Fee   moneyJSON `json:"fee"`
	Tax   moneyJSON `json:"tax"`
	Left  int64     `json:"left"` // of what is on sale now
}

type rangeJSON struct {
	From moneyJSON `json:"from"`
	To   moneyJSON `json:"to"`
}

type eventJSON struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	State    string      `json:"state,omitempty"` // active or cancelled; of one event
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
	Methods  []string    `json:"payment_methods,omitempty"` // by which it can be paid now, the first for who chooses none
	Rules    *rulesJSON  `json:"rules,omitempty"`           // of one event
	Sales    []saleJSON  `json:"sales,omitempty"`           // of one event that has presales: those, and general sale, in order
	// WaitingList says that one may ask to be offered what comes back.
	WaitingList bool `json:"waiting_list,omitempty"`
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
	view.State = e.State
	calendar, err := s.Room.Calendar(ctx, e.Slug)
	switch {
	case err == nil:
		view.OnSale = &onSaleJSON{Phase: string(calendar.Phase), OpensAt: timeJSON(calendar.Current.OpensAt), Presale: calendar.Current.Presale}
	case !errors.Is(err, access.ErrNoSale):
		return view, err
	}
	view.Sales = salesOf(&e.Spec, &calendar, s.Room.Now())
	stock, err := s.Inventory.Availability(ctx, e.ID)
	if err != nil {
		return view, err
	}
	left, sold := map[string]int64{}, cmp.Or(s.Room.SellsInMemory(e.ID), event.GeneralAllocation)
	for _, row := range stock {
		if row.Allocation == sold {
			left[row.Tier] = row.Left()
		}
	}
	view.Performs, view.Tags = e.Spec.Performers, e.Spec.Tags
	if view.Rules, err = rulesOf(e.Spec); err != nil {
		return view, err
	}
	list := e.Spec.WaitlistRules()
	view.WaitingList = list.Enabled && e.State != event.Cancelled && s.Room.Now().Before(list.ClosesAt)
	view.PerBuyer, view.Identity = perBuyer(&e.Spec, &calendar), e.Spec.OnSale.Identity
	for _, t := range e.Spec.Tiers {
		p := e.Tiers[t.ID].Price
		view.Tiers = append(view.Tiers, tierJSON{ID: t.ID, Name: t.Name, Kind: t.Kind, Price: money(p.AllIn),
			Face: money(p.Face), Fee: money(p.Fee), Tax: money(p.Tax), Left: left[t.ID]})
	}
	for _, section := range e.Spec.Sections {
		view.Sections = append(view.Sections, section.ID)
	}
	view.Methods = s.Checkout.Methods(checkout.Terms{Currency: e.Spec.Currency, Country: e.Spec.Venue.Country, StartsAt: e.Spec.StartsAt, Methods: e.Spec.Payment.Methods})
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
