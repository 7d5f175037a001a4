package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// maxReadings is how often a batch is read and decided anew because somebody else changed its rows in between. Each time
// they have made progress; past this the batch is failed, and bisected in case one request spoils it.
const maxReadings = 10

// ask is what waits in the lane: one of an opening, another try, or an outcome. They share one lane, and so one writer,
// because they touch the same pages of the same indexes: two writers would make each other's transactions fail.
type ask struct {
	opening *Opening
	retry   *retry
	outcome *Outcome
}

// answer is what became of an ask. Its error is the asker's alone.
type answer struct {
	order   *Order // that an opening of this batch made; nil when the order was there before
	created bool   // this opening made it, and not one beside it in the batch
	err     error
}

// batch is one commit's worth of asks on its way from reading to writing. Nothing is read inside the transaction: what is
// written repeats as a guard what was read, and when a guard fails the batch is read and decided again.
type batch struct {
	service *Service
	asks    []ask
	answers []answer

	records map[uuid.UUID]*record        // by order: known and new
	keys    map[uuid.UUID]uuid.UUID      // by key_id: the order that was opened with it
	holds   map[uuid.UUID]inventory.Hold // that openings, retries and first authorizations are about
	terms   map[uuid.UUID]*Terms         // by event

	now   time.Time           // by the database's clock, when it was read for openings
	taken map[uuid.UUID]int64 // by quota id: what cards have bought

	keep      []inventory.Keeping
	prolong   []inventory.Keeping // while an operator decides
	reviews   []reviewRow
	sell      []uuid.UUID
	cards     []inventory.CardCount // of holds in sell
	release   []uuid.UUID
	unsell    []uuid.UUID
	tasks     []payment.Task
	transfers []ledger.Transfer
	issue     []ticket.Item
	signed    []ticket.Signed
	bought    []Order
	mails     []notify.Message
	lateSales []lateSale
	quotes    map[resale.Wanted]resale.Quote // of listings that openings and outcomes are about
	selling   []resale.Sale
	relisted  []uuid.UUID
	handed    []resale.Handover
	causes    []Cause
}

// commit is the lane's transaction.
func (s *Service) commit(ctx context.Context, asks []ask) ([]answer, error) {
	var unknown error // the last commit's outcome, when nobody could tell it
	for reading := 1; ; reading++ {
		b, err := s.decided(ctx, asks)
		if err == nil && b.writes() {
			err = inventory.InTx(ctx, s.db, s.cfg.Recorder, b.write)
		}
		switch {
		case err == nil:
			b.tell(ctx)
			return b.answers, nil
		case errors.Is(err, db.ErrAmbiguous):
			unknown = err // reading again finds what was committed
		case outdated(err):
			s.metrics.outdated.Inc()
		default:
			return nil, errors.Join(unknown, err)
		}
		if reading == maxReadings || ctx.Err() != nil {
			return nil, errors.Join(unknown, fmt.Errorf("decide a batch of %d, read %d times: %w", len(asks), reading, err))
		}
	}
}

// decided reads what a batch rests on and decides it: openings, then retries, then outcomes.
func (s *Service) decided(ctx context.Context, asks []ask) (*batch, error) {
	b := &batch{service: s, asks: asks, answers: make([]answer, len(asks)), terms: make(map[uuid.UUID]*Terms, 1)}
	if err := b.read(ctx); err != nil {
		return nil, err
	}
	if err := b.open(ctx); err != nil {
		return nil, fmt.Errorf("open orders: %w", err)
	}
	if err := b.again(ctx); err != nil {
		return nil, fmt.Errorf("try orders again: %w", err)
	}
	if err := b.apply(ctx); err != nil {
		return nil, fmt.Errorf("apply outcomes: %w", err)
	}
	var err error
	b.signed, err = s.issuer.Sign(ctx, b.issue)
	return b, err
}

// tell is what follows from a commit.
func (b *batch) tell(ctx context.Context) {
	s := b.service
	if len(b.tasks) > 0 {
		s.outbox.Wake()
	}
	if sold := s.cfg.Sold; sold != nil && len(b.bought) > 0 {
		sold(ctx, b.bought)
	}
	for _, cause := range b.causes {
		s.metrics.applied(cause)
	}
	for id, r := range b.records {
		if r.dirty() {
			s.waiting.wake(id, r.tidings)
		}
	}
	b.tellFollowers()
}

