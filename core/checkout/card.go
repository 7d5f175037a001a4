package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
)

// CardLimits are the most units that one card may buy of an event and of its tour; 0 is no limit. Which card it is becomes
// known when a payment is authorized, so they are checked by the transaction that would sell the hold.
type CardLimits struct {
	Event  int
	Tour   int
	TourID uuid.UUID                               // inventory.TourID; needed with Tour
	Mark   func(fingerprint string) inventory.Mark // hashes what the provider calls the card
}

// any tells whether there is a limit at all.
func (l *CardLimits) any() bool { return l.Event > 0 || l.Tour > 0 }

// counts are the rows of quota that a sale to a card counts in.
func (l *CardLimits) counts(r *record, card string) []inventory.CardCount {
	count := inventory.CardCount{Hold: r.order.Hold, Event: r.order.Event, Card: l.Mark(card), Units: len(r.order.Lines)}
	var counts []inventory.CardCount
	if l.Event > 0 {
		count.Scope, count.Limit = r.order.Event, l.Event
		counts = append(counts, count)
	}
	if l.Tour > 0 {
		count.Scope, count.Limit = l.TourID, l.Tour
		counts = append(counts, count)
	}
	return counts
}

// cardOverLimit is the failure of an attempt whose card has bought enough, as the buyer sees it.
const cardOverLimit = "card_over_limit"

// errCardNeeded means that an authorization cannot be judged before the provider has said which card it was.
var errCardNeeded = errors.New("checkout: the card is not known yet")

// askCard asks the provider which card an authorization was made with. Webhooks do not say. A payment that was made with
// something else has none.
func (s *Service) askCard(ctx context.Context, o *Outcome) error {
	a, err := s.attempt(ctx, payment.Task{OrderID: o.Order, PaymentID: o.Payment})
	if err != nil {
		return err
	}
	out, err := a.provider.Lookup(ctx, a.intent)
	if err != nil {
		return fmt.Errorf("ask for the card of payment %s: %w", o.Payment, err)
	}
	o.Card, o.CardAsked, o.Risk = out.Card, true, out.Risk
	return nil
}

// readCards reads what the cards of the batch's authorizations have bought.
func (b *batch) readCards(ctx context.Context) error {
	b.taken = map[uuid.UUID]int64{}
	var ids []uuid.UUID
	for _, a := range b.asks {
		if a.outcome == nil || a.outcome.Card == "" {
			continue
		}
		r := b.records[a.outcome.Order]
		if r == nil || !authorizes(r, a.outcome) {
			continue
		}
		terms, err := b.termsOf(ctx, r.order.Event)
		if err != nil {
			return err
		}
		if !terms.Cards.any() {
			continue
		}
		for _, c := range terms.Cards.counts(r, a.outcome.Card) {
			ids = append(ids, c.QuotaID())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	d := b.service.db
	return d.Reading(ctx, func() (err error) {
		b.taken, err = inventory.Taken(ctx, d.Reader, once(ids))
		return err
	})
}

// overCard judges an authorization by the limits on cards: nil when it may be sold, and then it is counted; errCardNeeded;
// or an inventory.OverLimit. Authorizations of one batch are judged in their order.
func (b *batch) overCard(ctx context.Context, r *record, o *Outcome) error {
	terms, err := b.termsOf(ctx, r.order.Event)
	if err != nil || !terms.Cards.any() {
		return err
	}
	if o.Card == "" {
		if o.CardAsked {
			return nil // paid with something that is no card
		}
		return errCardNeeded
	}
	if err := r.decode(); err != nil {
		return err
	}
	counts := terms.Cards.counts(r, o.Card)
	for i := range counts {
		if err := counts[i].Over(b.taken[counts[i].QuotaID()]); err != nil {
			return err
		}
	}
	for i := range counts {
		b.taken[counts[i].QuotaID()] += int64(counts[i].Units)
	}
	b.cards = append(b.cards, counts...)
	return nil
}

// refuseCard ends an order whose card has bought enough: nothing is sold, the hold goes back on sale, and the authorization
// is voided.
func (b *batch) refuseCard(r *record, p *Payment, o *Outcome, over *inventory.OverLimit) error {
	if r.order.State == PaymentReview {
		b.closeReview(r, p, cardOverLimit, o)
	}
	p.move(PaymentVoiding, cardOverLimit)
	b.release = append(b.release, r.order.Hold)
	b.tasks = append(b.tasks, task(taskVoid, r.order.ID, p.ID))
	return b.note(r, CauseCardOverLimit, o, fmt.Sprintf("the card may buy %d more of %d", over.Left, over.Limit))
}
