package api

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/waitlist"
	"fairgate/edge/lottery"
)

// waitlistMaxAge is how long what a list says of itself may be shown without asking again.
const waitlistMaxAge = 5 * time.Second

// waitlistRoutes are those of buyers. None needs a key: the same account asking, accepting or declining again is the same.
func (s *Server) waitlistRoutes(edge func(pattern string, limit int64, h handler)) {
	edge("GET /v1/events/{id}/waitlist", maxBuyerBody, s.showWaitlist)
	edge("GET /v1/events/{id}/waitlist/entry", maxBuyerBody, s.ownEntry)
	edge("PUT /v1/events/{id}/waitlist/entry", maxBuyerBody, s.askWaitlist)
	edge("DELETE /v1/events/{id}/waitlist/entry", maxBuyerBody, s.leaveWaitlist)
	edge("GET /v1/waitlist", maxBuyerBody, s.ownEntries)
	edge("GET /v1/offers/{id}", maxBuyerBody, s.showOffer)
	edge("POST /v1/offers/{id}/accept", maxBuyerBody, s.acceptOffer)
	edge("POST /v1/offers/{id}/decline", maxBuyerBody, s.declineOffer)
}

// waitlistJSON is a list as everybody may see it. commitment is there from the first who asks on; secret, root and seed from the draw on.
type waitlistJSON struct {
	Event      string    `json:"event"`
	Open       bool      `json:"open"`
	Returned   bool      `json:"returned"` // it is offered what comes back first
	Resold     bool      `json:"resold"`   // and what buyers sell on
	OfferFor   string    `json:"offer_for"`
	ClosesAt   timeJSON  `json:"closes_at"`
	Commitment string    `json:"commitment,omitempty"`
	DrawAt     *timeJSON `json:"draw_at,omitempty"`
	DrawnAt    *timeJSON `json:"drawn_at,omitempty"`
	Entrants   int       `json:"entrants,omitempty"`
	Secret     string    `json:"secret,omitempty"`
	Root       string    `json:"root,omitempty"`
	Seed       string    `json:"seed,omitempty"`
}

func instant(t time.Time) *timeJSON {
	if t.IsZero() {
		return nil
	}
	j := timeJSON(t)
	return &j
}

// waitlistView is an event's list; waitlist.ErrNone when it has none.
func (s *Server) waitlistView(ctx context.Context, e *event.Event) (waitlistJSON, error) {
	rules := e.Spec.WaitlistRules()
	if !rules.Enabled {
		return waitlistJSON{}, waitlist.ErrNone
	}
	view := waitlistJSON{Event: e.Slug, Open: e.State != event.Cancelled && s.Room.Now().Before(rules.ClosesAt), Returned: rules.Returned, Resold: rules.Resold,
		OfferFor: rules.OfferFor.String(), ClosesAt: timeJSON(rules.ClosesAt)}
	l, err := s.Waitlists.Load(ctx, e.ID)
	if errors.Is(err, waitlist.ErrUnknown) {
		return view, nil // nobody has asked yet
	}
	if err != nil {
		return view, err
	}
	view.Commitment, view.DrawAt, view.DrawnAt = hex.EncodeToString(l.Commitment[:]), instant(l.DrawAt), instant(l.DrawnAt)
	if !l.DrawnAt.IsZero() {
		view.Entrants, view.Secret = l.Entrants, hex.EncodeToString(l.Secret[:])
		view.Root, view.Seed = hex.EncodeToString(l.Root[:]), hex.EncodeToString(l.Seed[:])
	}
	return view, nil
}

// showWaitlist shows an event's list to anybody.
//
//	GET /v1/events/{id}/waitlist
func (s *Server) showWaitlist(w http.ResponseWriter, r *http.Request) error {
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	view, err := s.waitlistView(r.Context(), e)
	if err != nil {
		return err
	}
	return writeCacheable(w, r, waitlistMaxAge, view)
}

