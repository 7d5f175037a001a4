package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/fraud"
	"fairgate/core/inventory"
	"fairgate/ledger"
)

// ErrNoReview means that the order does not wait for an operator: not yet, or no more.
var ErrNoReview = errors.New("checkout: the order is not in review")

// ErrReason means that an operator gave no reason, or a very long one.
var ErrReason = errors.New("checkout: a decision needs a reason of 1 to 500 characters")

// reviewOver is the failure of an attempt that nobody decided about in time.
const reviewOver = "review_expired"

// askerError is an outcome's error that is the asker's alone.
type askerError struct{ err error }

func (e *askerError) Error() string { return e.err.Error() }
func (e *askerError) Unwrap() error { return e.err }

// reviewEnds is how a review ends with its hold.
var reviewEnds = map[Cause]string{CauseHoldExpired: "expired", CauseHoldReleased: "released", CauseEventCancelled: "released"}

// reviewRow is a row of reviews to be opened, or with a decision to be closed.
type reviewRow struct {
	order, payment, event        uuid.UUID
	why, decision, actor, reason string
}

// review has an authorized payment wait for an operator, and its hold with it.
func (b *batch) review(r *record, p *Payment, o *Outcome) error {
	p.move(PaymentAuthorized, "")
	b.prolong = append(b.prolong, inventory.Keeping{Hold: r.order.Hold, For: b.service.cfg.ReviewFor})
	b.reviews = append(b.reviews, reviewRow{order: r.order.ID, payment: p.ID, event: r.order.Event, why: o.Why})
	return b.note(r, CauseReview, o, o.Why)
}

// approve sells what an operator has approved, like any authorization.
func (b *batch) approve(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	if r.order.State != PaymentReview || p.State != PaymentAuthorized {
		return &askerError{ErrNoReview}
	}
	if h, known := b.holds[r.order.Hold]; !known || h.State != inventory.Active {
		return &askerError{ErrHoldExpired} // the sweep is about to end it
	}
	if err := b.sale(ctx, r, p, o, CauseApproved); err != nil || r.order.State != PaymentPending {
		return err
	}
	b.closeReview(r, p, string(CauseApproved), o)
	return nil
}

// deny ends an order without a sale: before its payment is begun, when it is authorized, or when an operator says so.
func (b *batch) deny(r *record, p *Payment, o *Outcome) error {
	fresh := p.State == PaymentCreated || p.State == PaymentBegun
	if _, err := Next(r.order.State, CauseDenied); err != nil || fresh == (r.order.State == PaymentReview) || !p.State.Live() {
		return &askerError{ErrNoReview}
	}
	h, known := b.holds[r.order.Hold]
	if !known || h.State != inventory.Active {
		return &askerError{ErrHoldExpired}
	}
	if r.order.State == PaymentReview {
		b.closeReview(r, p, string(CauseDenied), o)
	}
	b.release = append(b.release, r.order.Hold)
	if p.State == PaymentCreated && o.Cause == CauseDenied {
		p.move(PaymentVoided, paymentRefused) // its provider has never heard of it
	} else {
		p.move(PaymentVoiding, paymentRefused)
		b.tasks = append(b.tasks, task(taskVoid, r.order.ID, p.ID))
	}
	return b.note(r, CauseDenied, o, o.Why)
}

func (b *batch) closeReview(r *record, p *Payment, decision string, o *Outcome) {
	b.reviews = append(b.reviews, reviewRow{order: r.order.ID, payment: p.ID, decision: decision, actor: o.Actor, reason: o.Why})
}

// writeReviews keeps the holds of new reviews, and opens and closes reviews.
func (b *batch) writeReviews(ctx context.Context, tx pgx.Tx) error {
	if len(b.prolong) > 0 {
		kept, err := inventory.Prolong(ctx, tx, b.prolong)
		if err != nil {
			return err
		}
		if len(kept) != len(b.prolong) {
			return fmt.Errorf("prolong holds: %d of %d: %w", len(kept), len(b.prolong), errOutdated)
		}
	}
	return writeReviews(ctx, tx, b.reviews)
}

const sqlOpenReview = `
INSERT INTO reviews (order_id, payment_id, event_id, why, opened_at, closed_at, decision, actor, reason)
VALUES ($1, $2, $3, $4, now(), NULL, '', '', '') ON CONFLICT (order_id, payment_id) DO NOTHING`

const sqlCloseReview = `
UPDATE reviews SET closed_at = now(), decision = $3, actor = $4, reason = $5 WHERE order_id = $1 AND payment_id = $2 AND closed_at IS NULL`

