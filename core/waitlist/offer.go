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

const sqlHoldStands = `SELECT h.state = 'sold' OR h.state = 'active' AND h.deadline > now() FROM holds AS h WHERE h.hold_id = $1::UUID`

const sqlCloseOffer = `
UPDATE waitlist_offers SET state = $2::TEXT, reason = $3::TEXT, closed_at = now()
WHERE offer_id = $1::UUID AND closed_at IS NULL AND (state = 'making') = $4::BOOL`

const sqlWaitAgain = `UPDATE waitlist_entries SET state = 'waiting' WHERE entry_id = $1::UUID AND state = 'offered'`

// holdKey is the Idempotency-Key of an offer's hold.
func holdKey(offer uuid.UUID) string { return "waitlist/" + offer.String() }

// make has an offer's units held for its buyer, and opens it. Asked again, by whomever, it finds the same hold. Who can have fewer, and takes
// fewer, is offered those at once. refused tells that the buyer waits on, and is passed over for these units for a while.
func (s *Service) make(ctx context.Context, o *Offer, rules *Rules) (refused bool, err error) {
	e, err := oneEntry(ctx, s.db.Reader, sqlEntry, o.Entry)
	if err != nil {
		return false, err
	}
	if e.Email == "" {
		_, err := s.void(ctx, o, &verdict{why: "nobody can be told", end: "the account was forgotten"})
		return false, err
	}
	for o != nil {
		v, err := s.try(ctx, o, &e, rules)
		if err != nil || v == nil {
			return false, err
		}
		refused = v.rests
		if o, err = s.void(ctx, o, v); err != nil {
			return false, err
		}
	}
	return refused, nil
}

// try has an offer held and opens it; nil if it was. What is no refusal is an error, and the offer stays in the making.
func (s *Service) try(ctx context.Context, o *Offer, e *Entry, rules *Rules) (*verdict, error) {
	request := inventory.Request{Event: o.Event, Entrant: e.Entrant, Key: holdKey(o.ID), BodyHash: sha256.Sum256(o.ID[:]), Marks: e.marks,
		Waitlist: true, For: rules.OfferFor}
	var err error
	if request.Items, err = s.items(ctx, o, e, rules); errors.Is(err, ErrListing) {
		return judge(err, o, e), nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up what offer %s offers: %w", o.ID, err)
	}
	h, err := s.cfg.Hold(ctx, request)
	switch {
	case inventory.Refusal(err):
		return judge(err, o, e), nil
	case err != nil:
		return nil, fmt.Errorf("hold what offer %s offers: %w", o.ID, err)
	case h.State != inventory.Active:
		return &verdict{why: fmt.Sprintf("its hold was %s before it was told", h.State)}, nil
	}
	return nil, s.open(ctx, o, e, &h, rules)
}

// verdict is what comes of an offer that could not be held.
type verdict struct {
	why   string
	end   string // why its entry is over; "": it waits on
	fewer int    // the entry is offered so many at once instead; 0: it is not
	rests bool   // it is passed over for these units for a while, see resting
}