// eventByPath is the event that the path names.
func (s *Server) eventByPath(r *http.Request) (*event.Event, error) {
	id, err := s.eventOf(r)
	if err != nil {
		return nil, err
	}
	return s.Events.ByID(r.Context(), id)
}

type offerJSON struct {
	ID        uuid.UUID  `json:"id"`
	Event     string     `json:"event"`
	Tier      string     `json:"tier"`
	Units     int        `json:"quantity"`
	Listing   *uuid.UUID `json:"listing,omitempty"` // from another buyer
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	ExpiresAt *timeJSON  `json:"expires_at,omitempty"` // of one that stands; once it is accepted, of its hold as it was then
	HoldID    *uuid.UUID `json:"hold_id,omitempty"`    // what is ordered and paid once it is accepted
	Hold      *holdJSON  `json:"hold,omitempty"`
}

type entryJSON struct {
	ID       uuid.UUID       `json:"id"`
	Event    string          `json:"event"`
	Entrant  lottery.Entrant `json:"entrant"` // by which the draw knows the account
	Tiers    []string        `json:"tiers"`
	Quantity int             `json:"quantity"`
	Together bool            `json:"together"`
	Resold   bool            `json:"resold"`
	State    string          `json:"state"`
	Reason   string          `json:"reason,omitempty"`
	Drawn    bool            `json:"drawn"`           // in the order of the draw, not in that of asking
	Place    string          `json:"place,omitempty"` // within those; the value drawn, or the microseconds of asking
	Ahead    *int            `json:"ahead,omitempty"` // how many wait in front
	AskedAt  timeJSON        `json:"asked_at"`
	Offers   []offerJSON     `json:"offers"`
}

func offerOf(o *waitlist.Offer, slug string) offerJSON {
	j := offerJSON{ID: o.ID, Event: slug, Tier: o.Tier, Units: o.Units, State: string(o.State), Reason: o.Reason, ExpiresAt: instant(o.ExpiresAt)}
	if o.Hold != uuid.Nil {
		j.HoldID = &o.Hold
	}
	if listing, is := inventory.ListingOf(o.Allocation); is {
		j.Listing = &listing
	}
	return j
}

func entryOf(e *waitlist.Standing, slug string) entryJSON {
	j := entryJSON{ID: e.ID, Event: slug, Entrant: e.Entrant, Tiers: e.Tiers, Quantity: e.Quantity, Together: e.Together, Resold: e.Entry.Resold,
		State: string(e.State), Reason: e.Reason, Drawn: e.Round == 0, Place: hex.EncodeToString(e.Place), AskedAt: timeJSON(e.AskedAt), Offers: []offerJSON{}}
	if e.Ahead >= 0 {
		j.Ahead = &e.Ahead
	}
	for i := range e.Offers {
		if o := &e.Offers[i]; o.State != waitlist.Making {
			j.Offers = append(j.Offers, offerOf(o, slug))
		}
	}
	return j
}

// actor is an account that does something in an event, and nobody that was excluded.
type actor struct {
	account account.Account
	device  lottery.DeviceHash
	entrant lottery.Entrant
	event   *event.Event
}

// actorIn is the account that is signed in, as whom it is in the event. account.ErrSignedOut, access.ErrBanned.
func (s *Server) actorIn(r *http.Request, e *event.Event) (actor, error) {
	session, device, err := s.accountSession(r)
	if err != nil {
		return actor{}, err
	}
	a := actor{account: session.Account, device: device, entrant: session.Account.Entrant(e.PseudonymKey), event: e}
	if s.Room.HasBan(access.BanAccount, a.account.ID[:]) || s.Room.HasBan(access.BanEntrant, a.entrant[:]) || s.Room.HasBan(access.BanDevice, device[:]) {
		return actor{}, access.ErrBanned
	}
	if address, err := netip.ParseAddr(r.Header.Get(clientHeader)); err == nil {
		if network := lottery.NetworkOf(address); s.Room.HasBan(access.BanNetwork, network[:]) {
			return actor{}, access.ErrBanned
		}
	}
	return a, nil
}