// writeReviews opens and closes reviews, in the order of the rows. There are few.
func writeReviews(ctx context.Context, tx pgx.Tx, rows []reviewRow) error {
	if len(rows) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, r := range rows {
		if r.decision == "" {
			b.Queue(sqlOpenReview, r.order, r.payment, r.event, r.why)
		} else {
			b.Queue(sqlCloseReview, r.order, r.payment, r.decision, r.actor, r.reason)
		}
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write reviews: %w", err)
	}
	return nil
}

// ReviewCase is an order that waits for an operator, or did.
type ReviewCase struct {
	Order    uuid.UUID
	Payment  uuid.UUID
	Event    uuid.UUID
	Slug     string
	Amount   ledger.Amount
	Why      string
	OpenedAt time.Time
	Deadline time.Time // when the hold's end ends it
	ClosedAt time.Time // zero while it is open
	Decision string
	Actor    string
	Reason   string
}

const sqlReviewColumns = `SELECT r.order_id, r.payment_id, r.event_id, o.amount_minor, o.currency, r.why, r.opened_at, h.deadline, r.closed_at, r.decision, r.actor, r.reason
FROM reviews AS r JOIN orders AS o ON o.order_id = r.order_id JOIN holds AS h ON h.hold_id = o.hold_id `

const (
	sqlOpenReviews = sqlReviewColumns + `WHERE r.closed_at IS NULL ORDER BY r.opened_at, r.order_id LIMIT $1`
	sqlReviewsOf   = sqlReviewColumns + `WHERE r.order_id = $1 ORDER BY r.opened_at`
)

// Reviews lists open reviews, the oldest first.
func (s *Service) Reviews(ctx context.Context, limit int) ([]ReviewCase, error) {
	return s.reviewCases(ctx, sqlOpenReviews, limit)
}

// Review returns what was judged of an order's payments, and its reviews. An order without either is ErrNoReview.
func (s *Service) Review(ctx context.Context, order uuid.UUID) ([]ReviewCase, []fraud.Judgement, error) {
	cases, err := s.reviewCases(ctx, sqlReviewsOf, order)
	if err != nil {
		return nil, nil, err
	}
	var judged []fraud.Judgement
	if s.cfg.Screen != nil {
		if judged, err = s.cfg.Screen.Of(ctx, order); err != nil {
			return nil, nil, err
		}
	}
	if len(cases)+len(judged) == 0 {
		return nil, nil, ErrNoReview
	}
	return cases, judged, nil
}

func (s *Service) reviewCases(ctx context.Context, sql string, arg any) ([]ReviewCase, error) {
	rows, err := s.db.Reader.Query(ctx, sql, arg)
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	cases, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ReviewCase, error) {
		var c ReviewCase
		var closed *time.Time
		err := row.Scan(&c.Order, &c.Payment, &c.Event, &c.Amount.Minor, &c.Amount.Currency, &c.Why, &c.OpenedAt, &c.Deadline, &closed, &c.Decision, &c.Actor, &c.Reason)
		if closed != nil {
			c.ClosedAt = *closed
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	for i := range cases {
		terms, err := s.catalog(ctx, cases[i].Event)
		if err != nil {
			return nil, fmt.Errorf("terms of event %s: %w", cases[i].Event, err)
		}
		cases[i].Slug = terms.Slug
	}
	return cases, nil
}

// maxReason is the longest reason an operator gives.
const maxReason = 500

// Approve sells an order in review. Errors: ErrOrderUnknown, ErrNoReview, ErrHoldExpired, ErrReason. A card over its limit cancels
// the order instead, which is no error: look at the order.
func (s *Service) Approve(ctx context.Context, order uuid.UUID, actor, reason string) error {
	return s.decide(ctx, order, CauseApproved, actor, reason)
}

// Deny cancels an order in review. Errors as of Approve.
func (s *Service) Deny(ctx context.Context, order uuid.UUID, actor, reason string) error {
	return s.decide(ctx, order, CauseDenied, actor, reason)
}

func (s *Service) decide(ctx context.Context, id uuid.UUID, cause Cause, actor, reason string) error {
	if reason == "" || len(reason) > maxReason {
		return ErrReason
	}
	o, err := s.Find(ctx, id)
	if err != nil {
		return err
	}
	if o.State != PaymentReview {
		return ErrNoReview
	}
	err = s.Apply(ctx, Outcome{Order: id, Payment: o.Payment.ID, Cause: cause, Actor: actor, Why: reason})
	if errors.Is(err, ErrHoldExpired) { // orders and holds are read one after the other: somebody may have decided in between
		if now, failed := s.Find(ctx, id); failed == nil && now.State != PaymentReview {
			return ErrNoReview
		}
	}
	return err
}

func isUnknown(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
