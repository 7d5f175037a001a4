package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

// A dispute of which every message is lost is unknown to us, so nobody would ask about it. Therefore each provider's list of disputes
// is read now and then, by one core at a time, and what we do not know yet, or know to stand elsewhere, is looked up and taken for
// what a webhook brings. Disputes that are known and change where a list does not show it are looked up when they have been silent,
// see dispute_lookup.go.
//
// How far a list was read is the mark in table dispute_listings. It is the time of a dispute by the provider's own clock, and never
// ours: the two may differ by any amount, and a mark ahead of the provider's time would hide what comes next. A reading goes from
// the newest page to the mark, and notes after each page where it is. Only when it has reached the end, and everything on its way
// is taken into account, the mark moves: to the latest time on the first page, since what came later than that may not have been
// listed. One that dies is resumed by the next core when its lease (Config.RunLease, renewed while its core lives) ends; should two read
// at once, each dispute is still booked once. One that meets trouble leaves the mark where it is. One that does not end, since its
// pages lead back to each other or go on and on, is given up, and begun anew when it is due. What cannot be booked is remembered, see
// dispute_unbooked.go.

const (
	// listingOverlap is how far before the mark a reading begins, by the provider's clock: what a provider lists late is listed then.
	listingOverlap = time.Hour
	// listingBegins is how far back the first reading of all goes: for so long a card's payment may be disputed.
	listingBegins = 120 * 24 * time.Hour
	// listingPages bounds the pages of one round; the next one goes on behind them.
	listingPages = 20
	// listingLongest bounds the pages of one reading, of all rounds together: at Stripe's and PayPal's sizes of a page, 50,000 disputes.
	listingLongest = 1000
	// listingWatch is the longest pause between two looks whether there is something to read.
	listingWatch = time.Minute
)

// byListing is who caused the steps of an order that follow from a provider's list.
const byListing = "listing"

// errListingLost means that another core reads the list now.
var errListingLost = errors.New("checkout: another core has taken over the list of disputes")

// The row is there from the first time on that somebody takes it. What was begun is gone on with at once.
const sqlTakeListing = `
INSERT INTO dispute_listings (provider, mark, page, reached, whole, pages, ended_at, lease_owner, lease_until)
VALUES ($1, now() - $4::INT8 * INTERVAL '1 millisecond', '', NULL, true, 0, NULL, $2, now() + $3::INT8 * INTERVAL '1 millisecond')
ON CONFLICT (provider) DO UPDATE SET lease_owner = EXCLUDED.lease_owner, lease_until = EXCLUDED.lease_until
WHERE (dispute_listings.lease_until IS NULL OR dispute_listings.lease_until <= now() OR dispute_listings.lease_owner = EXCLUDED.lease_owner)
    AND (dispute_listings.ended_at IS NULL OR dispute_listings.page <> '' OR dispute_listings.ended_at <= now() - $5::INT8 * INTERVAL '1 millisecond')
RETURNING mark, page, reached, whole, pages`

const sqlMoveListing = `
UPDATE dispute_listings SET page = $3, reached = $4, whole = $5, pages = $7, lease_until = now() + $6::INT8 * INTERVAL '1 millisecond'
WHERE provider = $1 AND lease_owner = $2`

// The mark never goes back.
const sqlEndListing = `
UPDATE dispute_listings SET mark = CASE WHEN $3::TIMESTAMPTZ > mark THEN $3 ELSE mark END, page = '', reached = NULL, whole = true,
    pages = 0, ended_at = now(), lease_owner = NULL, lease_until = NULL
WHERE provider = $1 AND lease_owner = $2`

const sqlLeaveListing = `UPDATE dispute_listings SET lease_owner = NULL, lease_until = NULL WHERE provider = $1 AND lease_owner = $2`

const sqlKnownDisputes = `SELECT ref, state FROM disputes WHERE provider = $1 AND ref = ANY($2::TEXT[])`

