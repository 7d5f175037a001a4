package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/event"
	"fairgate/core/notify"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// linkAfter is for how long the link to an unpaid order shows what became of it, once there is nothing to pay any more.
const linkAfter = 24 * time.Hour

// orderLinks are the keys of links to unpaid orders.
func orderLinks(events *event.Store) func(context.Context) (lottery.MACKeys, error) {
	return func(ctx context.Context) (lottery.MACKeys, error) {
		ring, err := events.Keys(ctx, event.OrderLinkPurpose, event.GlobalScope)
		return ring.MACKeys(), err
	}
}

// sealLink seals links with the newest key.
func sealLink(keys func(context.Context) (lottery.MACKeys, error)) func(context.Context, uuid.UUID, time.Time) (string, error) {
	return func(ctx context.Context, order uuid.UUID, until time.Time) (string, error) {
		all, err := keys(ctx)
		if err != nil {
			return "", fmt.Errorf("find the keys of order links: %w", err)
		}
		newest, ok := all.Newest()
		if !ok {
			return "", errors.New("there is no key of order links")
		}
		return base64.RawURLEncoding.EncodeToString(admission.OrderLink{KeyNo: newest.No, Order: order, ExpiresAt: until}.Seal(nil, newest.Key[:])), nil
	}
}

// unpaid leads back to an order that can still be paid. The link is made for the mail alone and kept nowhere; it stands behind the #, which
// browsers send to nobody.
func (l *letters) unpaid(ctx context.Context, m notify.Message) (notify.Letter, error) {
	o, e, said, err := l.about(ctx, m)
	if err != nil {
		return notify.Letter{}, err
	}
	switch {
	case o.State != checkout.PaymentPending && o.State != checkout.PaymentFailed || o.Payment.State != checkout.PaymentCreated && o.Payment.State != checkout.PaymentBegun:
		return notify.Letter{}, fmt.Errorf("%w: the order is %s", notify.ErrMoot, o.State)
	case !o.Deadline.After(o.ServerTime):
		return notify.Letter{}, fmt.Errorf("%w: the time to pay is up", notify.ErrMoot)
	case said.URL == "" || e.State == event.Cancelled:
		return notify.Letter{}, fmt.Errorf("%w: there is nowhere to pay", notify.ErrMoot)
	}
	token, err := l.link(ctx, o.ID, o.Deadline.Add(linkAfter))
	if err != nil {
		return notify.Letter{}, err
	}
	v := notify.UnpaidOrder{Event: said, Amount: o.Amount, Until: o.Deadline.In(said.StartsAt.Location()), URL: page(said, o.ID) + "#link=" + token, Site: l.public}
	for _, line := range o.Lines {
		v.Places = append(v.Places, notify.Place{Tier: tierName(e, line.Tier), Seat: line.Seat})
	}
	return notify.Letter{Values: v}, nil
}
