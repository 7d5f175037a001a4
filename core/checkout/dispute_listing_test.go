package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
)

// bankList is a bank's list of disputes, the one that was opened last first.
type bankList struct {
	disputes []payment.ListedDispute
	size     int                     // of a page; 0: all on one
	before   func(page string) error // runs when a page is asked for
	pages    []string                // asked for
	since    []time.Time
	lookups  int // of disputes
}

// theirTime is what the bank's clock says: something else than ours.
func theirTime(hours int) time.Time {
	return time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours) * time.Hour)
}

// opens has a dispute of an order opened, of which nobody hears.
func (b *bank) opens(o Order, no int) payment.DisputeNews {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := claim(o, payment.DisputeOpen)
	news.Ref, news.PaymentRef = fmt.Sprint("dp_", no), fmt.Sprint("pi_", no)
	b.orders[news.PaymentRef], b.asks[news.Ref] = o, news
	b.list.disputes = slices.Insert(b.list.disputes, 0, payment.ListedDispute{Ref: news.Ref, State: news.State, At: theirTime(no)})
	return news
}

func (b *bank) ListDisputes(_ context.Context, since time.Time, page string) (payment.DisputePage, error) {
	b.mu.Lock()
	b.list.pages, b.list.since = append(b.list.pages, page), append(b.list.since, since)
	before := b.list.before
	b.mu.Unlock()
	if before != nil {
		if err := before(page); err != nil {
			return payment.DisputePage{}, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []payment.ListedDispute
	for _, d := range b.list.disputes {
		// As Stripe does: a page goes on behind a dispute.
		if after, err := strconv.Atoi(page); !d.At.Before(since) && (err != nil || d.At.Before(theirTime(after))) {
			found = append(found, d)
		}
	}
	if b.list.size == 0 || len(found) <= b.list.size {
		return payment.DisputePage{Disputes: found}, nil
	}
	found = found[:b.list.size]
	return payment.DisputePage{Disputes: found, Next: found[len(found)-1].Ref[len("dp_"):]}, nil
}

// listAsked tells what was asked since it told last: which pages, and how many disputes.
func (b *bank) listAsked() (pages []string, lookups int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pages, lookups = b.list.pages, b.list.lookups
	b.list.pages, b.list.lookups = nil, 0
	return pages, lookups
}

// readLists has cores read the lists at the same time, and answers what they say.
func readLists(cores ...*node) error {
	errs := make([]error, len(cores))
	var all sync.WaitGroup
	for i, core := range cores {
		all.Go(func() { errs[i] = core.listDisputes(context.Background(), "stripe") })
	}
	all.Wait()
	return errors.Join(errs...)
}

// listDue makes the list due.
func (s *shop) listDue() {
	s.t.Helper()
	s.exec(`UPDATE dispute_listings SET ended_at = now() - INTERVAL '1 day'`)
}

func (s *shop) mark() time.Time {
	s.t.Helper()
	var mark time.Time
	if err := s.db.Pool.QueryRow(context.Background(), `SELECT mark FROM dispute_listings WHERE provider = 'stripe'`).Scan(&mark); err != nil {
		s.t.Fatal(err)
	}
	return mark.UTC()
}

// soldOrders are so many orders of two tickets, each sold to another buyer.
func (s *shop) soldOrders(n *node, many int) (orders []Order) {
	s.t.Helper()
	for i := range many {
		o := s.begin(n, buyerNo(20+i), inventory.Item{Tier: "floor", Quantity: 2})
		s.authorized(n, o, payment.Risk{})
		orders = append(orders, s.await(n, o.ID, TicketIssued))
	}
	return orders
}

func TestADisputeOfWhichEveryWebhookWasLostIsFoundInTheListByOneOfTwoCores(t *testing.T) {
	s, n, b, o := disputable(t)
	other := s.open(true)
	news := b.opens(o, 1)
	found := disputesFound.Get()
	if err := readLists(n, other); err != nil {
		t.Fatal(err)
	}
	if pages, lookups := b.listAsked(); len(pages) != 1 || lookups != 1 {
		t.Errorf("two cores asked for the list %d times, and for the dispute %d times", len(pages), lookups)
	}
	if b.list.since[0].After(time.Now().Add(-100 * 24 * time.Hour)) {
		t.Errorf("the first reading of all begins at %s", b.list.since[0])
	}
	o = s.await(n, o.ID, Disputed)
	s.expectTickets(o, ticket.Voided, 1)
	s.books(-fee, total, face, fee)
	if got := disputesFound.Get() - found; got != 1 {
		t.Errorf("%d disputes count as found", got)
	}
	if s.mark() != theirTime(1) {
		t.Errorf("the mark is %s", s.mark())
	}
	history, err := n.History(t.Context(), o.ID)
	if err != nil || history[len(history)-1].Actor != "listing" {
		t.Errorf("history %+v, %v", history, err)
	}

	// It is not due again, and when it is nothing is news. A webhook that comes after all changes nothing.
	s.says(n, news, news)
	if err := readLists(n, other); err != nil {
		t.Fatal(err)
	}
	s.listDue()
	if err := readLists(n, other); err != nil {
		t.Fatal(err)
	}
	pages, lookups := b.listAsked()
	if last := b.list.since[len(b.list.since)-1]; len(pages) != 1 || lookups != 0 || !last.Equal(theirTime(0)) {
		t.Errorf("asked %d times, the last time since %s, and for %d disputes that are known", len(pages), last, lookups)
	}
	s.books(-fee, total, face, fee)
	if causes := s.causes(n, o.ID); len(causes) != 6 || disputesFound.Get()-found != 1 {
		t.Errorf("history %v, %d found", causes, disputesFound.Get()-found)
	}

	// Its decision is in the list as well.
	news.State = payment.DisputeLost
	b.mu.Lock()
	b.asks[news.Ref], b.list.disputes[0].State = news, payment.DisputeLost
	b.mu.Unlock()
	s.listDue()
	if err := readLists(n, other); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, DisputeLost)
	s.books(-fee, 0, 0, fee)
}

// A lease that ran out: two cores take in the same page while the webhooks arrive after all.
func TestADisputeThatIsListedTwiceAndToldAtTheSameTimeIsBookedOnce(t *testing.T) {
	s, n, b, o := disputable(t)
	other := s.open(true)
	news := b.opens(o, 1)
	found := disputesFound.Get()
	var all sync.WaitGroup
	for i := range 9 {
		core := []*node{n, other}[i%2]
		if i%3 == 0 {
			all.Go(func() { s.says(core, news) })
			continue
		}
		all.Go(func() {
			if err := core.takeDispute(context.Background(), &listing{provider: "stripe", disputer: b}, payment.ListedDispute{Ref: news.Ref}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	o = s.await(n, o.ID, Disputed)
	s.expectTickets(o, ticket.Voided, 1)
	s.books(-fee, total, face, fee)
	if got := disputesFound.Get() - found; got > 1 {
		t.Errorf("found %d times", got)
	}
}

// The reader dies between two pages, and while nobody reads a further dispute is opened.
func TestAReadingOfTheListIsGoneOnWithWhereItsReaderDied(t *testing.T) {
	s, n, b, _ := disputable(t)
	orders := s.soldOrders(n, 4)
	for i, o := range orders[:3] {
		b.opens(o, i+1)
	}
	b.list.size = 1
	ctx, kill := context.WithCancel(context.Background())
	b.list.before = func(page string) error {
		if page == "3" { // the second page
			kill()
			return ctx.Err()
		}
		return nil
	}
	dying := s.open(false)
	if err := dying.listDisputes(ctx, "stripe"); err == nil {
		t.Fatal("the reader did not die")
	}
	b.list.before = nil
	s.await(n, orders[2].ID, Disputed)
	begun := s.mark()
	b.opens(orders[3], 4)
	b.listAsked()

	// What a process that was killed leaves behind is its lease. What was begun need not be due again.
	s.exec(`UPDATE dispute_listings SET lease_owner = $1, lease_until = now() + INTERVAL '1 hour', ended_at = now()`, uuid.New())
	if err := readLists(n); err != nil {
		t.Fatal(err)
	}
	if pages, _ := b.listAsked(); len(pages) != 0 || !begun.Before(theirTime(0)) {
		t.Errorf("a list that is another core's was read: %q; the mark is %s", pages, begun)
	}
	s.exec(`UPDATE dispute_listings SET lease_until = now() - INTERVAL '1 second'`)
	if err := readLists(n); err != nil {
		t.Fatal(err)
	}
	if pages, _ := b.listAsked(); !slices.Equal(pages, []string{"3", "2"}) {
		t.Errorf("the next core read the pages %q", pages)
	}
	for _, o := range orders[:3] {
		s.await(n, o.ID, Disputed)
	}
	if s.mark() != theirTime(3) {
		t.Errorf("the mark is %s: what came after the first page was not read yet", s.mark())
	}
	s.listDue()
	if err := readLists(n); err != nil {
		t.Fatal(err)
	}
	s.await(n, orders[3].ID, Disputed)
	if s.mark() != theirTime(4) {
		t.Errorf("the mark is %s", s.mark())
	}
	s.books(total-4*fee, 4*total, 5*face, 4*fee)
}

func TestTroubleWithAListLeavesTheMarkAndKeepsNoOtherDisputeFromBeingFound(t *testing.T) {
	s, n, b, _ := disputable(t)
	orders := s.soldOrders(n, 2)
	b.opens(orders[0], 1)
	silent := b.opens(orders[1], 2)

	// The provider is down.
	down := errors.Join(errors.New("502"), payment.ErrTemporary)
	b.list.before = func(string) error { return down }
	if err := readLists(n); !errors.Is(err, payment.ErrTemporary) {
		t.Errorf("a provider that is down: %v", err)
	}
	begun := s.mark()
	b.list.before = nil

	// One of two cannot be looked up; a third is of nobody's payment here, and a fourth in another currency.
	b.mu.Lock()
	delete(b.asks, silent.Ref)
	stranger, foreign := silent, silent
	stranger.Ref, stranger.PaymentRef = "dp_3", "pi_stranger"
	foreign.Ref, foreign.Amount.Currency = "dp_4", "USD"
	b.asks["dp_3"], b.asks["dp_4"] = stranger, foreign
	for no, ref := range []string{"dp_3", "dp_4"} {
		b.list.disputes = slices.Insert(b.list.disputes, 0, payment.ListedDispute{Ref: ref, State: payment.DisputeOpen, At: theirTime(3 + no)})
	}
	b.mu.Unlock()
	if err := readLists(n); err != nil {
		t.Fatal(err)
	}
	s.await(n, orders[0].ID, Disputed)
	if s.mark() != begun {
		t.Errorf("the mark moved from %s to %s past a dispute that is not taken into account", begun, s.mark())
	}
	b.mu.Lock()
	b.asks[silent.Ref] = silent
	b.mu.Unlock()
	s.listDue()
	if err := readLists(n); err != nil {
		t.Fatal(err)
	}
	s.await(n, orders[1].ID, Disputed)
	if s.mark() != theirTime(4) {
		t.Errorf("the mark is %s", s.mark())
	}
	if s.count(`SELECT count(*) FROM disputes`) != 2 {
		t.Error("disputes of others are kept")
	}
}

func TestAListWhosePlaceTheProviderHasForgottenIsReadFromItsBeginning(t *testing.T) {
	s, n, b, _ := disputable(t)
	orders := s.soldOrders(n, 2)
	for i, o := range orders {
		b.opens(o, i+1)
	}
	b.list.size = 1
	b.list.before = func(page string) error {
		if page != "" {
			return errors.Join(errors.New("no such page"), payment.ErrRejected)
		}
		return nil
	}
	if err := readLists(n); !errors.Is(err, payment.ErrRejected) {
		t.Fatalf("a page that is forgotten: %v", err)
	}
	b.list.before = nil
	b.listAsked()
	if err := readLists(n); err != nil {
		t.Fatal(err)
	}
	if pages, _ := b.listAsked(); !slices.Equal(pages, []string{"", "2"}) {
		t.Errorf("read the pages %q", pages)
	}
	for _, o := range orders {
		s.await(n, o.ID, Disputed)
	}
	if s.mark() != theirTime(2) {
		t.Errorf("the mark is %s", s.mark())
	}
}

// Told before its payment's capture: the outbox asks until it fits, and the list may go on.
func TestADisputeThatIsListedBeforeItsPaymentIsCapturedIsAskedAboutUntilItIs(t *testing.T) {
	s, n, b, _ := disputable(t)
	o := s.begin(n, buyerNo(3), inventory.Item{Tier: "floor", Quantity: 1})
	b.opens(o, 1)
	for range 2 {
		if err := readLists(n); err != nil {
			t.Fatal(err)
		}
		s.listDue()
	}
	if tasks := s.count(`SELECT count(*) FROM outbox WHERE kind = 'dispute' AND done_at IS NULL`); tasks != 1 || s.mark() != theirTime(1) {
		t.Fatalf("%d tasks, the mark is %s", tasks, s.mark())
	}
	s.authorized(n, o, payment.Risk{})
	s.await(n, o.ID, TicketIssued)
	s.exec(`UPDATE outbox SET due_at = now() WHERE kind = 'dispute' AND done_at IS NULL`)
	s.expectTickets(s.await(n, o.ID, Disputed), ticket.Voided, 1)
}