// judge tells what a refusal means for an entry.
func judge(err error, o *Offer, e *Entry) *verdict {
	if errors.Is(err, inventory.ErrSoldOut) { // it would be for everybody, and what there is is read anew
		return &verdict{why: err.Error()}
	}
	v := &verdict{why: "refused: " + err.Error(), rests: true} // the text is what sqlResting looks for
	over := (*inventory.OverLimit)(nil)
	switch {
	case errors.As(err, &over):
		others := errors.Is(err, inventory.ErrOverDeviceLimit) || errors.Is(err, inventory.ErrOverAddressLimit)
		if over.Left == 0 && !others {
			return &verdict{why: err.Error(), end: "has as many tickets as one buyer may have"}
		}
		v.fewer = min(int(over.Left), o.Units-1)
	case errors.Is(err, inventory.ErrApart), errors.Is(err, inventory.ErrNotEnoughLeft):
		v.fewer = o.Units - 1
	}
	if e.Together {
		v.fewer = 0
	}
	return v
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

// void ends an offer that could not be held. Its buyer is offered fewer of the same, which next is, waits on, or is done.
func (s *Service) void(ctx context.Context, o *Offer, v *verdict) (next *Offer, err error) {
	fewer := *o
	fewer.ID, fewer.Units = uuid.New(), v.fewer
	voided := false
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlCloseOffer, o.ID, string(OfferVoid), v.why, true)
		if voided = err == nil && tag.RowsAffected() == 1; !voided {
			return err // another core has
		}
		switch {
		case v.end != "":
			_, err = tx.Exec(ctx, sqlEndEntry, o.Entry, string(Offered), string(Closed), v.end)
		case v.fewer > 0:
			_, err = tx.Exec(ctx, sqlInsertOffer, fewer.ID, o.Entry, o.Event, o.Tier, o.Allocation, fewer.Units)
		default:
			_, err = tx.Exec(ctx, sqlWaitAgain, o.Entry)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("void offer %s: %w", o.ID, err)
	}
	if !voided {
		return nil, nil
	}
	closedTotal[OfferVoid].Inc()
	s.log.Info("an offer to the waiting list could not be held", "offer_id", o.ID, "reason", v.why)
	if v.fewer == 0 || v.end != "" {
		return nil, nil
	}
	return &fewer, nil
}

// Accept takes an offer for its buyer: its hold lives as long from now as an ordinary one, and is ordered and paid as one. Accepting again
// is the same, as long as its hold has not run out. Errors: ErrUnknown, also when it is another's, ErrOfferGone, also when the event was
// cancelled.
func (s *Service) Accept(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Offer, error) {
	accepted := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		accepted = false
		o, err := own(ctx, tx, id, entrant)
		if err != nil {
			return err
		}
		switch o.State {
		case OfferBought:
			return nil
		case Accepted:
			return stands(ctx, tx, o.Hold)
		case Open:
		default:
			return ErrOfferGone
		}
		rules, err := s.cfg.Rules(ctx, o.Event)
		if err != nil {
			return err
		}
		if rules.Cancelled {
			return ErrOfferGone
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

// stands is ErrOfferGone for a hold that has run out or was given back, whether or not its offer has been settled.
func stands(ctx context.Context, q querier, hold uuid.UUID) error {
	ok := false
	if err := q.QueryRow(ctx, sqlHoldStands, hold).Scan(&ok); err != nil {
		return fmt.Errorf("read hold %s: %w", hold, err)
	}
	if !ok {
		return ErrOfferGone
	}
	return nil
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
	if err := s.settle(ctx, &o, declined); err != nil { // dies here: a later look finds that the hold was given back
		return o, err
	}
	o, _, err = s.Find(ctx, id)
	return o, err
}

// end is what becomes of an offer that was open, and of its entry.
type end struct {
	offer OfferState
	entry State
	why   string
}

// declined is the end of an offer that its buyer gave back.
var declined = end{OfferDeclined, Left, "declined the offer"}

// endOf is an offer's end, as its hold has ended. A hold says that it was released, not why: the event's cancellation releases all there are.
func endOf(o *Offer, hold inventory.State, cancelled bool) end {
	switch {
	case hold == inventory.Sold:
		return end{OfferBought, Bought, ""}
	case hold == inventory.Released && cancelled:
		return end{OfferExpired, Closed, "the event was cancelled"}
	case hold == inventory.Released:
		return end{OfferDeclined, Left, "what the offer held was given back"}
	case o.State == Accepted:
		return end{OfferExpired, Lapsed, "the offer was accepted and not paid in time"}
	}
	return end{OfferExpired, Lapsed, "the offer was not taken in time"}
}

// settle ends an offer and its entry, once.
func (s *Service) settle(ctx context.Context, o *Offer, as end) error {
	settled := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlCloseOffer, o.ID, string(as.offer), as.why, false)
		if settled = err == nil && tag.RowsAffected() == 1; !settled {
			return err
		}
		_, err = tx.Exec(ctx, sqlEndEntry, o.Entry, string(Offered), string(as.entry), as.why)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle offer %s: %w", o.ID, err)
	}
	if settled {
		closedTotal[as.offer].Inc()
	}
	return nil
}
