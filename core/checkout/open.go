package checkout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// Opening asks for an order on a hold. The hold must be the entrant's.
type Opening struct {
	Hold    uuid.UUID
	Event   uuid.UUID // of the hold
	Entrant lottery.Entrant
	Email   string
	// Language is that in which the buyer reads, a language tag; "" where nobody said. It makes no other order.
	Language string
	Method   string // how the buyer wants to pay; "" for whatever is offered first
	Key      string // Idempotency-Key: of one buyer and event, the same key is the same order
	Address  string // the network it is opened from, which is kept as a hash; may be empty
}

var keySpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:order-key"))

// keyID names an opening as its buyer does.
func (o *Opening) keyID() uuid.UUID {
	name := make([]byte, 0, len(o.Event)+len(o.Entrant)+len(o.Key))
	name = append(name, o.Event[:]...)
	name = append(name, o.Entrant[:]...)
	name = append(name, o.Key...)
	return uuid.NewSHA1(keySpace, name)
}

func (o *Opening) hash() []byte {
	body := o.Hold.String() + "\x00" + o.Email
	if o.Method != "" { // what clients sent before there were methods stays the same
		body += "\x00" + o.Method
	}
	h := sha256.Sum256([]byte(body))
	return h[:]
}

// Open opens the order of a hold, or returns the one that was opened before with the same body; created says which.
// Errors: ErrEventCancelled, ErrMethod, ErrHoldUnknown, ErrHoldExpired, ErrHoldClosed, ErrKeyReused (another body), db.ErrOverloaded, db.ErrAmbiguous
// (ask again: the id of the order is fixed by the hold).
func (s *Service) Open(ctx context.Context, o Opening) (order Order, created bool, err error) {
	answer, err := s.lane.Do(ctx, ask{opening: &o})
	if err == nil {
		err = answer.err
	}
	s.metrics.openedWith(err)
	switch {
	case err != nil:
		return Order{}, false, err
	case answer.order != nil: // as it was committed: nothing to read
		return *answer.order, answer.created, nil
	}
	order, err = s.Load(ctx, OrderID(o.Hold), o.Entrant)
	return order, false, err
}

// open decides the batch's openings. Each answer's error is a buyer's outcome, not a failure of the batch.
func (b *batch) open(ctx context.Context) (err error) {
	for i := range b.asks {
		if o := b.asks[i].opening; o != nil {
			if b.answers[i], err = b.openOne(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) openOne(ctx context.Context, o *Opening) (answer, error) {
	id, key := OrderID(o.Hold), o.keyID()
	if other, known := b.keys[key]; known && other != id {
		return answer{err: ErrKeyReused}, nil
	}
	if r := b.records[id]; r != nil {
		return answer{order: r.opened, err: sameOrder(r, o)}, nil
	}
	h, known := b.holds[o.Hold]
	if !known || h.Entrant != o.Entrant || h.Event != o.Event {
		return answer{err: ErrHoldUnknown}, nil
	}
	if dead := holdOpen(h); dead != nil {
		return answer{err: dead}, nil //nolint:nilerr // the buyer's outcome
	}
	terms, err := b.termsOf(ctx, h.Event)
	if err != nil {
		return answer{}, err
	}
	if terms.Cancelled {
		return answer{err: ErrEventCancelled}, nil
	}
	lines, mismatch := b.price(h, terms)
	if mismatch != nil {
		return answer{err: mismatch}, nil //nolint:nilerr // likewise
	}
	r := &record{
		order: Order{
			ID: id, Event: h.Event, Slug: terms.Slug, Hold: h.ID, Entrant: h.Entrant, State: Reserved,
			Amount: h.Amount, Lines: lines, Email: o.Email, Language: o.Language, bodyHash: o.hash(), key: key, address: b.service.addressOf(o),
		},
		lines: encodeLines(lines),
		now:   b.now,
	}
	if err := r.apply(CauseOpened, "buyer", ""); err != nil {
		return answer{}, err
	}
	want, unpayable := b.service.payable(terms, h.Amount, o.Method, b.now)
	if unpayable != nil {
		return answer{err: unpayable}, nil //nolint:nilerr // likewise
	}
	provider, unroutable := b.service.providers.Route(want)
	if unroutable != nil {
		return answer{err: unroutable}, nil //nolint:nilerr // likewise
	}
	p := r.attempt(provider, want.Method)
	b.tasks = append(b.tasks, task(taskBegin, id, p.ID))
	b.keep = append(b.keep, terms.keeping(h.ID, want.Method, b.now, b.service.saleEnds(ctx, terms, want.Method)))
	b.records[id], b.keys[key] = r, id
	opened := r.order
	opened.Payment = *p
	r.opened = &opened
	return answer{order: r.opened, created: true}, nil
}

// sameOrder tells a repeated opening from another one with the same hold.
func sameOrder(r *record, o *Opening) error {
	if r.order.Entrant != o.Entrant {
		return ErrHoldUnknown
	}
	if !bytes.Equal(r.order.bodyHash, o.hash()) {
		return ErrOrderExists
	}
	return nil
}

// holdOpen says whether an order may be opened on the hold now, by the database clock.
func holdOpen(h inventory.Hold) error {
	switch {
	case h.State == inventory.Expired:
		return ErrHoldExpired
	case h.State != inventory.Active:
		return ErrHoldClosed
	}
	return nil
}

// attempt adds the next attempt to pay. The caller has made sure that none is live.
func (r *record) attempt(provider, method string) *Payment {
	n := len(r.payments) + 1
	r.payments = append(r.payments, Payment{ID: payment.PaymentID(r.order.ID, n), Attempt: n, Provider: provider, Method: method, State: PaymentCreated})
	return &r.payments[n-1]
}

// refusal reports whether err is a buyer's outcome rather than a failure of ours.
func refusal(err error) bool {
	for _, known := range []error{ErrHoldUnknown, ErrHoldExpired, ErrHoldClosed, ErrKeyReused, ErrOrderExists, ErrOrderUnknown, ErrTransition, ErrMethod, ErrEventCancelled} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
