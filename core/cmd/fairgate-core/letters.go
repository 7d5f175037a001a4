package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/notify"
	"fairgate/core/ticket"
	"fairgate/core/ticket/paper"
	"fairgate/core/ticket/wallet"
)

// letters say what mails about orders tell: what is so when they are sent.
type letters struct {
	db     *db.DB
	events *event.Store
	orders *checkout.Service
	public string // where buyers reach the edges, without a slash at the end; empty: nobody told
	log    *slog.Logger
	// link seals a way to an order, for its mail alone, that is good until then.
	link func(ctx context.Context, order uuid.UUID, until time.Time) (string, error)
	// pass is a ticket's pass for Apple Wallet, or nil where none is offered. Nil: none ever is.
	pass func(ctx context.Context, t ticket.Ticket, e *event.Event) ([]byte, error)
}

// maxPasses is of how many tickets passes are attached: some 30 kB each.
const maxPasses = 10

func (l *letters) composers() map[notify.Kind]notify.Composer {
	all := map[notify.Kind]notify.Composer{
		notify.KindTickets:        l.tickets,
		notify.KindRefunded:       l.refunded,
		notify.KindEventCancelled: l.cancelled,
		notify.KindSignInCode:     notify.FromData,
		notify.KindUnpaidOrder:    l.unpaid,
	}
	maps.Copy(all, changed{l.db, l.events, l.public}.composers())
	return all
}

// about loads the order that a message is about and its event.
func (l *letters) about(ctx context.Context, m notify.Message) (checkout.Order, *event.Event, notify.Event, error) {
	o, err := l.orders.Find(ctx, m.Subject)
	if errors.Is(err, checkout.ErrOrderUnknown) {
		return o, nil, notify.Event{}, fmt.Errorf("%w: there is no such order", notify.ErrMoot)
	}
	if err != nil {
		return o, nil, notify.Event{}, err
	}
	e, err := l.events.ByID(ctx, o.Event)
	if err != nil {
		return o, nil, notify.Event{}, err
	}
	zone, err := time.LoadLocation(e.Spec.TimeZone)
	if err != nil {
		return o, nil, notify.Event{}, fmt.Errorf("the time zone of event %s: %w", e.Slug, err)
	}
	said := notify.Event{Name: e.Spec.Name, Venue: e.Spec.Venue.Name, City: e.Spec.Venue.City, StartsAt: e.Spec.StartsAt.In(zone)}
	if l.public != "" {
		said.URL = l.public + "/e/" + e.Slug
	}
	return o, e, said, nil
}

// page is where an order's buyer finds it; empty where nobody knows.
func page(e notify.Event, order uuid.UUID) string {
	if e.URL == "" {
		return ""
	}
	return e.URL + "?order=" + order.String()
}

// theirs are the tickets of an order that open a gate and are still its buyer's.
func (l *letters) theirs(ctx context.Context, o *checkout.Order) ([]ticket.Ticket, error) {
	all, err := ticket.OfOrder(ctx, l.db.Reader, o.ID, len(o.Lines))
	if err != nil {
		return nil, err
	}
	var good []ticket.Ticket
	for _, t := range all {
		if t.State == ticket.Valid && t.Owner == o.Entrant {
			good = append(good, t)
		}
	}
	if len(good) == 0 {
		return nil, fmt.Errorf("%w: the order has no tickets", notify.ErrMoot)
	}
	return good, nil
}

