package waitlist

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/inventory/seating"
	"fairgate/edge/lottery"
)

const sqlOpenOffer = `
UPDATE waitlist_offers SET state = 'open', hold_id = $2::UUID, expires_at = $3::TIMESTAMPTZ
WHERE offer_id = $1::UUID AND state = 'making'`

const sqlAcceptOffer = `UPDATE waitlist_offers SET state = 'accepted', expires_at = $2::TIMESTAMPTZ WHERE offer_id = $1::UUID AND state = 'open'`

const sqlCloseOffer = `
UPDATE waitlist_offers SET state = $2::TEXT, reason = $3::TEXT, closed_at = now()
WHERE offer_id = $1::UUID AND closed_at IS NULL AND (state = 'making') = $4::BOOL`

const sqlWaitAgain = `UPDATE waitlist_entries SET state = 'waiting' WHERE entry_id = $1::UUID AND state = 'offered'`

// holdKey is the Idempotency-Key of an offer's hold.
func holdKey(offer uuid.UUID) string { return "waitlist/" + offer.String() }

// make has an offer's units held for its buyer, and opens it. Asked again, by whomever, it finds the same hold.
func (s *Service) make(ctx context.Context, o *Offer, rules *Rules) error {
	e, err := oneEntry(ctx, s.db.Reader, sqlEntry, o.Entry)
	if err != nil {
		return err
	}
	if e.Email == "" {
		return s.void(ctx, o, "nobody can be told", "the account was forgotten")
	}
	request := inventory.Request{Event: o.Event, Entrant: e.Entrant, Key: holdKey(o.ID), BodyHash: sha256.Sum256(o.ID[:]), Marks: e.marks,
		Waitlist: true, For: rules.OfferFor}
	if request.Items, err = s.items(ctx, o, &e, rules); err == nil {
		var h inventory.Hold
		if h, err = s.cfg.Hold(ctx, request); err == nil && h.State == inventory.Active {
			return s.open(ctx, o, &e, &h, rules)
		}
		if err == nil {
			return s.void(ctx, o, fmt.Sprintf("its hold was %s before it was told", h.State), "")
		}
		if !inventory.Refusal(err) {
			return fmt.Errorf("hold what offer %s offers: %w", o.ID, err)
		}
	}
	if errors.Is(err, inventory.ErrOverLimit) {
		return s.void(ctx, o, err.Error(), "has as many tickets as one buyer may have")
	}
	if apart := (*inventory.Apart)(nil); errors.As(err, &apart) {
		return s.void(ctx, o, "nothing fits: "+err.Error(), "") // the text is what sqlRestless looks for
	}
	return s.void(ctx, o, err.Error(), "")
}

// items is what an offer's hold asks for.
func (s *Service) items(ctx context.Context, o *Offer, e *Entry, rules *Rules) ([]inventory.Item, error) {
	if listing, is := inventory.ListingOf(o.Allocation); is {
		item, err := s.cfg.Listing(ctx, listing, o.Event, e.Entrant)
		return []inventory.Item{item}, err
	}
	if rules.Tiers[o.Tier] == inventory.Seated {
		return []inventory.Item{{Tier: o.Tier, Best: &inventory.Best{Quantity: o.Units, Allow: seating.Allow{Orphans: true, Split: true, Neighbours: true}}}}, nil
	}
	return []inventory.Item{{Tier: o.Tier, Quantity: o.Units}}, nil
}

// open tells the buyer, in the transaction from which on the offer stands.
func (s *Service) open(ctx context.Context, o *Offer, e *Entry, h *inventory.Hold, rules *Rules) error {
	opened := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlOpenOffer, o.ID, h.ID, h.Deadline)
		if err != nil {
			return fmt.Errorf("write it: %w", err)
		}
		if opened = tag.RowsAffected() == 1; !opened {
			return nil // another core has
		}
		return s.cfg.Send(ctx, tx, Mail{Key: "waitlist_offer/" + o.ID.String(), To: e.Email, Language: e.Language, Offer: o.ID, Within: rules.OfferFor})
	})
	if err != nil {
		return fmt.Errorf("open offer %s: %w", o.ID, err)
	}
	if opened {
		openedTotal.Inc()
	}
	return nil
}

