package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// A resale is an order whose one line names a listing. It is opened on a hold of that listing, screened, authorized and captured as any
// other; only what is sold and whose money it is differs, which this file says. See package resale.

// Outcomes of resales that callers branch on.
var (
	ErrListingGone = errors.New("checkout: the listing cannot be bought any more")
	ErrResold      = errors.New("checkout: the ticket was resold, and its payer has no claim to the money any more")
	ErrSelling     = errors.New("checkout: the ticket is being bought from its seller at the moment")
)

// listingGone is the failure of an attempt whose listing is over, as the buyer sees it.
const listingGone = "listing_gone"

// inListing is how the stored lines of a resale can be told without decoding them.
const inListing = `"listing":"`

// Resale tells whether the order is of a ticket that its owner resells. Its lines must be there.
func (o *Order) Resale() bool { return len(o.Lines) == 1 && o.Lines[0].Listing != uuid.Nil }

func (r *record) resale() bool { return strings.Contains(r.lines, inListing) }

// wanted is the listing of a resale at the price that it was opened at.
func (r *record) wanted() (resale.Wanted, error) {
	if err := r.decode(); err != nil {
		return resale.Wanted{}, fmt.Errorf("order %s: %w", r.order.ID, err)
	}
	if !r.order.Resale() {
		return resale.Wanted{}, fmt.Errorf("order %s is no resale: %w", r.order.ID, ErrPriceMismatch)
	}
	return resale.Wanted{Listing: r.order.Lines[0].Listing, PriceNo: r.order.Lines[0].PriceNo}, nil
}

// wantedBy is the listing that a hold is of; false for all others.
func wantedBy(h *inventory.Hold) (resale.Wanted, bool) {
	if !h.Listing() {
		return resale.Wanted{}, false
	}
	id, ok := inventory.ListingOf(h.Items[0].Allocation)
	return resale.Wanted{Listing: id, PriceNo: h.Items[0].PriceNo}, ok
}

// readListed reads the listings that the batch is about.
func (b *batch) readListed(ctx context.Context) error {
	if b.service.cfg.Resale == nil {
		return nil
	}
	var wanted []resale.Wanted
	for _, h := range b.holds {
		if w, ok := wantedBy(&h); ok {
			wanted = append(wanted, w)
		}
	}
	for _, r := range b.records {
		if !r.resale() {
			continue
		}
		w, err := r.wanted()
		if err != nil {
			return err
		}
		wanted = append(wanted, w)
	}
	if len(wanted) == 0 {
		return nil
	}
	d := b.service.db
	return d.Reading(ctx, func() (err error) {
		b.quotes, err = b.service.cfg.Resale.Quotes(ctx, d.Reader, wanted)
		return err
	})
}

// price makes the lines of a hold.
func (b *batch) price(h inventory.Hold, terms *Terms) ([]Line, error) {
	w, listed := wantedBy(&h)
	if !listed {
		return price(h, *terms)
	}
	quote, known := b.quotes[w]
	if !known {
		return nil, ErrListingGone
	}
	if err := quote.Sellable(h.Entrant); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrListingGone, err)
	}
	p := quote.Price
	if p.AllIn() != h.Amount.Minor || p.Currency != h.Amount.Currency {
		return nil, fmt.Errorf("price order of hold %s: %d %s against %s: %w", h.ID, p.AllIn(), p.Currency, h.Amount, ErrPriceMismatch)
	}
	return []Line{{Tier: quote.Tier, Seat: quote.Seat, Face: p.Asked, Fee: p.Fee, Tax: p.Tax, Listing: w.Listing, PriceNo: w.PriceNo}}, nil
}

// sellListed is what the batch sells of a resale; the error is why it cannot. For any other order it is nothing.
func (b *batch) sellListed(r *record) (resale.Sale, error) {
	if !r.resale() {
		return resale.Sale{}, nil
	}
	w, err := r.wanted()
	if err != nil {
		return resale.Sale{}, err
	}
	quote, known := b.quotes[w]
	if !known {
		return resale.Sale{}, resale.ErrUnknown
	}
	if err := quote.Sellable(r.order.Entrant); err != nil && !errors.Is(err, resale.ErrClosed) { // who was let in before the end may pay
		return resale.Sale{}, err
	}
	return resale.Sale{Wanted: w, Order: r.order.ID}, nil
}

