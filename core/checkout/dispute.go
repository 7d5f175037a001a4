package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// ErrDisputeUnknown means that there is no dispute of that name.
var ErrDisputeUnknown = errors.New("checkout: no such dispute")

// voidedByDispute is the reason of tickets that are void while their payment is disputed.
const voidedByDispute = "dispute"

// Dispute is what a buyer's bank disputes.
type Dispute struct {
	Ref         string // the provider's
	Provider    string
	ID          uuid.UUID // ours, from order, provider and Ref
	Order       uuid.UUID
	Payment     uuid.UUID
	Event       uuid.UUID
	Amount      ledger.Amount
	Fee         int64 // what the provider charges for it, in minor units
	Reason      string
	State       payment.DisputeState
	Taken       bool      // the ledger has the money as taken back
	RespondBy   time.Time // zero where there is nothing to answer
	Evidence    string    // as it was sent last
	DraftedAt   time.Time
	SubmittedAt time.Time
	SubmittedBy string
	OpenedAt    time.Time
	UpdatedAt   time.Time
	ClosedAt    time.Time
}

// order in which a dispute's states follow each other: news of an earlier one than is known come late.
var disputeRank = map[payment.DisputeState]int{payment.DisputeInquiry: 1, payment.DisputeOpen: 2, payment.DisputeReview: 3, payment.DisputeWon: 4, payment.DisputeLost: 4}

func closed(s payment.DisputeState) bool { return disputeRank[s] == 4 }

// disputed applies what a webhook says of a dispute.
func (s *Service) disputed(ctx context.Context, e payment.Event) error {
	_, err := s.disputeNews(ctx, e.Provider, e.OrderID, e.PaymentID, *e.Dispute, webhook(e))
	return err
}

// disputeNews applies what a provider says of a dispute, of a payment that may not be known yet. Said twice, late or in another order
// it comes to the same. booked is false of a dispute that cannot be booked however often it is told, which the log says.
func (s *Service) disputeNews(ctx context.Context, provider string, order, attempt uuid.UUID, news payment.DisputeNews, by origin) (booked bool, err error) {
	if disputeRank[news.State] == 0 || news.Amount.Minor <= 0 {
		s.log.Error("a dispute that makes no sense", "provider", provider, "dispute", news.Ref, "state", news.State)
		return false, nil
	}
	if known, err := s.Dispute(ctx, news.Ref); err == nil {
		order, attempt = known.Order, known.Payment
	} else if !errors.Is(err, ErrDisputeUnknown) {
		return false, err
	}
	if order == uuid.Nil || attempt == uuid.Nil {
		identifier, err := s.providers.Identifier(provider)
		if err != nil {
			return false, fmt.Errorf("whose is dispute %s: %w", news.Ref, err)
		}
		order, attempt, _, err = identifier.Identify(ctx, news.PaymentRef)
		if errors.Is(err, payment.ErrNotFound) {
			s.log.Warn("a dispute of a payment that is not ours", "provider", provider, "dispute", news.Ref)
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("whose is dispute %s: %w", news.Ref, err)
		}
	}
	booked, err = s.applyDispute(ctx, provider, order, attempt, news, by)
	if errors.Is(err, errNotSettled) {
		return true, s.askLater(ctx, provider, order, attempt, news.Ref, err)
	}
	return booked, err
}

// applyDispute applies news of a dispute of a known payment; booked as disputeNews has it.
func (s *Service) applyDispute(ctx context.Context, provider string, order, attempt uuid.UUID, news payment.DisputeNews, by origin) (booked bool, err error) {
	var given answers
	for reading := 1; ; reading++ {
		d := dispute{service: s, news: news, source: by, given: given}
		err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			return d.apply(ctx, tx, provider, order, attempt)
		})
		if err == nil {
			s.outbox.Wake()
			for _, cause := range d.causes {
				s.metrics.applied(cause)
			}
			if by.actor == byListing && d.record != nil && !d.known {
				disputesFound.Inc()
				s.log.Warn("a dispute was found of which no message had told", "provider", provider, "dispute", news.Ref, "order_id", order, "state", news.State)
			}
			return d.record != nil, nil
		}
		if errors.Is(err, errUnasked) && reading < maxReadings && ctx.Err() == nil {
			if given, err = s.askGivenUp(ctx, order, uuid.Nil); err == nil {
				continue
			}
		}
		if !outdated(err) || reading == maxReadings || ctx.Err() != nil {
			return false, fmt.Errorf("apply %s of dispute %s: %w", news.State, news.Ref, err)
		}
	}
}