// void ends an offer that could not be held. Its buyer waits on, or is done for the reason that end gives.
func (s *Service) void(ctx context.Context, o *Offer, why, end string) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlCloseOffer, o.ID, string(OfferVoid), why, true)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if end != "" {
			_, err = tx.Exec(ctx, sqlEndEntry, o.Entry, string(Offered), string(Closed), end)
		} else {
			_, err = tx.Exec(ctx, sqlWaitAgain, o.Entry)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("void offer %s: %w", o.ID, err)
	}
	closedTotal[OfferVoid].Inc()
	s.log.Info("an offer to the waiting list could not be held", "offer_id", o.ID, "reason", why)
	return nil
}

// Accept takes an offer for its buyer: its hold lives as long from now as an ordinary one, and is ordered and paid as one. Accepting again
// is the same. Errors: ErrUnknown, also when it is another's, ErrOfferGone.
func (s *Service) Accept(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Offer, error) {
	accepted := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		accepted = false
		o, err := own(ctx, tx, id, entrant)
		if err != nil {
			return err
		}
		switch o.State {
		case Accepted, OfferBought:
			return nil
		case Open:
		default:
			return ErrOfferGone
		}
		rules, err := s.cfg.Rules(ctx, o.Event)
		if err != nil {
			return err
		}
		deadline, err := inventory.Renew(ctx, tx, o.Hold, rules.HoldTTL)
		if errors.Is(err, inventory.ErrHoldExpired) {
			return ErrOfferGone // or sold meanwhile: the hold says which
		}
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlAcceptOffer, id, deadline)
		if err != nil || tag.RowsAffected() != 1 {
			return errors.Join(err, ErrOfferGone)
		}
		accepted = true
		return nil
	})
	if err != nil {
		return Offer{}, fmt.Errorf("accept offer %s: %w", id, err)
	}
	if accepted {
		acceptedTotal.Inc()
	}
	o, _, err := s.Find(ctx, id)
	return o, err
}

// own is an offer, if it is to that buyer.
func own(ctx context.Context, q querier, id uuid.UUID, entrant lottery.Entrant) (Offer, error) {
	o, err := oneOffer(ctx, q, sqlOffer, id)
	if err != nil {
		return o, err
	}
	e, err := oneEntry(ctx, q, sqlEntry, o.Entry)
	if err == nil && e.Entrant != entrant {
		err = ErrUnknown
	}
	return o, err
}

// Decline gives an offer back for its buyer, who leaves the list. Declining again is the same. Errors: ErrUnknown, ErrOfferGone, and those
// of releasing a hold: one that is being paid stays.
func (s *Service) Decline(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Offer, error) {
	o, err := own(ctx, s.db.Reader, id, entrant)
	if err != nil {
		return o, err
	}
	switch o.State {
	case OfferDeclined:
		return o, nil
	case Open, Accepted:
	default:
		return o, ErrOfferGone
	}
	if _, err := s.cfg.Release(ctx, o.Hold, entrant); err != nil {
		return o, err
	}
	if err := s.settle(ctx, &o, inventory.Released); err != nil { // dies here: the next look at the hold finds the same
		return o, err
	}
	o, _, err = s.Find(ctx, id)
	return o, err
}

// settle ends an offer as its hold has ended.
func (s *Service) settle(ctx context.Context, o *Offer, hold inventory.State) error {
	to, entry, why := OfferExpired, Lapsed, "the offer was not taken in time"
	switch {
	case hold == inventory.Sold:
		to, entry, why = OfferBought, Bought, ""
	case hold == inventory.Released:
		to, entry, why = OfferDeclined, Left, "declined the offer"
	case o.State == Accepted:
		why = "the offer was accepted and not paid in time"
	}
	settled := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlCloseOffer, o.ID, string(to), why, false)
		if settled = err == nil && tag.RowsAffected() == 1; !settled {
			return err
		}
		_, err = tx.Exec(ctx, sqlEndEntry, o.Entry, string(Offered), string(entry), why)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle offer %s: %w", o.ID, err)
	}
	if settled {
		closedTotal[to].Inc()
	}
	return nil
}