func (l *letters) tickets(ctx context.Context, m notify.Message) (notify.Letter, error) {
	o, e, said, err := l.about(ctx, m)
	if err != nil {
		return notify.Letter{}, err
	}
	if e.State == event.Cancelled {
		return notify.Letter{}, fmt.Errorf("%w: the event is cancelled", notify.ErrMoot)
	}
	good, err := l.theirs(ctx, &o)
	if err != nil {
		return notify.Letter{}, err
	}
	v := notify.Tickets{Event: said, Order: o.ID, URL: page(said, o.ID), Paid: o.Amount, Rotating: e.Spec.Gates.Rotating}
	language := notify.LanguageOf(m.Language)
	sheet := paper.Sheet{Language: language, Event: said.Name, When: notify.When(language, said.StartsAt), Where: said.Venue + ", " + said.City, Order: o.ID, URL: v.URL}
	for _, t := range good {
		drawn := paper.Ticket{ID: t.ID, Tier: tierName(e, t.Tier), Seat: t.Seat}
		if !v.Rotating {
			drawn.Code = t.Code
		}
		sheet.Tickets = append(sheet.Tickets, drawn)
		v.Places = append(v.Places, notify.Place{Tier: drawn.Tier, Seat: drawn.Seat})
	}
	pdf, err := paper.PDF(sheet)
	if err != nil {
		return notify.Letter{}, err
	}
	files := []notify.Attachment{{Name: "tickets-" + e.Slug + ".pdf", Media: "application/pdf", Bytes: pdf}, entry(e, said, &o)}
	passes := l.passes(ctx, e, good)
	v.Wallet = len(passes) > 0
	files = append(files, passes...)
	return notify.Letter{Values: v, Attachments: files}, nil
}

// passes are those of tickets for Apple Wallet. A mail does not wait for them: they are on the order's page as well.
func (l *letters) passes(ctx context.Context, e *event.Event, tickets []ticket.Ticket) (files []notify.Attachment) {
	if l.pass == nil || len(tickets) > maxPasses {
		return nil
	}
	for _, t := range tickets {
		made, err := l.pass(ctx, t, e)
		if err != nil {
			l.log.Warn("a mail goes without passes for wallets", "ticket_id", t.ID.String(), "error", err.Error())
			return nil
		}
		if made == nil {
			return nil
		}
		files = append(files, notify.Attachment{Name: e.Slug + "-" + t.ID.String()[:8] + ".pkpass", Media: wallet.AppleType, Bytes: made})
	}
	return files
}

func tierName(e *event.Event, id string) string {
	for _, t := range e.Spec.Tiers {
		if t.ID == id {
			return t.Name
		}
	}
	return id
}

// entry is the calendar's. A later version of the event is a later version of the same entry.
func entry(e *event.Event, said notify.Event, o *checkout.Order) notify.Attachment {
	return notify.Attachment{Name: e.Slug + ".ics", Media: notify.CalendarMedia, Bytes: notify.Calendar(notify.Entry{
		UID: o.ID.String() + "@fairgate", Sequence: e.Revision, Stamp: time.Now(), StartsAt: said.StartsAt, Summary: said.Name,
		Location: strings.TrimPrefix(said.Venue+", "+said.City, ", "), URL: page(said, o.ID),
	})}
}

func (l *letters) refunded(ctx context.Context, m notify.Message) (notify.Letter, error) {
	o, _, said, err := l.about(ctx, m)
	if err != nil {
		return notify.Letter{}, err
	}
	for i := range o.Refunds {
		f := &o.Refunds[i]
		if f.ID.String() != m.Data[notify.DataRefund] {
			continue
		}
		if f.State != checkout.RefundPaid {
			return notify.Letter{}, fmt.Errorf("%w: the refund is %s", notify.ErrMoot, f.State)
		}
		return notify.Letter{Values: notify.Refunded{Event: said, Order: o.ID, Amount: f.Amount, Late: f.Kind == checkout.RefundOfLate}}, nil
	}
	return notify.Letter{}, fmt.Errorf("order %s has no refund %q", o.ID, m.Data[notify.DataRefund])
}

func (l *letters) cancelled(ctx context.Context, m notify.Message) (notify.Letter, error) {
	o, _, said, err := l.about(ctx, m)
	if err != nil {
		return notify.Letter{}, err
	}
	v := notify.Cancelled{Event: said, Order: o.ID, Amount: o.Amount}
	for i := range o.Refunds {
		if o.Refunds[i].Run != uuid.Nil {
			v.Amount = o.Refunds[i].Amount // some of the order may have been refunded before
		}
	}
	return notify.Letter{Values: v}, nil
}