// listing is one reading of a provider's list, under this core's lease.
type listing struct {
	provider string
	disputer payment.Disputer
	mark     time.Time
	page     string    // the next to read; "" is the first
	reached  time.Time // the latest on the first page; zero where it was empty
	whole    bool      // everything on the pages before is taken into account
	pages    int64     // read so far, by whomever

	asked map[string]bool // the pages that this core has asked for
}

// ListDisputes reads the providers' lists of disputes, each every Config.DisputeListing, until ctx ends. Of all cores that run it one
// reads a list at a time.
func (s *Service) ListDisputes(ctx context.Context) error {
	tick := time.NewTicker(min(s.cfg.DisputeListing, listingWatch))
	defer tick.Stop()
	for {
		for _, provider := range s.providers.Names() {
			if err := s.listDisputes(ctx, provider); err != nil && ctx.Err() == nil {
				s.log.Warn("list disputes", "provider", provider, "error", err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// listDisputes reads the list of one provider, if that is due and no other core does.
func (s *Service) listDisputes(ctx context.Context, provider string) error {
	disputer, err := s.providers.Disputer(provider)
	if errors.Is(err, payment.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	taken := time.Now()
	l, err := s.takeListing(ctx, provider)
	if err != nil || l == nil {
		return err
	}
	l.disputer, l.asked = disputer, make(map[string]bool)
	defer s.leaveListing(ctx, provider)
	ctx, done := s.keepLease(ctx, taken, func(ctx context.Context) (bool, error) { return s.renewListing(ctx, provider) })
	defer done()
	for range listingPages {
		more, err := s.readListing(ctx, l)
		if err != nil {
			listingsFailed.Inc()
			return err
		}
		if !more {
			return nil
		}
	}
	return nil
}

// readListing reads one page. more tells that there is another one; after the last the reading is over.
func (s *Service) readListing(ctx context.Context, l *listing) (more bool, err error) {
	l.asked[l.page] = true
	l.pages++
	page, err := l.disputer.ListDisputes(ctx, l.mark.Add(-listingOverlap), l.page)
	if l.page != "" && (errors.Is(err, payment.ErrRejected) || errors.Is(err, payment.ErrNotFound)) {
		l.page = "" // the provider has forgotten where we were: the reading begins anew
		return false, errors.Join(err, s.moveListing(ctx, l))
	}
	if err != nil {
		return false, err
	}
	if l.page == "" {
		l.whole, l.reached = true, time.Time{}
		for _, d := range page.Disputes {
			if d.At.After(l.reached) {
				l.reached = d.At
			}
		}
	}
	if err := s.takeListed(ctx, l, page.Disputes); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		s.log.Warn("a dispute that is listed cannot be taken into account", "provider", l.provider, "error", err.Error())
		l.whole = false
	}
	switch {
	case page.Next == "":
		return false, s.endListing(ctx, l)
	case l.asked[page.Next]:
		return false, s.giveUpListing(ctx, l, "a page is followed by one that was read before")
	case l.pages >= listingLongest:
		return false, s.giveUpListing(ctx, l, "too many pages")
	}
	l.page = page.Next
	return true, s.moveListing(ctx, l)
}

// takeListed has what is listed and not known handled as a webhook's news. One that cannot be handled must not keep the others from it.
func (s *Service) takeListed(ctx context.Context, l *listing, listed []payment.ListedDispute) error {
	refs := make([]string, len(listed))
	for i, d := range listed {
		refs[i] = d.Ref
	}
	rows, err := s.db.Reader.Query(ctx, sqlKnownDisputes, l.provider, refs)
	if err != nil {
		return fmt.Errorf("find the disputes that are known: %w", err)
	}
	known := make(map[string]payment.DisputeState, len(refs))
	var ref string
	var state payment.DisputeState
	if _, err := pgx.ForEachRow(rows, []any{&ref, &state}, func() error { known[ref] = state; return nil }); err != nil {
		return fmt.Errorf("find the disputes that are known: %w", err)
	}
	unbooked, err := s.unbooked(ctx, l.provider, refs)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range listed {
		if !newsOf(d, known[d.Ref]) || listedAs(d, unbooked[d.Ref]) {
			continue
		}
		if err := s.takeDispute(ctx, l, d); err != nil {
			errs = append(errs, fmt.Errorf("dispute %s: %w", d.Ref, err))
		}
	}
	return errors.Join(errs...)
}

// newsOf tells whether a list says more of a dispute than is known: "" of one that is not known.
func newsOf(d payment.ListedDispute, known payment.DisputeState) bool {
	switch {
	case known == "":
		return true
	case d.State == "":
		return !closed(known)
	default:
		return disputeRank[d.State] > disputeRank[known]
	}
}

func (s *Service) takeDispute(ctx context.Context, l *listing, d payment.ListedDispute) error {
	news, err := l.disputer.LookupDispute(ctx, d.Ref)
	if err != nil {
		return err
	}
	booked, err := s.disputeNews(ctx, l.provider, uuid.Nil, uuid.Nil, news, origin{actor: byListing})
	if err != nil || booked {
		return err
	}
	return s.keepUnbooked(ctx, l.provider, d)
}

// takeListing takes the lease of a list that is due; nil when another core has it, or it is not due.
func (s *Service) takeListing(ctx context.Context, provider string) (l *listing, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		l = nil
		taken := listing{provider: provider}
		var reached *time.Time
		err := tx.QueryRow(ctx, sqlTakeListing, provider, s.incarnation, s.cfg.RunLease.Milliseconds(), listingBegins.Milliseconds(),
			s.cfg.DisputeListing.Milliseconds()).Scan(&taken.mark, &taken.page, &reached, &taken.whole, &taken.pages)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if reached != nil {
			taken.reached = *reached
		}
		l = &taken
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("take the lease: %w", err)
	}
	return l, nil
}

// reachedBy is a time that the mark may have come to, nil for none.
func (l *listing) reachedBy() *time.Time {
	if l.reached.IsZero() {
		return nil
	}
	return &l.reached
}

// moveListing notes how far the reading has come.
func (s *Service) moveListing(ctx context.Context, l *listing) error {
	tag, err := s.db.Exec(ctx, sqlMoveListing, l.provider, s.incarnation, l.page, l.reachedBy(), l.whole, s.cfg.RunLease.Milliseconds(), l.pages)
	if err != nil {
		return fmt.Errorf("note how far the list was read: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errListingLost
	}
	return nil
}

// endListing ends a reading. The mark moves when nothing was left out.
func (s *Service) endListing(ctx context.Context, l *listing) error {
	mark := l.reachedBy()
	if !l.whole {
		mark = nil
	}
	if err := s.closeListing(ctx, l, mark); err != nil {
		return err
	}
	if !l.whole {
		listingsPart.Inc()
		return nil
	}
	listingsWhole.Inc()
	return s.forgetUnbooked(ctx, l)
}

// giveUpListing ends a reading that would not end by itself. The mark stays, and the next reading begins when it is due.
func (s *Service) giveUpListing(ctx context.Context, l *listing, why string) error {
	err := fmt.Errorf("%w: the list of disputes does not end: %s, after %d pages", payment.ErrMalformed, why, l.pages)
	return errors.Join(err, s.closeListing(ctx, l, nil))
}

func (s *Service) closeListing(ctx context.Context, l *listing, mark *time.Time) error {
	tag, err := s.db.Exec(ctx, sqlEndListing, l.provider, s.incarnation, mark)
	if err != nil {
		return fmt.Errorf("note that the list was read: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errListingLost
	}
	return nil
}

// leaveListing ends this core's lease, if it has one.
func (s *Service) leaveListing(ctx context.Context, provider string) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := s.db.Exec(bounded, sqlLeaveListing, provider, s.incarnation); err != nil {
		s.log.Warn("leave a list of disputes; its lease ends by itself", "provider", provider, "error", err.Error())
	}
}
