package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/notify"
	"fairgate/core/ticket"
)

// changed composes the mails about events that were moved and tickets that have another seat. pages is where buyers' pages are; empty
// where core does not know.
type changed struct {
	db     *db.DB
	events *event.Store
	pages  string
}

func (c changed) composers() map[notify.Kind]notify.Composer {
	return map[notify.Kind]notify.Composer{notify.KindEventChanged: c.event, notify.KindTicketMoved: c.ticket, notify.KindTicketNews: c.news}
}

// of is what mails say of an event. A cancelled one has mails of its own.
func (c changed) of(ctx context.Context, id uuid.UUID) (notify.Event, *time.Location, error) {
	e, err := c.events.ByID(ctx, id)
	if err != nil {
		return notify.Event{}, nil, err
	}
	if e.State == event.Cancelled {
		return notify.Event{}, nil, fmt.Errorf("%w: event %s is cancelled", notify.ErrMoot, e.Slug)
	}
	return c.said(e), e.Location, nil
}

// said is what mails say of an event whatever its state.
func (c changed) said(e *event.Event) notify.Event {
	said := notify.Event{Name: e.Spec.Name, Venue: e.Spec.Venue.Name, City: e.Spec.Venue.City, StartsAt: e.Spec.StartsAt.In(e.Location)}
	if c.pages != "" {
		said.URL = strings.TrimSuffix(c.pages, "/") + "/e/" + e.Slug
	}
	return said
}

func (c changed) event(ctx context.Context, m notify.Message) (notify.Letter, error) {
	id, err := uuid.Parse(m.Data["event"])
	if err != nil {
		return notify.Letter{}, fmt.Errorf("which event was moved: %w", err)
	}
	said, location, err := c.of(ctx, id)
	if err != nil {
		return notify.Letter{}, err
	}
	was, err1 := time.Parse(time.RFC3339, m.Data["was_starts"])
	until, err2 := time.Parse(time.RFC3339, m.Data["refund_until"])
	if err := errors.Join(err1, err2); err != nil {
		return notify.Letter{}, fmt.Errorf("how event %s was moved: %w", id, err)
	}
	v := notify.EventChanged{Event: said, RefundUntil: until.In(location)}
	if !was.Equal(said.StartsAt) {
		v.WasStartsAt = was.In(location)
	}
	if place := m.Data["was_venue"]; place != said.Venue+", "+said.City {
		v.WasPlace = place
	}
	return notify.Letter{Values: v}, nil
}

func (c changed) ticket(ctx context.Context, m notify.Message) (notify.Letter, error) {
	t, err := ticket.Load(ctx, c.db.Reader, m.Subject)
	if err != nil {
		return notify.Letter{}, err
	}
	if t.State != ticket.Valid || t.Seat != m.Data["to"] {
		return notify.Letter{}, fmt.Errorf("%w: ticket %s is void or has another seat by now", notify.ErrMoot, t.ID)
	}
	said, _, err := c.of(ctx, t.Event)
	if err != nil {
		return notify.Letter{}, err
	}
	return notify.Letter{Values: notify.TicketMoved{Event: said, From: m.Data["from"], To: t.Seat}}, nil
}

// news is for who has a ticket that somebody else paid for: what became of it, unless something else has since.
func (c changed) news(ctx context.Context, m notify.Message) (notify.Letter, error) {
	t, err := ticket.Load(ctx, c.db.Reader, m.Subject)
	if err != nil {
		return notify.Letter{}, err
	}
	e, err := c.events.ByID(ctx, t.Event)
	if err != nil {
		return notify.Letter{}, err
	}
	v := notify.TicketNews{What: m.Data["what"], Event: c.said(e), Place: notify.Place{Tier: tierName(e, t.Tier), Seat: t.Seat}, From: m.Data["from"]}
	moot := t.State != ticket.Valid || e.State == event.Cancelled
	switch v.What {
	case "cancelled", "refunded", "disputed", "lost":
		moot = t.State == ticket.Valid
	case "restored": // is what the ticket's state says
	case "moved":
		moot = moot || t.Seat != m.Data["to"]
	case "changed":
		was, err := time.Parse(time.RFC3339, m.Data["was_starts"])
		if err != nil {
			return notify.Letter{}, fmt.Errorf("how event %s was moved: %w", e.Slug, err)
		}
		if !was.Equal(v.Event.StartsAt) {
			v.WasStartsAt = was.In(e.Location)
		}
		if place := m.Data["was_venue"]; place != v.Event.Venue+", "+v.Event.City {
			v.WasPlace = place
		}
	default:
		return notify.Letter{}, fmt.Errorf("there is no news %q of tickets", v.What)
	}
	if moot {
		return notify.Letter{}, fmt.Errorf("%w: something else has become of ticket %s by now", notify.ErrMoot, t.ID)
	}
	return notify.Letter{Values: v}, nil
}