// dispute is one piece of news on its way into the tables, in one transaction.
type dispute struct {
	service *Service
	news    payment.DisputeNews
	source  origin

	row       Dispute
	known     bool
	counted   bool    // it was known, and its money as taken back
	given     answers // about refunds that were given up, see askGivenUp
	asked     bool    // it was a mere inquiry until now
	taken     int64   // what the provider has taken back, once it has
	record    *record
	late      bool // the money never bought anything: the order's tickets have to do with another payment, or there are none
	refunds   []Refund
	terms     Terms
	transfers []ledger.Transfer
	tasks     []payment.Task
	causes    []Cause
}

func (d *dispute) apply(ctx context.Context, tx pgx.Tx, provider string, order, attempt uuid.UUID) error {
	d.transfers, d.tasks, d.causes = nil, nil, nil
	if err := d.read(ctx, tx, provider, order, attempt); err != nil || d.record == nil {
		return err
	}
	if d.known && (closed(d.row.State) || disputeRank[d.news.State] < disputeRank[d.row.State]) {
		d.news.State = d.row.State // late: what is left to learn is the fee and the reason
	}
	// Of one that was won without our having seen the money go, it went nowhere: nothing is to be moved.
	moved := d.row.Taken || d.news.State == payment.DisputeOpen || d.news.State == payment.DisputeReview || d.news.State == payment.DisputeLost
	was := d.row.State
	d.asked = d.known && was == payment.DisputeInquiry
	d.row.State = d.news.State
	if moved {
		if err := d.open(ctx, tx); err != nil {
			return err
		}
	}
	if closed(d.row.State) && !closed(was) && d.row.Taken {
		var err error
		if d.row.State == payment.DisputeWon {
			err = d.won(ctx, tx)
		} else {
			err = d.lost(ctx, tx)
		}
		if err != nil {
			return err
		}
	}
	d.evidence()
	if err := d.service.flush(ctx, tx, map[uuid.UUID]*record{order: d.record}); err != nil {
		return err
	}
	if err := d.keep(ctx, tx); err != nil {
		return err
	}
	if err := d.service.outbox.Enqueue(ctx, tx, d.tasks); err != nil {
		return err
	}
	return d.store(ctx, tx)
}

// read finds the order, and the dispute if it is known, and merges the news into it. An order that is none of ours leaves record nil.
func (d *dispute) read(ctx context.Context, tx pgx.Tx, provider string, order, attempt uuid.UUID) error {
	records, err := loadRecords(ctx, tx, []uuid.UUID{order})
	if err != nil {
		return err
	}
	d.record = records[order]
	if d.record == nil || d.record.payment(attempt) == nil {
		d.service.log.Warn("a dispute of an order that is not ours", "provider", provider, "dispute", d.news.Ref)
		d.record = nil
		return nil
	}
	if d.news.Amount.Currency != d.record.order.Amount.Currency {
		d.service.metrics.disputeCurrency.Inc()
		d.service.log.Error("a dispute in another currency than its order's is not booked; see to it by hand", "provider", provider, "dispute", d.news.Ref,
			"order_id", order, "paid", d.record.order.Amount.Currency, "disputed", d.news.Amount.String())
		d.record = nil
		return nil
	}
	p := d.record.payment(attempt)
	if p.State.Live() { // its capture is told later than its dispute
		return fmt.Errorf("order %s: payment is %s: %w", order, p.State, errNotSettled)
	}
	d.late = p.State != PaymentCaptured || p.late()
	if err := d.record.decode(); err != nil {
		return err
	}
	if d.refunds, err = refundsOf(ctx, tx, order); err != nil {
		return err
	}
	if err := d.record.readTaken(ctx, tx); err != nil {
		return err
	}
	if d.terms, err = d.service.catalog(ctx, d.record.order.Event); err != nil {
		return fmt.Errorf("terms of event %s: %w", d.record.order.Event, err)
	}
	d.row, err = scanDispute(tx.QueryRow(ctx, sqlDisputeForUpdate, d.news.Ref, provider))
	if err == nil && d.source.again {
		d.forget()
		return nil
	}
	d.known, d.counted = err == nil, err == nil && d.row.Taken
	if errors.Is(err, pgx.ErrNoRows) {
		var id uuid.UUID
		if id, err = d.identify(ctx, tx, provider, order); err != nil {
			return err
		}
		d.row, err = Dispute{Ref: d.news.Ref, Provider: provider, ID: id, Order: order, Payment: attempt, Event: d.record.order.Event, Amount: d.news.Amount}, nil
	}
	if err != nil {
		return fmt.Errorf("read dispute %s: %w", d.news.Ref, err)
	}
	if d.news.Reason != "" {
		d.row.Reason = d.news.Reason
	}
	if !d.news.RespondBy.IsZero() {
		d.row.RespondBy = d.news.RespondBy
	}
	return nil
}