// refuseListed ends an order whose listing is over: nothing is sold, and the authorization is voided.
func (b *batch) refuseListed(r *record, p *Payment, o *Outcome, why error) error {
	if r.order.State == PaymentReview {
		b.closeReview(r, p, listingGone, o)
	}
	p.move(PaymentVoiding, listingGone)
	b.release = append(b.release, r.order.Hold)
	b.tasks = append(b.tasks, task(taskVoid, r.order.ID, p.ID))
	return b.note(r, CauseListingGone, o, why.Error())
}

// relist has the listing of a resale whose capture was refused go back on sale.
func (b *batch) relist(r *record) {
	if w, err := r.wanted(); err == nil && r.resale() {
		b.relisted = append(b.relisted, w.Listing)
	}
}

// handOver has the batch hand the ticket of a captured resale over: how its price is divided, or false when it cannot be any more.
func (b *batch) handOver(ctx context.Context, r *record, p *Payment) (split []ledger.Transfer, handed bool, err error) {
	terms, err := b.termsOf(ctx, r.order.Event)
	if err != nil {
		return nil, false, err
	}
	w, err := r.wanted()
	if err != nil {
		return nil, false, err
	}
	quote, known := b.quotes[w]
	if slices.ContainsFunc(b.selling, func(sale resale.Sale) bool { return sale.Order == r.order.ID }) {
		quote.State, quote.Order = resale.Selling, r.order.ID // by this batch
	}
	if !known || quote.State != resale.Selling || quote.Order != r.order.ID || !quote.Ready {
		if quote.State == resale.Open {
			return nil, false, errOutdated // orders and listings are read one after the other: they may be of different moments
		}
		return nil, false, nil
	}
	h := resale.Handover{Quote: quote, Buyer: r.order.Entrant}
	if split, err = h.Split(r.money(p, terms)); err != nil {
		return nil, false, err
	}
	b.handed = append(b.handed, h)
	return split, true, nil
}

// handedOver is captured for a resale whose ticket is handed over.
func (b *batch) handedOver(r *record, p *Payment, o *Outcome, transfers []ledger.Transfer) error {
	p.move(PaymentCaptured, p.Failure)
	b.transfers = append(b.transfers, transfers...)
	if err := b.note(r, CauseCaptured, o, ""); err != nil {
		return err
	}
	return b.issued(r, o)
}

// capturedInVain books the money of a resale whose ticket was refunded, disputed or cancelled between authorization and capture: it is
// late money, and goes back as that.
func (b *batch) capturedInVain(ctx context.Context, r *record, p *Payment, o *Outcome, sale []ledger.Transfer) error {
	b.transfers = append(b.transfers, ledger.VoidAll(sale)...)
	b.unsell = append(b.unsell, r.order.Hold)
	if err := b.note(r, CauseListingGone, o, "the seller's ticket is void"); err != nil {
		return err
	}
	return b.capturedLate(ctx, r, p, o)
}

// takeListed writes what the batch does to listings, before the tickets of their buyers are written.
func (b *batch) takeListed(ctx context.Context, tx pgx.Tx) error {
	s := b.service.cfg.Resale
	if len(b.selling) > 0 {
		if err := s.Begin(ctx, tx, b.selling); err != nil {
			return err
		}
	}
	if len(b.relisted) > 0 {
		if err := s.Release(ctx, tx, b.relisted); err != nil {
			return err
		}
	}
	if len(b.handed) > 0 {
		return s.Take(ctx, tx, b.handed)
	}
	return nil
}

