package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/resale"
	"fairgate/core/waitlist"
	"fairgate/edge/lottery"
)

// openWaitlists makes the part that keeps waiting lists. room answers nil until it is open.
func openWaitlists(d *db.DB, events *event.Store, stock *inventory.Service, listings *resale.Service, room func() *access.Room, log *slog.Logger) *waitlist.Service {
	return waitlist.New(waitlist.Config{
		DB: d, Rules: waitlistRules(events), Over: saleOver(events, room), Log: log,
		Hold: stock.Hold, Release: stock.Release, Listing: listingFor(listings), Unsellable: stock.Unsellable,
		Send: func(ctx context.Context, tx pgx.Tx, m waitlist.Mail) error {
			return notify.Queue(ctx, tx, notify.Message{Key: m.Key, Kind: notify.KindWaitlistOffer, To: m.To, Language: m.Language, Subject: m.Offer, Within: m.Within})
		},
		Remember: func(ctx context.Context, tx pgx.Tx, who, event uuid.UUID, entrant lottery.Entrant) error {
			return account.Remember(ctx, tx, account.Entrancy{Account: who, Event: event, Entrant: entrant})
		},
	})
}

// listingFor adapts listings to what the waiting list has to know: whether it is refused, or the question failed.
func listingFor(listings *resale.Service) func(ctx context.Context, id, event uuid.UUID, buyer lottery.Entrant) (inventory.Item, error) {
	return func(ctx context.Context, id, event uuid.UUID, buyer lottery.Entrant) (inventory.Item, error) {
		item, err := listings.ForHold(ctx, id, event, buyer)
		for _, refusal := range []error{resale.ErrUnknown, resale.ErrOver, resale.ErrOwn, resale.ErrClosed, resale.ErrNotAllowed} {
			if errors.Is(err, refusal) {
				return item, fmt.Errorf("%w: %w", waitlist.ErrListing, err)
			}
		}
		return item, err
	}
}

// waitlistRules adapts an event to what its waiting list has to know of it.
func waitlistRules(events *event.Store) func(context.Context, uuid.UUID) (waitlist.Rules, error) {
	return func(ctx context.Context, id uuid.UUID) (waitlist.Rules, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return waitlist.Rules{}, err
		}
		w := e.Spec.WaitlistRules()
		r := waitlist.Rules{Enabled: w.Enabled, Cancelled: e.State == event.Cancelled, Returned: w.Returned, Resold: w.Resold, OfferFor: w.OfferFor,
			DrawAfter: w.DrawAfter, ClosesAt: w.ClosesAt, HoldTTL: e.Spec.Hold.TTL.Duration, PerBuyer: e.Spec.Limits.PerBuyer,
			Tiers: make(map[string]inventory.Kind, len(e.Tiers))}
		for name, t := range e.Tiers {
			r.Tiers[name] = inventory.Kind(t.Kind)
		}
		return r, nil
	}
}

// saleOver tells whether general sale of an event is sold out or over: whoever comes then finds nothing. A presale that is says nothing of what
// general sale has yet to sell.
func saleOver(events *event.Store, room func() *access.Room) func(context.Context, uuid.UUID) bool {
	return func(ctx context.Context, id uuid.UUID) bool {
		e, err := events.ByID(ctx, id)
		if err != nil || room() == nil {
			return false
		}
		calendar, err := room().Calendar(ctx, e.Slug)
		return err == nil && calendar.Over()
	}
}

// offerMail composes what the mail about an offer tells; one that is over is not sent.
func offerMail(lists *waitlist.Service, stock *inventory.Service, events *event.Store, site string) notify.Composer {
	return func(ctx context.Context, m notify.Message) (notify.Letter, error) {
		o, entry, err := lists.Find(ctx, m.Subject)
		if err != nil {
			return notify.Letter{}, err
		}
		if o.State != waitlist.Open {
			return notify.Letter{}, fmt.Errorf("%w: the offer is %s", notify.ErrMoot, o.State)
		}
		e, err := events.ByID(ctx, o.Event)
		if err != nil {
			return notify.Letter{}, err
		}
		h, err := stock.Load(ctx, o.Hold)
		if err != nil {
			return notify.Letter{}, err
		}
		tier := o.Tier
		if known, ok := e.Tiers[o.Tier]; ok {
			tier = known.Name
		}
		offer := notify.WaitlistOffer{
			Event: notify.Event{Name: e.Spec.Name, Venue: e.Spec.Venue.Name, City: e.Spec.Venue.City, StartsAt: e.Spec.StartsAt.In(e.Location)},
			Tier:  tier, Units: o.Units, Wanted: entry.Quantity, Amount: h.Amount, Expires: o.ExpiresAt.In(e.Location), Site: offersPage(site),
		}
		for _, item := range h.Items {
			offer.Seats = append(offer.Seats, item.Seats...)
		}
		_, offer.Resold = inventory.ListingOf(o.Allocation)
		return notify.Letter{Values: offer}, nil
	}
}

// offersPage is where offers are answered, after signing in; "" where core does not know the pages' address.
func offersPage(site string) string {
	if site = strings.TrimRight(site, "/"); site == "" {
		return ""
	}
	return site + "/account#offers"
}