// termsOf asks the catalog once for each event of the batch.
func (b *batch) termsOf(ctx context.Context, event uuid.UUID) (*Terms, error) {
	if t := b.terms[event]; t != nil {
		return t, nil
	}
	t, err := b.service.catalog(ctx, event)
	if err != nil {
		return nil, fmt.Errorf("terms of event %s: %w", event, err)
	}
	t.Cancelled = t.Cancelled || b.service.off.has(event)
	b.terms[event] = &t
	return &t, nil
}

// errOutdated means that a guard failed: the rows are no longer as they were read.
var errOutdated = errors.New("checkout: the rows changed between reading and writing")

// What a row that somebody else inserted in the meantime violates. The inserts are plain on purpose.
var insertedMeanwhile = []string{"orders_pkey", "orders_key_unique", "order_events_pkey", "payments_pkey", "payments_one_live", "tickets_pkey"}

// outdated tells whether a batch failed because of what others did since it was read.
func outdated(err error) bool {
	if errors.Is(err, errOutdated) || errors.Is(err, inventory.ErrOutdated) || errors.Is(err, resale.ErrOutdated) {
		return true
	}
	if errors.Is(err, ErrTransition) {
		return true // orders and payments are read one after the other: they may be of different moments
	}
	for _, constraint := range insertedMeanwhile {
		if db.Violates(err, constraint) {
			return true
		}
	}
	return false
}

// writes tells whether there is anything to commit.
func (b *batch) writes() bool {
	if len(b.tasks)+len(b.keep)+len(b.prolong)+len(b.sell)+len(b.unsell)+len(b.release) > 0 {
		return true
	}
	for _, r := range b.records {
		if r.dirty() {
			return true
		}
	}
	return false
}

// write carries the batch out in one transaction, which may run several times. Holds come before orders, as when a hold
// expires with its order.
func (b *batch) write(ctx context.Context, tx pgx.Tx) error {
	var kept inventory.Kept
	if err := b.stillOn(ctx, tx); err != nil {
		return err
	}
	if err := b.stillWhole(ctx, tx); err != nil {
		return err
	}
	if len(b.keep) > 0 {
		var err error
		if kept, err = inventory.Keep(ctx, tx, b.keep); err != nil {
			return err
		}
		if len(kept.Deadlines) != len(b.keep) {
			return fmt.Errorf("keep holds: %d of %d: %w", len(kept.Deadlines), len(b.keep), errOutdated)
		}
	}
	if err := b.writeReviews(ctx, tx); err != nil {
		return err
	}
	if len(b.sell) > 0 {
		refused, err := inventory.Sell(ctx, tx, b.sell)
		if err != nil {
			return err
		}
		if len(refused) > 0 {
			return fmt.Errorf("sell holds: %d of %d refused: %w", len(refused), len(b.sell), errOutdated)
		}
	}
	if len(b.cards) > 0 {
		if err := inventory.CountCards(ctx, tx, b.cards); err != nil {
			return err
		}
	}
	if len(b.release) > 0 {
		refused, err := inventory.Release(ctx, tx, b.release)
		if err != nil {
			return err
		}
		if len(refused) > 0 {
			return fmt.Errorf("release holds: %d of %d refused: %w", len(refused), len(b.release), errOutdated)
		}
	}
	if len(b.unsell) > 0 {
		refused, err := inventory.Unsell(ctx, tx, b.unsell)
		if err != nil {
			return err
		}
		for hold, err := range refused {
			return fmt.Errorf("put hold %s back on sale: %w: %w", hold, errOutdated, err)
		}
	}
	if err := b.service.flush(ctx, tx, b.records); err != nil {
		return err
	}
	if len(b.transfers) > 0 {
		if err := b.service.ledger.Record(ctx, tx, b.transfers); err != nil {
			return err
		}
	}
	if err := b.takeListed(ctx, tx); err != nil {
		return err
	}
	if len(b.signed) > 0 {
		if err := b.service.issuer.Insert(ctx, tx, b.signed); err != nil {
			return err
		}
	}
	if len(b.handed) > 0 {
		if err := b.service.cfg.Resale.Entitle(ctx, tx, b.handed); err != nil {
			return err
		}
	}
	if err := notify.QueueAll(ctx, tx, b.mails); err != nil {
		return err
	}
	if err := b.service.outbox.Enqueue(ctx, tx, b.tasks); err != nil {
		return err
	}
	b.stamp(kept)
	return nil
}

// stamp fills in what only the transaction knows of the orders it opens.
func (b *batch) stamp(kept inventory.Kept) {
	for _, a := range b.answers {
		if o := a.order; o != nil {
			o.CreatedAt, o.UpdatedAt, o.ServerTime = kept.Now, kept.Now, kept.Now
			o.Deadline = kept.Deadlines[o.Hold]
		}
	}
}
