package checkout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/resale"
	"fairgate/core/ticket"
)

// What became of the tickets of an order with a refund that somebody made at the provider.
const (
	FoundVoid = "void" // some or all are void
	FoundKept = "kept" // all stay as they are
)

// Why a refund is not reviewed.
var (
	ErrRefundOurs     = errors.New("checkout: the refund was not made at the provider, so there is nothing to review")
	ErrRefundBack     = errors.New("checkout: the refund failed at the provider, so its money has come back")
	ErrRefundReviewed = errors.New("checkout: somebody has reviewed the refund otherwise")
	// ErrFoundPart means that a resale's ticket was to be void though its buyer has only a part of the money back.
	ErrFoundPart = errors.New("checkout: only a part of the resale's price went back")
)

// FoundReview says what a refund that somebody made at the provider means for the tickets of its order: some are void, or All that are
// left, or with neither none.
type FoundReview struct {
	Refund  uuid.UUID
	Tickets []uuid.UUID
	All     bool
	Reason  string
	Actor   string
}

const sqlReviewRefund = `
UPDATE refunds SET items = $2, reviewed = $3, body_hash = $4, updated_at = now() WHERE refund_id = $1 AND kind = 'found' AND reviewed = ''`

// ReviewFound decides about the tickets of a refund that somebody made at the provider. Those that it makes void are void by the same steps
// as those of a refund of ours: their units go back on sale as the event's file says, listings end, a resale is undone; no money is moved,
// since that has gone. Asked again the same way it answers the same. Errors: ErrRefundUnknown, ErrRefundOurs, ErrRefundReviewed, ErrRefundBack, ErrRefundDispute
// while the order is disputed, ErrTransition while it is otherwise not TicketIssued, ErrTicketsNot, ErrResold, ErrSelling, ErrFoundPart.
func (s *Service) ReviewFound(ctx context.Context, q FoundReview) (Refund, error) {
	f, err := s.FindRefund(ctx, q.Refund)
	if err != nil {
		return Refund{}, err
	}
	err = s.change(ctx, f.Order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		return s.reviewFound(ctx, tx, r, refunds, &q)
	})
	if err != nil {
		return Refund{}, fmt.Errorf("review refund %s: %w", q.Refund, err)
	}
	return s.FindRefund(ctx, q.Refund)
}

// reviewFound is ReviewFound inside its transaction.
func (s *Service) reviewFound(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund, q *FoundReview) error {
	at := slices.IndexFunc(refunds, func(f Refund) bool { return f.ID == q.Refund })
	if at < 0 {
		return ErrRefundUnknown
	}
	f := &refunds[at]
	if f.Kind != RefundFound {
		return ErrRefundOurs
	}
	if f.Reviewed != "" {
		return q.sameAs(f, len(unrefunded(len(r.order.Lines), refunds)))
	}
	if f.State == RefundRefused {
		return ErrRefundBack
	}
	if r.order.State == Disputed {
		return fmt.Errorf("%w: %w", ErrRefundDispute, ErrTransition)
	}
	if r.order.State != TicketIssued {
		return fmt.Errorf("%w: a refund is reviewed while %s", ErrTransition, r.order.State)
	}
	f.Reviewed = FoundKept
	said := "the tickets stay: " + q.Reason
	if q.All || len(q.Tickets) > 0 {
		items, err := (&RefundRequest{Tickets: q.Tickets}).chosen(r, refunds, ticket.TicketID)
		if err != nil {
			return err
		}
		terms, err := s.catalog(ctx, r.order.Event)
		if err != nil {
			return fmt.Errorf("terms of event %s: %w", r.order.Event, err)
		}
		if items, err = s.notResold(ctx, tx, r, &RefundRequest{Order: r.order.ID, Tickets: q.Tickets}, items, terms.Organizer); err != nil {
			return err
		}
		if err := r.wholeBack(ctx, tx); err != nil {
			return err
		}
		if err := s.voidFound(ctx, tx, r, f, items, terms); err != nil {
			return err
		}
		f.Reviewed = FoundVoid
		said = fmt.Sprintf("%d tickets are void: %s", len(items), q.Reason)
	}
	f.bodyHash = q.hash()
	if err := f.review(ctx, tx); err != nil {
		return err
	}
	return r.come(refunds, CauseRefundRequested, CauseFoundReviewed, origin{actor: q.Actor}, said)
}

// hash tells a repeated review from another one.
func (q *FoundReview) hash() []byte {
	tickets := append([]uuid.UUID{}, q.Tickets...)
	slices.SortFunc(tickets, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	body, _ := json.Marshal([]any{slices.Compact(tickets), q.All}) // cannot fail
	sum := sha256.Sum256(body)
	return sum[:]
}

// sameAs tells whether a refund was reviewed as q says, of an order of which so many tickets are left. One whose tickets became void without
// anybody's word, or that was reviewed before words were kept, goes by which those are.
func (q *FoundReview) sameAs(f *Refund, left int) error {
	if len(f.bodyHash) > 0 {
		if !bytes.Equal(f.bodyHash, q.hash()) {
			return ErrRefundReviewed
		}
		return nil
	}
	void := map[uuid.UUID]bool{}
	for _, i := range f.Items {
		void[ticket.TicketID(f.Order, i)] = true
	}
	same := f.Reviewed == FoundKept && !q.All && len(q.Tickets) == 0
	if f.Reviewed == FoundVoid {
		named := map[uuid.UUID]bool{}
		for _, id := range q.Tickets {
			named[id] = true
		}
		same = q.All && left == 0 || !q.All && maps.Equal(void, named)
	}
	if !same {
		return ErrRefundReviewed
	}
	return nil
}

// review writes what was decided.
func (f *Refund) review(ctx context.Context, tx pgx.Tx) error {
	text, err := itemsText(f.Items)
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, sqlReviewRefund, f.ID, text, f.Reviewed, f.bodyHash)
	if err != nil {
		return fmt.Errorf("review refund %s: %w", f.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("review refund %s: %w", f.ID, errOutdated)
	}
	return nil
}

// voidFound makes the tickets of lines void for a refund that somebody made at the provider, which then has them as well. Those that were resold
// are somebody else's, whose sale has paid for them: they stay, and Reviewed stays empty where they are all that is left.
func (s *Service) voidFound(ctx context.Context, tx pgx.Tx, r *record, f *Refund, items []int, terms Terms) error {
	reason := "refunded at the provider"
	mine := make([]int, 0, len(items))
	sold := map[uuid.UUID]resale.Listing{}
	if s.cfg.Resale != nil && len(items) > 0 {
		ids := make([]uuid.UUID, len(items))
		for n, i := range items {
			ids[n] = ticket.TicketID(r.order.ID, i)
		}
		var err error
		if sold, _, err = s.cfg.Resale.Resold(ctx, tx, ids); err != nil {
			return err
		}
	}
	for _, i := range items {
		if _, resold := sold[ticket.TicketID(r.order.ID, i)]; !resold {
			mine = append(mine, i)
		}
	}
	f.Items = append(slices.Clone(f.Items), mine...) // beside what it made void before
	slices.Sort(f.Items)
	if len(mine) == len(items) {
		f.Reviewed = FoundVoid
	}
	if len(mine) == 0 {
		return nil
	}
	if err := tellGone(ctx, tx, r, mine, newsRefunded); err != nil {
		return err
	}
	if err := s.takeBack(ctx, tx, r, mine, terms.Refunds.KeepOff || terms.Cancelled, reason); err != nil {
		return err
	}
	return s.unlist(ctx, tx, r, mine, terms, reason)
}
