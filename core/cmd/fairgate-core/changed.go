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
	return map[notify.Kind]notify.Composer{notify.KindEventChanged: c.event, notify.KindTicketMoved: c.ticket}
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
	said := notify.Event{Name: e.Spec.Name, Venue: e.Spec.Venue.Name, City: e.Spec.Venue.City, StartsAt: e.Spec.StartsAt.In(e.Location)}
	if c.pages != "" {
		said.URL = strings.TrimSuffix(c.pages, "/") + "/e/" + e.Slug
	}
	return said, e.Location, nil
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