// identify is the id of a dispute that is news. A settlement may have had it first, and not its name: then it keeps the id it got there,
// unless another dispute of the order has that.
func (d *dispute) identify(ctx context.Context, tx pgx.Tx, provider string, order uuid.UUID) (uuid.UUID, error) {
	id, nameless := payment.DisputeID(order, provider, d.news.Ref), payment.NamelessDisputeID(order, provider, d.news.PaymentRef)
	if d.news.PaymentRef == "" {
		return id, nil
	}
	moves, err := ledger.ReferenceMoves(ctx, tx, []uuid.UUID{order})
	if err != nil {
		return id, err
	}
	if minor, booked := ledger.RecordedDispute(moves[order], order, nameless); !booked || minor != d.news.Amount.Minor {
		return id, nil
	}
	var taken int64
	if err := tx.QueryRow(ctx, sqlDisputesOfID, order, nameless).Scan(&taken); err != nil {
		return id, fmt.Errorf("look for a dispute's id: %w", err)
	}
	if taken > 0 {
		return id, nil
	}
	return nameless, nil
}

// book is whose money it is, for the ledger.
func (d *dispute) book() ledger.Terms {
	return ledger.Terms{Order: d.row.Order, Organizer: d.terms.Organizer, Provider: d.row.Provider, Currency: d.row.Amount.Currency}
}

// open books that the money is gone, once, and the fee as soon as it is known; tickets become void.
func (d *dispute) open(ctx context.Context, tx pgx.Tx) error {
	amount, fee := d.row.Amount.Minor, int64(0)
	if !d.row.Taken && d.asked {
		amount = d.lostMinor() // of an inquiry that ended so, no more was ever taken
	}
	d.taken = amount
	if d.row.Taken {
		amount = 0
	}
	if d.row.Fee == 0 && d.news.Fee.Minor > 0 && d.news.Fee.Currency == d.row.Amount.Currency {
		fee = d.news.Fee.Minor
	}
	if amount+fee > 0 {
		transfers, err := ledger.DisputeOpenedTransfers(d.book(), d.row.ID, amount, fee)
		if err != nil {
			return err
		}
		d.transfers = append(d.transfers, transfers...)
		d.row.Fee += fee
	}
	if d.row.Taken {
		return nil
	}
	d.row.Taken = true
	said := fmt.Sprintf("%s by the buyer's bank: %s", d.row.Amount, d.row.Reason)
	if d.late {
		return d.note(CauseLateDisputed, "opened: "+said)
	}
	if err := d.note(CauseDisputeOpened, said); err != nil {
		return err
	}
	tickets, err := ticket.OfOrder(ctx, tx, d.row.Order, len(d.record.order.Lines))
	if err != nil {
		return err
	}
	ids, items := make([]uuid.UUID, len(tickets)), make([]int, len(tickets))
	for i, t := range tickets {
		ids[i], items[i] = t.ID, t.Item
	}
	if d.row.State != payment.DisputeLost { // of one that is decided lost tells
		if err := tellGone(ctx, tx, d.record, items, newsDisputed); err != nil {
			return err
		}
	}
	if _, err = ticket.Void(ctx, tx, ids, voidedByDispute); err != nil || d.service.cfg.Resale == nil {
		return err
	}
	return d.service.cfg.Resale.Gone(ctx, tx, ids, "its purchase is disputed")
}

// note moves the order, and says so in its history.
func (d *dispute) note(cause Cause, reason string) error {
	if err := d.record.applyFrom(cause, d.source, reason); err != nil {
		return err
	}
	d.causes = append(d.causes, cause)
	return nil
}

// keep writes what is to be booked so far.
func (d *dispute) keep(ctx context.Context, tx pgx.Tx) error {
	if len(d.transfers) == 0 {
		return nil
	}
	transfers := d.transfers
	d.transfers = nil
	return d.service.ledger.Record(ctx, tx, transfers)
}

// evidence has our side handed in while there is somebody to read it.
func (d *dispute) evidence() {
	if closed(d.row.State) || d.row.RespondBy.IsZero() || !d.row.SubmittedAt.IsZero() {
		return
	}
	d.tasks = append(d.tasks, evidenceTask(d.row, "draft", "", 0))
	if before := d.service.cfg.SubmitBefore; before > 0 {
		d.tasks = append(d.tasks, evidenceTask(d.row, "deadline", "deadline", max(0, d.row.RespondBy.Add(-before).Sub(d.record.now))))
	}
}
