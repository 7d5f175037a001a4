package checkout

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fairgate/core/payment"
	"fairgate/core/ticket"
)

// endless is a bank whose every page is followed by another one.
type endless struct {
	*bank
	next func(page string) string
}

func (e *endless) ListDisputes(ctx context.Context, since time.Time, page string) (payment.DisputePage, error) {
	got, err := e.bank.ListDisputes(ctx, since, page)
	got.Next = e.next(page)
	return got, err
}

func TestAReadingWhosePagesLeadBackToEachOtherIsGivenUpUntilItIsDue(t *testing.T) {
	s, n, b, o := disputable(t)
	b.opens(o, 1)
	n.providers = payment.NewProviders(&endless{b, func(page string) string { return map[string]string{"": "a", "a": "b", "b": "a"}[page] }})
	failed, whole := listingsFailed.Get(), listingsWhole.Get()
	if err := readLists(n); !errors.Is(err, payment.ErrMalformed) {
		t.Errorf("the first look: %v", err)
	}
	begun := s.mark()
	for range 2 {
		if err := readLists(n); err != nil {
			t.Errorf("a look that is not due: %v", err)
		}
	}
	if pages, _ := b.listAsked(); !slices.Equal(pages, []string{"", "a", "b"}) {
		t.Errorf("three looks asked for the pages %q", pages)
	}
	s.await(n, o.ID, Disputed)
	s.listDue()
	if err := readLists(n); !errors.Is(err, payment.ErrMalformed) {
		t.Errorf("the next reading: %v", err)
	}
	if pages, _ := b.listAsked(); !slices.Equal(pages, []string{"", "a", "b"}) {
		t.Errorf("the next reading asked for the pages %q", pages)
	}
	if listingsFailed.Get()-failed != 2 || listingsWhole.Get() != whole || s.mark() != begun {
		t.Errorf("%d readings count as failed, %d as whole; the mark went from %s to %s", listingsFailed.Get()-failed, listingsWhole.Get()-whole, begun, s.mark())
	}
}

func TestAReadingThatGoesOnAndOnIsGivenUpWhoeverReadsIt(t *testing.T) {
	s, n, b, _ := disputable(t)
	on := payment.NewProviders(&endless{b, func(page string) string { no, _ := strconv.Atoi(page); return strconv.Itoa(no + 1) }})
	other := s.open(false)
	n.providers, other.providers = on, on
	failed := listingsFailed.Get()
	if err := readLists(n); err != nil {
		t.Fatal(err)
	}
	if pages, _ := b.listAsked(); len(pages) != listingPages {
		t.Fatalf("the first round asked for %d pages", len(pages))
	}
	if read := s.count(`SELECT pages FROM dispute_listings`); read != listingPages {
		t.Fatalf("%d pages count", read)
	}
	s.exec(`UPDATE dispute_listings SET pages = $1`, listingLongest-2)
	if err := readLists(other); !errors.Is(err, payment.ErrMalformed) {
		t.Errorf("the last round: %v", err)
	}
	if err := readLists(n); err != nil {
		t.Errorf("a look that is not due: %v", err)
	}
	if pages, _ := b.listAsked(); len(pages) != 2 || listingsFailed.Get()-failed != 1 {
		t.Errorf("the last round asked for the pages %q; %d readings count as failed", pages, listingsFailed.Get()-failed)
	}
	if read := s.count(`SELECT pages FROM dispute_listings WHERE page = ''`); read != 0 {
		t.Errorf("the next reading begins with %d pages", read)
	}
}

func TestADisputeThatCannotBeBookedIsNewsOnlyWhenItIsListedOtherwise(t *testing.T) {
	s, n, b, o := disputable(t)
	foreign, stranger, senseless := b.opens(o, 1), b.opens(o, 2), b.opens(o, 3)
	says := func(all ...payment.DisputeNews) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, news := range all {
			b.asks[news.Ref] = news
		}
	}
	foreign.Amount.Currency, stranger.PaymentRef, senseless.Amount.Minor = "USD", "pi_stranger", 0
	says(foreign, stranger, senseless)
	counted := n.metrics.disputeCurrency.Get()
	read := func() (lookups int) {
		t.Helper()
		if err := readLists(n); err != nil {
			t.Fatal(err)
		}
		s.listDue()
		_, lookups = b.listAsked()
		return lookups
	}
	for reading := range 10 {
		s.exec(`UPDATE dispute_listings SET mark = $1`, theirTime(1)) // all three stay within what is read
		if lookups := read(); lookups != 0 && reading > 0 || lookups != 3 && reading == 0 {
			t.Errorf("reading %d looks %d disputes up", reading, lookups)
		}
	}
	if got := n.metrics.disputeCurrency.Get() - counted; got != 1 {
		t.Errorf("counted %d times", got)
	}

	// Its state changes, and now it makes sense.
	senseless.Amount, senseless.State = o.Amount, payment.DisputeReview
	says(senseless)
	b.mu.Lock()
	for i := range b.list.disputes {
		if b.list.disputes[i].Ref == senseless.Ref {
			b.list.disputes[i].State = senseless.State
		}
	}
	b.mu.Unlock()
	if lookups := read(); lookups != 1 {
		t.Errorf("%d disputes are looked up when one has another state", lookups)
	}
	s.await(n, o.ID, Disputed)

	// What is no longer listed is no longer remembered.
	orders := s.soldOrders(n, 1)
	b.opens(orders[0], 9)
	if lookups := read(); lookups != 1 || s.count(`SELECT count(*) FROM disputes_unbooked`) != 0 {
		t.Errorf("%d looked up; %d are remembered", lookups, s.count(`SELECT count(*) FROM disputes_unbooked`))
	}
}

func TestTheEvidenceOfADisputeTellsWhenTheTicketWasFirstShown(t *testing.T) {
	s, n, b, o := disputable(t)
	load := func() ticket.Ticket {
		t.Helper()
		got, err := ticket.Load(t.Context(), s.db.Reader, ticket.TicketID(o.ID, 0))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	show := func(of ticket.Ticket) {
		t.Helper()
		if err := ticket.NoteShown(t.Context(), s.db, &of); err != nil {
			t.Fatal(err)
		}
	}
	unshown := load()
	show(unshown)
	s.exec(`UPDATE tickets SET shown_at = shown_at - INTERVAL '1 hour'`)
	first := load()
	show(first)
	show(unshown) // two requests at once
	if again := load(); !unshown.ShownAt.IsZero() || first.ShownAt.IsZero() || !again.ShownAt.Equal(first.ShownAt) {
		t.Errorf("shown at %s, then at %s, then at %s", unshown.ShownAt, first.ShownAt, again.ShownAt)
	}
	news := b.opens(o, 1)
	s.says(n, news)
	s.await(n, o.ID, Disputed)
	e, err := n.Evidence(t.Context(), news.Ref)
	if err != nil {
		t.Fatal(err)
	}
	if want := first.ShownAt.Format(time.RFC3339) + "  delivery   the ticket for floor was first shown to its buyer"; strings.Count(e.AccessLog, want) != 1 {
		t.Errorf("%q is not told once:\n%s", want, e.AccessLog)
	}
}
