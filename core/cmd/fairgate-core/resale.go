package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"fairgate/core/event"
	"fairgate/core/resale"
)

// resaleRules adapts an event, with the law of its place, to what resale has to know of it.
func resaleRules(events *event.Store) func(context.Context, uuid.UUID) (resale.Rules, error) {
	return func(ctx context.Context, id uuid.UUID) (resale.Rules, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return resale.Rules{}, err
		}
		r, err := e.Spec.ResaleRules()
		if err != nil {
			return resale.Rules{}, fmt.Errorf("event %s: %w", e.Slug, err)
		}
		return resale.Rules{
			Slug: e.Slug, Organizer: e.Spec.Organizer, Currency: e.Spec.Currency, Allowed: r.Allowed, Over: int64(r.Over), Free: r.Free,
			LowerBase: r.LowerBase, Royalty: int64(r.Organizer), Commission: int64(r.SellerFee), Fee: r.Fee.Minor, Tax: r.Tax.Minor,
			ClosesAt: r.ClosesAt, StartsAt: e.Spec.StartsAt, PayAfter: r.PayAfter, MaxListings: r.MaxListings, Cancelled: e.State == event.Cancelled,
		}, nil
	}
}