// notResold leaves out of a refund the lines whose tickets were resold: their payer was, or will be, paid by the sale. A run of a cancelled
// event undoes the sales whose sellers were not paid, and refunds those; and payers who gave the ticket away, whoever sold it then.
func (s *Service) notResold(ctx context.Context, tx pgx.Tx, r *record, q *RefundRequest, items []int, organizer string) ([]int, error) {
	if s.cfg.Resale == nil || len(items) == 0 || q.kind() == RefundOfAmount {
		return items, nil
	}
	ids := make([]uuid.UUID, len(items))
	for n, i := range items {
		ids[n] = ticket.TicketID(r.order.ID, i)
	}
	sold, selling, err := s.cfg.Resale.Resold(ctx, tx, ids)
	if err != nil || len(sold) == 0 && !selling {
		return items, err
	}
	if selling {
		return nil, ErrSelling
	}
	left := make([]int, 0, len(items))
	for n, i := range items {
		l, resold := sold[ids[n]]
		switch {
		case !resold:
		case q.run == uuid.Nil && q.kind() == RefundOfTickets:
			return nil, fmt.Errorf("%w: ticket %s", ErrResold, ids[n])
		case q.run == uuid.Nil || l.Paid() && l.Seller == r.order.Entrant:
			continue
		case l.State == resale.Sold: // a payer who gave the ticket away was not paid, whoever was
			if err := s.cfg.Resale.Undo(ctx, tx, &l, organizer, q.Reason, true); err != nil {
				return nil, err
			}
		}
		left = append(left, i)
	}
	if len(left) == 0 && q.run == uuid.Nil {
		return nil, ErrResold
	}
	if len(left) == 0 {
		return nil, fmt.Errorf("%w: all its tickets were resold, and their sellers are paid", ErrRefundNothing)
	}
	return left, nil
}

// sellerUnpaid refuses a buyer's refund of a resale whose seller has been paid: the organizer would bear it, and so decides.
func (s *Service) sellerUnpaid(ctx context.Context, tx pgx.Tx, r *record) error {
	if s.cfg.Resale == nil || !r.order.Resale() {
		return nil
	}
	paid, err := s.cfg.Resale.SellerPaid(ctx, tx, r.order.ID)
	if err == nil && paid {
		err = ErrRefundSellerPaid
	}
	return err
}

// unlist is what a refund that has made tickets void does to their listings, and to the resale that the order was.
func (s *Service) unlist(ctx context.Context, tx pgx.Tx, r *record, items []int, terms Terms, reason string) error {
	if s.cfg.Resale == nil {
		return nil
	}
	ids := make([]uuid.UUID, len(items))
	for n, i := range items {
		ids[n] = ticket.TicketID(r.order.ID, i)
	}
	if err := s.cfg.Resale.Gone(ctx, tx, ids, "its ticket was refunded"); err != nil {
		return err
	}
	if !r.order.Resale() {
		return nil
	}
	return s.cfg.Resale.UndoOrder(ctx, tx, r.order.ID, terms.Organizer, "refunded: "+reason, terms.Cancelled)
}

// resold tells whether tickets of the order were resold.
func (d *dispute) resold(ctx context.Context, tx pgx.Tx) bool {
	tickets, err := ticket.OfOrder(ctx, tx, d.row.Order, len(d.record.order.Lines))
	return err == nil && slices.ContainsFunc(tickets, func(t ticket.Ticket) bool { return t.VoidReason == resale.VoidReason })
}

// undone are the resales of the order's tickets that were undone while it was disputed, by ticket: nobody has those tickets.
func (d *dispute) undone(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]resale.Listing, error) {
	if d.service.cfg.Resale == nil {
		return nil, nil
	}
	return d.service.cfg.Resale.UndoneOf(ctx, tx, d.row.Order)
}

// handBack makes tickets valid again whose dispute was won. One whose resale was undone comes back as it had come back at once without the
// dispute.
func (d *dispute) handBack(ctx context.Context, tx pgx.Tx, tickets []ticket.Ticket, undone map[uuid.UUID]resale.Listing) error {
	var own []ticket.Ticket
	resold := 0
	for _, t := range tickets {
		l, ok := undone[t.ID]
		if !ok {
			own = append(own, t)
			continue
		}
		if err := d.service.cfg.Resale.GiveBack(ctx, tx, &l); err != nil {
			return err
		}
		resold++
	}
	if err := d.service.issuer.Reinstate(ctx, tx, own); err != nil {
		return err
	}
	items := make([]int, len(own))
	for i := range own {
		items[i] = own[i].Item
	}
	if err := tellGone(ctx, tx, d.record, items, newsRestored); err != nil {
		return err
	}
	said := fmt.Sprintf("%d tickets are valid again", len(tickets))
	if resold > 0 {
		said += fmt.Sprintf(", %d of them resold before: the resale was undone", resold)
	}
	return d.note(CauseDisputeWon, said)
}
