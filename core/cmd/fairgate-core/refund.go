package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/core/event"
	"fairgate/core/payment"
)

// refundShare is the part of a provider's spare calls that the refund of a cancelled event may use; buyers of other events have
// the rest.
const refundShare = 0.5

// refundRate is how many refunds a second a cancelled event may ask for, of the providers that its buyers can have paid by. Without a
// limit of theirs it is maxRefundRate.
func refundRate(providers *payment.Providers, events *event.Store, log *slog.Logger) func(context.Context, uuid.UUID) float64 {
	const maxRefundRate = 50
	return func(ctx context.Context, id uuid.UUID) float64 {
		e, err := events.ByID(ctx, id)
		if err != nil {
			log.Warn("ask for the rate of an event's refunds", "event_id", id, "error", err)
			return 0
		}
		return min(providers.SpareRefundRate(e.Spec.Currency, e.Spec.Venue.Country)*refundShare, maxRefundRate)
	}
}

// selling tells whether an on-sale of the event is under way, so that late money may buy something.
func selling(ctx context.Context, room *access.Room, slug string) bool {
	phase, _, err := room.Phase(ctx, slug)
	return err == nil && phase != access.Ended
}

// saleEnds is when an event stops selling; zero where it is not known.
func saleEnds(ctx context.Context, room *access.Room, slug string) time.Time {
	ends, err := room.EndsAt(ctx, slug)
	if err != nil {
		return time.Time{}
	}
	return ends
}

// refundPolicy is the event file's section refunds as checkout needs it.
func refundPolicy(e *event.Event) checkout.RefundPolicy {
	r := e.Spec.Refunds
	p := checkout.RefundPolicy{Buyers: r.By == event.RefundByBuyer, Until: r.Until, KeepFee: r.KeepFee, KeepOff: r.KeepOff}
	if p.Until.IsZero() {
		p.Until = e.Spec.StartsAt
	}
	return p
}

// refundWords is the same for people.
func refundWords(e *event.Event) string {
	p := refundPolicy(e)
	words := "Tickets are refunded when the event is cancelled, the fee included."
	moved := fmt.Sprintf(" When it is moved to another time or venue buyers may give them back for %d days, until it begins, the fee included.", int(e.Spec.RefundOnChange().Hours()/24))
	if p.Buyers {
		words = "Buyers may give tickets back until " + p.Until.In(e.Location).Format(time.RFC3339) + "."
		if p.KeepFee {
			words += " The fee is kept."
		}
		words += " When the event is cancelled everything is refunded."
	}
	return words + moved
}
