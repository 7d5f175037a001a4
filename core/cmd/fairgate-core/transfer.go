package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/account"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/ticket"
	"fairgate/core/transfer"
	"fairgate/edge/lottery"
)

// openTransfers makes the part that hands tickets on.
func openTransfers(d *db.DB, events *event.Store, issuer *ticket.Issuer, log *slog.Logger) *transfer.Service {
	return transfer.New(transfer.Config{
		DB: d, Issuer: issuer, Terms: transferTerms(events), Normalize: account.Normalize, Log: log,
		Send: func(ctx context.Context, tx pgx.Tx, m transfer.Mail) error {
			return notify.Queue(ctx, tx, notify.Message{Key: m.Key, Kind: notify.Kind(m.Kind), To: m.To, Language: m.Language, Subject: m.Transfer})
		},
		Given: func(ctx context.Context, tx pgx.Tx, who, event uuid.UUID, owner lottery.Entrant) error {
			return account.Remember(ctx, tx, account.Entrancy{Account: who, Event: event, Entrant: owner})
		},
	})
}

// transferTerms adapts an event to what handing its tickets on has to know of it. The limits are those of its holds.
func transferTerms(events *event.Store) func(context.Context, uuid.UUID) (transfer.Terms, error) {
	limits := offers(events)
	return func(ctx context.Context, id uuid.UUID) (transfer.Terms, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return transfer.Terms{}, err
		}
		var offer inventory.Offer
		if offer, err = limits(ctx, id); err != nil && !errors.Is(err, event.ErrCancelled) {
			return transfer.Terms{}, err
		}
		r := e.Spec.TransferRules()
		return transfer.Terms{Allowed: r.Allowed, Cancelled: e.State == event.Cancelled, ClosesAt: r.ClosesAt, OfferFor: r.OfferFor, Most: r.Most,
			Limit: offer.Limit, Limits: offer.Limits, Tour: offer.Tour}, nil
	}
}

// transferMail composes what mails tell of a transfer.
func transferMail(transfers *transfer.Service, events *event.Store, site string) notify.Composer {
	return func(ctx context.Context, m notify.Message) (notify.Letter, error) {
		t, err := transfers.Find(ctx, m.Subject)
		if err != nil {
			return notify.Letter{}, err
		}
		e, err := events.ByID(ctx, t.Event)
		if err != nil {
			return notify.Letter{}, err
		}
		site := site
		if m.Kind == notify.KindTransferOffer && site != "" { // straight to the offer
			site = strings.TrimSuffix(site, "/") + "/e/" + e.Slug + "?transfer=" + t.ID.String()
		}
		tier := t.Tier
		if known, ok := e.Tiers[t.Tier]; ok {
			tier = known.Name
		}
		return notify.Letter{Values: notify.Transfer{
			Event: notify.Event{Name: e.Spec.Name, Venue: e.Spec.Venue.Name, City: e.Spec.Venue.City, StartsAt: e.Spec.StartsAt.In(e.Location)},
			Place: notify.Place{Tier: tier, Seat: t.Seat}, From: transfer.Masked(t.GiverEmail), To: t.To, Expires: t.ExpiresAt.In(e.Location), Site: site,
		}}, nil
	}
}