// marks are what the event's limits count the account by.
func (s *Server) actorMarks(r *http.Request, a *actor) (inventory.Marks, error) {
	m, err := s.marker(r.Context(), a.event.Slug)
	if err != nil || m.key == nil {
		return inventory.Marks{}, err
	}
	return inventory.Marks{Account: accountOf(a.entrant), Device: inventory.Mark(a.device),
		Address: inventory.Mark(event.Mark(m.key, "address", event.NetworkOf(r.Header.Get(clientHeader))))}, nil
}

// askWaitlist puts the account on an event's list, or changes its wish; the place stays.
//
//	PUT /v1/events/{id}/waitlist/entry {"tiers":["floor","upper"],"quantity":2,"together":true,"resold":false,"language":"es"}
func (s *Server) askWaitlist(w http.ResponseWriter, r *http.Request) error {
	body := struct {
		Tiers    []string `json:"tiers"`
		Quantity int      `json:"quantity"`
		Together bool     `json:"together"`
		Resold   bool     `json:"resold"` // default true
		Language string   `json:"language"`
	}{Resold: true}
	if err := decode(r, &body); err != nil {
		return err
	}
	if !languageTag(body.Language) {
		return errLanguage
	}
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	a, err := s.actorIn(r, e)
	if err != nil {
		return err
	}
	asking := waitlist.Asking{Event: e.ID, Entrant: a.entrant, Account: a.account.ID, Email: a.account.Email, Language: body.Language, Tiers: body.Tiers,
		Quantity: body.Quantity, Together: body.Together, Resold: body.Resold}
	if asking.Language == "" {
		asking.Language = a.account.Language
	}
	if asking.Marks, err = s.actorMarks(r, &a); err != nil {
		return err
	}
	_, created, err := s.Waitlists.Ask(r.Context(), asking)
	if err != nil {
		return err
	}
	own, err := s.Waitlists.Own(r.Context(), e.ID, a.entrant)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	writeJSON(w, status, entryOf(&own, e.Slug))
	return nil
}

// ownEntry shows the account's entry that stands.
//
//	GET /v1/events/{id}/waitlist/entry
func (s *Server) ownEntry(w http.ResponseWriter, r *http.Request) error {
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	a, err := s.account(r)
	if err != nil {
		return err
	}
	own, err := s.Waitlists.Own(r.Context(), e.ID, a.Entrant(e.PseudonymKey))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, entryOf(&own, e.Slug))
	return nil
}

// leaveWaitlist takes the account off an event's list, with the offer it may have.
//
//	DELETE /v1/events/{id}/waitlist/entry
func (s *Server) leaveWaitlist(w http.ResponseWriter, r *http.Request) error {
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	a, err := s.account(r)
	if err != nil {
		return err
	}
	if err := s.Waitlists.Leave(r.Context(), e.ID, a.Entrant(e.PseudonymKey)); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"left": true})
	return nil
}

// ownEntries lists the account's entries, the latest first, whatever became of them.
//
//	GET /v1/waitlist
func (s *Server) ownEntries(w http.ResponseWriter, r *http.Request) error {
	a, err := s.account(r)
	if err != nil {
		return err
	}
	found, err := s.Waitlists.Of(r.Context(), a.ID)
	if err != nil {
		return err
	}
	list := make([]entryJSON, len(found))
	for i := range found {
		e, err := s.Events.ByID(r.Context(), found[i].Event)
		if err != nil {
			return err
		}
		list[i] = entryOf(&found[i], e.Slug)
	}
	writeJSON(w, http.StatusOK, map[string]any{"entries": list})
	return nil
}

// offerTo is the offer of the path, if it is to the account that is signed in.
func (s *Server) offerTo(r *http.Request) (waitlist.Offer, actor, error) {
	id, err := pathID(r, waitlist.ErrUnknown)
	if err != nil {
		return waitlist.Offer{}, actor{}, err
	}
	if _, err := s.account(r); err != nil {
		return waitlist.Offer{}, actor{}, err
	}
	o, entry, err := s.Waitlists.Find(r.Context(), id)
	if err != nil {
		return o, actor{}, err
	}
	e, err := s.Events.ByID(r.Context(), o.Event)
	if err != nil {
		return o, actor{}, err
	}
	a, err := s.actorIn(r, e)
	if err == nil && a.entrant != entry.Entrant {
		err = waitlist.ErrUnknown
	}
	return o, a, err
}

func (s *Server) writeOffer(w http.ResponseWriter, r *http.Request, o *waitlist.Offer, e *event.Event) error {
	view := offerOf(o, e.Slug)
	if o.Hold != uuid.Nil {
		h, err := s.Inventory.Load(r.Context(), o.Hold)
		if err != nil {
			return err
		}
		hold := holdOf(h, e.Slug)
		view.Hold = &hold
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}

// showOffer shows an offer with what is held.
//
//	GET /v1/offers/{id}
func (s *Server) showOffer(w http.ResponseWriter, r *http.Request) error {
	o, a, err := s.offerTo(r)
	if err != nil {
		return err
	}
	return s.writeOffer(w, r, &o, a.event)
}

// acceptOffer takes an offer: its hold is ordered and paid as any.
//
//	POST /v1/offers/{id}/accept
func (s *Server) acceptOffer(w http.ResponseWriter, r *http.Request) error {
	o, a, err := s.offerTo(r)
	if err != nil {
		return err
	}
	taking := s.takingOf(r, &a, access.PlaceOffer)
	fresh := o.State != waitlist.Accepted // or else it is asked again
	if fresh {
		if err := s.Room.Take(r.Context(), &taking, s.lostHolds); err != nil {
			return err
		}
	}
	o, err = s.Waitlists.Accept(r.Context(), o.ID, a.entrant)
	switch {
	case err != nil:
		if fresh {
			s.Room.NotTaken(&taking)
		}
		return err
	case fresh:
		s.Room.Took(&taking, o.Hold)
	}
	return s.writeOffer(w, r, &o, a.event)
}

// declineOffer gives an offer back, and leaves the list.
//
//	POST /v1/offers/{id}/decline
func (s *Server) declineOffer(w http.ResponseWriter, r *http.Request) error {
	o, a, err := s.offerTo(r)
	if err != nil {
		return err
	}
	if o, err = s.Waitlists.Decline(r.Context(), o.ID, a.entrant); err != nil {
		return err
	}
	return s.writeOffer(w, r, &o, a.event)
}

// adminEntryJSON is an entry as operators see it.
type adminEntryJSON struct {
	entryJSON
	AccountID uuid.UUID `json:"account_id"`
}

// adminWaitlist shows an event's list in its order, those who are done too with all.
//
//	GET /admin/v1/events/{id}/waitlist?all=true&limit=50
func (s *Server) adminWaitlist(w http.ResponseWriter, r *http.Request) error {
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	all := r.URL.Query().Get("all") == "true"
	view, err := s.waitlistView(r.Context(), e)
	if err != nil {
		return err
	}
	found, err := s.Waitlists.Entries(r.Context(), e.ID, all, limit)
	if err != nil {
		return err
	}
	entries := make([]adminEntryJSON, len(found))
	for i := range found {
		entries[i] = adminEntryJSON{entryOf(&found[i], e.Slug), found[i].Account}
	}
	writeJSON(w, http.StatusOK, struct {
		waitlistJSON
		Entries []adminEntryJSON `json:"entries"`
	}{view, entries})
	return nil
}

// waitlistTranscript is what anybody needs to check the draw of an event's list. It names nobody.
//
//	GET /admin/v1/events/{id}/waitlist/transcript
func (s *Server) waitlistTranscript(w http.ResponseWriter, r *http.Request) error {
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	t, err := s.Waitlists.Transcript(r.Context(), e.ID)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, t)
	return nil
}
