package checkout

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// seller and friends are the people of a resale.
var (
	seller = lottery.Entrant{1}
	second = lottery.Entrant{2}
	third  = lottery.Entrant{3}
)

// market is a shop in which tickets are resold.
type market struct {
	*shop
	*node
	resale *resale.Service
	rules  resale.Rules
	bank   *bank // nil: nobody disputes anything
}

// newMarket opens one: 10% of the price are the organizer's and 5% the platform's, the buyer pays 1.00 and 0.21 tax on top, and a ticket
// may cost what it cost first and a tenth more.
func newMarket(t *testing.T, run bool) *market {
	return newMarketWith(t, run, func(*market, *Config) {})
}

func newMarketWith(t *testing.T, run bool, adjust func(*market, *Config)) *market {
	m := &market{shop: newShop(t), rules: resale.Rules{Slug: "gig", Organizer: "promoter", Currency: "EUR", Allowed: true, Over: 100_000,
		Royalty: 100_000, Commission: 50_000, Fee: 100, Tax: 21, ClosesAt: time.Now().Add(time.Hour), StartsAt: time.Now().Add(2 * time.Hour), PayAfter: time.Millisecond}}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	m.resale = resale.New(resale.Config{DB: m.db, Ledger: ledger.NewWriter(m.db.Reader),
		Rules: func(context.Context, uuid.UUID) (resale.Rules, error) {
			rules := m.rules
			rules.Cancelled = m.off.Load()
			return rules, nil
		},
		Issuer: ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
			return ticket.SigningKey{No: 1, Private: key}, nil
		})})
	m.adjust = func(c *Config) {
		c.Resale = m.resale
		adjust(m, c)
	}
	m.node = m.open(run)
	return m
}

func eur(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

// list puts a ticket up for sale.
func (m *market) list(id uuid.UUID, who lottery.Entrant, asked int64) resale.Listing {
	m.t.Helper()
	l, _, err := m.resale.List(context.Background(), resale.Offer{Ticket: id, Seller: who, Asked: eur(asked), Key: uuid.NewString()})
	if err != nil {
		m.t.Fatal(err)
	}
	return l
}

// wants asks for a hold of a listing.
func (m *market) wants(l resale.Listing, who lottery.Entrant) (inventory.Hold, error) {
	item, err := m.resale.ForHold(context.Background(), l.ID, m.event, who)
	if err != nil {
		return inventory.Hold{}, err
	}
	return m.stock.Hold(context.Background(), inventory.Request{Event: m.event, Entrant: who, Key: uuid.NewString(), Items: []inventory.Item{item}})
}

// orders opens an order for a listing.
func (m *market) orders(l resale.Listing, who lottery.Entrant) Order {
	m.t.Helper()
	h, err := m.wants(l, who)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.order(m.node, who, h)
}

// authorize has an order's buyer confirm the payment, and tells checkout.
func (m *market) authorize(o Order) {
	m.t.Helper()
	id := payment.PaymentID(o.ID, 1)
	m.eventually("the intent exists", func() bool { return m.provider.confirm(id, payment.Authorized) })
	if err := m.Apply(context.Background(), Outcome{Order: o.ID, Payment: id, Cause: CauseAuthorized, Actor: "webhook"}); err != nil {
		m.t.Fatal(err)
	}
}

// buys buys a listing.
func (m *market) buys(l resale.Listing, who lottery.Entrant) Order {
	m.t.Helper()
	o := m.orders(l, who)
	m.authorize(o)
	return m.await(m.node, o.ID, TicketIssued)
}

// of finds a ticket.
func (m *market) of(o Order, item int) ticket.Ticket {
	m.t.Helper()
	t, err := ticket.Load(context.Background(), m.db.Reader, ticket.TicketID(o.ID, item))
	if err != nil {
		m.t.Fatal(err)
	}
	return t
}

// stands asks how a listing stands.
func (m *market) stands(id uuid.UUID) resale.Listing {
	m.t.Helper()
	l, err := m.resale.Find(context.Background(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return l
}

// owes is the balance of an account: below zero it is owed to somebody.
func (m *market) owes(code string, want int64) {
	m.t.Helper()
	if got := -m.net(code); got != want {
		m.t.Errorf("%s is owed %d, want %d", code, got, want)
	}
}

func sellerPayable(who lottery.Entrant) string { return "seller_payable/" + resale.SellerAccount(who) }

// books checks what holds whatever happened: each place has one valid ticket or none, and every account adds up.
func (m *market) books() {
	m.t.Helper()
	ctx := context.Background()
	if twice := m.count(`SELECT count(*) FROM (SELECT seat FROM tickets WHERE state = 'valid' AND seat <> '' GROUP BY seat HAVING count(*) > 1) AS s`); twice != 0 {
		m.t.Errorf("%d seats have two valid tickets", twice)
	}
	for _, account := range []string{"buyer_clearing", "resale_escrow", "late_money", "refunds"} {
		if net := m.net(account); net != 0 {
			m.t.Errorf("%s is at %d", account, net)
		}
	}
	balances, err := ledger.Balances(ctx, m.db.Pool)
	if err != nil {
		m.t.Fatal(err)
	}
	var sum, clearing int64
	for _, b := range balances {
		sum += b.Net().Minor
		if b.Account.Code == "provider_clearing/stripe" {
			clearing = -b.Net().Minor
		}
	}
	if sum != 0 {
		m.t.Errorf("the accounts add up to %d", sum)
	}
	_, minor := m.provider.captured()
	if minor -= m.provider.returned(); minor != clearing {
		m.t.Errorf("the provider has %d, the ledger says %d", minor, clearing)
	}
	taken := m.count(`SELECT sum(taken)::INT8 FROM stock`)
	if held := m.count(`SELECT coalesce(sum(units), 0)::INT8 FROM holds WHERE state IN ('active', 'sold')`); taken != held {
		m.t.Errorf("stock counts %d units taken, holds %d", taken, held)
	}
	rows, err := m.db.Reader.Query(ctx, `SELECT ticket_id FROM tickets WHERE state = 'valid'`)
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			m.t.Fatal(err)
		}
		if _, err := title.Verify(ctx, m.db.Pool, id); err != nil {
			m.t.Error(err)
		}
	}
}

func TestAResaleVoidsTheSellersTicketIssuesTheBuyersAndDividesTheMoney(t *testing.T) {
	m := newMarket(t, true)
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/1"}})
	l := m.list(ticket.TicketID(first.ID, 0), seller, 10000)
	if was := m.of(first, 0); was.Hold != ticket.Listed || l.State != resale.Open || l.Price.AllIn() != 10121 {
		t.Fatalf("ticket %+v, listing %+v", was, l)
	}
	o := m.buys(l, second)
	if o.Amount != eur(10121) || len(o.Lines) != 1 || o.Lines[0].Seat != "A/1/1" || o.Lines[0].Listing != l.ID {
		t.Errorf("order %+v", o)
	}
	was, now := m.of(first, 0), m.of(o, 0)
	if was.State != ticket.Voided || was.VoidReason != resale.VoidReason || now.State != ticket.Valid || now.Seat != "A/1/1" || now.Owner != second {
		t.Errorf("the seller's ticket is %+v, the buyer's %+v", was, now)
	}
	chain, err := title.Verify(context.Background(), m.db.Pool, now.ID)
	if err != nil || len(chain) != 2 || chain[0].Ticket != was.ID || chain[1].Steps[0].Price != eur(10121) {
		t.Errorf("title %+v, %v", chain, err)
	}
	m.owes(sellerPayable(seller), 8500)
	m.owes("organizer_payable/promoter", 8000+1000)
	m.owes("platform_fees", 500+500+100)
	m.owes("taxes_payable", 1785+21)
	if l = m.stands(l.ID); l.State != resale.Sold || l.Order != o.ID || l.NewTicket != now.ID || l.Payout != resale.Waiting {
		t.Errorf("listing %+v", l)
	}
	m.books()
}

func TestOfTwoBuyersOfOneListingOneGetsIt(t *testing.T) {
	m := newMarket(t, true)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	const buyers = 12
	var wg sync.WaitGroup
	errs := make([]error, buyers)
	for i := range buyers {
		wg.Go(func() { _, errs[i] = m.wants(l, lottery.Entrant{9, byte(i)}) })
	}
	wg.Wait()
	got := 0
	for _, err := range errs {
		switch {
		case err == nil:
			got++
		case !errors.Is(err, inventory.ErrListingGone):
			t.Error(err)
		}
	}
	if got != 1 {
		t.Errorf("%d buyers hold the listing", got)
	}
	m.books()
}

func TestAPriceThatChangesLeavesTheHoldsPriceAlone(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	h, err := m.wants(l, second)
	if err != nil || h.Amount != eur(5121) {
		t.Fatalf("hold %+v, %v", h, err)
	}
	if l, err = m.resale.Reprice(ctx, l.ID, seller, eur(6000)); err != nil || l.Price.AllIn() != 6121 {
		t.Fatalf("listing %+v, %v", l, err)
	}
	if _, err := m.resale.Reprice(ctx, l.ID, second, eur(1)); !errors.Is(err, resale.ErrNotOwner) {
		t.Errorf("somebody else's price: %v", err)
	}
	o := m.order(m.node, second, h)
	if o.Amount != eur(5121) || o.Lines[0].Face != 5000 {
		t.Errorf("order %+v", o)
	}
	m.authorize(o)
	m.await(m.node, o.ID, TicketIssued)
	m.owes(sellerPayable(seller), 4250)
	if l = m.stands(l.ID); l.Price.Asked != 5000 {
		t.Errorf("the listing was sold for %+v", l.Price)
	}
	m.books()
}

func TestALiveHoldKeepsAListingFromBeingWithdrawnUntilItIsGivenBack(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/2"}})
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	h, err := m.wants(l, second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.resale.Withdraw(ctx, l.ID, seller); !errors.Is(err, resale.ErrHeld) {
		t.Errorf("withdrawn while it is held: %v", err)
	}
	if _, err := m.resale.Withdraw(ctx, l.ID, second); !errors.Is(err, resale.ErrNotOwner) {
		t.Errorf("withdrawn by the buyer: %v", err)
	}
	if _, err := m.stock.Release(ctx, h.ID, second); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if l, err = m.resale.Withdraw(ctx, l.ID, seller); err != nil || l.State != resale.Withdrawn {
			t.Fatalf("listing %+v, %v", l, err)
		}
	}
	if now := m.of(first, 0); now.State != ticket.Valid || now.Hold != ticket.Free || now.Epoch != 2 {
		t.Errorf("ticket %+v", now)
	}
	if _, err := m.wants(l, third); !errors.Is(err, resale.ErrOver) {
		t.Errorf("held after it was withdrawn: %v", err)
	}
	m.list(ticket.TicketID(first.ID, 0), seller, 5000) // and again
	m.books()
}

func TestAListingIsRefusedForEachReasonByItsName(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	m.rules.MaxListings = 2
	first := m.sold(m.node, seller, floor(5))
	id := func(n int) uuid.UUID { return ticket.TicketID(first.ID, n) }
	try := func(n int, who lottery.Entrant, asked ledger.Amount, key string) error {
		_, _, err := m.resale.List(ctx, resale.Offer{Ticket: id(n), Seller: who, Asked: asked, Key: key})
		return err
	}
	// 66.55 and a tenth is 73.205: 73.20, of which 1.21 are the fee and its tax.
	var over *resale.OverCap
	if err := try(0, seller, eur(7200), "a"); !errors.As(err, &over) || over.Most != eur(7320) || over.Asked != eur(7199) {
		t.Errorf("over the cap: %v", err)
	}
	if err := try(0, seller, eur(7199), "a"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err, want error
	}{
		"again":               {try(0, seller, eur(7199), "a"), nil},
		"with another body":   {try(0, seller, eur(7000), "a"), resale.ErrKeyReused},
		"twice":               {try(0, seller, eur(7000), "b"), resale.ErrListed},
		"somebody else's":     {try(1, second, eur(5000), "c"), resale.ErrNotOwner},
		"for nothing":         {try(1, seller, eur(0), "c"), resale.ErrPrice},
		"in another currency": {try(1, seller, ledger.Amount{Minor: 5000, Currency: "USD"}, "c"), resale.ErrPrice},
		"a ticket without a row": {func() error {
			_, _, err := m.resale.List(ctx, resale.Offer{Ticket: uuid.New(), Seller: seller, Asked: eur(1), Key: "k"})
			return err
		}(), ticket.ErrUnknown},
	} {
		if !errors.Is(c.err, c.want) || c.want == nil && c.err != nil {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	m.exec(`UPDATE tickets SET hold = 'offered', held_at = now() WHERE ticket_id = $1`, id(1))
	if err := try(1, seller, eur(5000), "d"); !errors.Is(err, resale.ErrOffered) {
		t.Errorf("an offered one: %v", err)
	}
	m.exec(`INSERT INTO entries (ticket_id, zone, event_id, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
		VALUES ($1, '', $2, 1, 0, true, $1, 'north', now(), $1, 'north', now())`, id(2), m.event)
	if err := try(2, seller, eur(5000), "e"); !errors.Is(err, resale.ErrEntered) {
		t.Errorf("one that has entered: %v", err)
	}
	if _, err := m.Refund(ctx, RefundRequest{Order: first.ID, Key: "k", Tickets: []uuid.UUID{id(3)}}); err != nil {
		t.Fatal(err)
	}
	if err := try(3, seller, eur(5000), "f"); !errors.Is(err, resale.ErrVoid) {
		t.Errorf("a void one: %v", err)
	}
	m.rules.MaxListings = 1
	if err := try(4, seller, eur(5000), "g"); !errors.Is(err, resale.ErrLimit) {
		t.Errorf("one more than one may: %v", err)
	}
	m.rules.MaxListings, m.rules.ClosesAt = 0, time.Now().Add(-time.Second)
	if err := try(4, seller, eur(5000), "h"); !errors.Is(err, resale.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := m.wants(m.stands(resale.ListingID(id(0), "a")), second); !errors.Is(err, resale.ErrClosed) {
		t.Errorf("bought after the end: %v", err)
	}
	m.rules.Allowed = false
	if err := try(4, seller, eur(5000), "i"); !errors.Is(err, resale.ErrNotAllowed) {
		t.Errorf("not allowed: %v", err)
	}
	if n := m.count(`SELECT count(*) FROM tickets WHERE hold = 'listed'`); n != 1 {
		t.Errorf("%d tickets are listed", n)
	}
	if _, err := m.wants(m.stands(resale.ListingID(id(0), "a")), seller); !errors.Is(err, resale.ErrOwn) {
		t.Errorf("one's own: %v", err)
	}
}

func TestACaptureThatIsRefusedPutsTheListingBackOnSale(t *testing.T) {
	m := newMarket(t, true)
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/1"}})
	l := m.list(ticket.TicketID(first.ID, 0), seller, 9000)
	m.provider.mu.Lock()
	m.provider.refuse = payment.ErrDeclined
	m.provider.mu.Unlock()
	o := m.orders(l, second)
	m.authorize(o)
	m.await(m.node, o.ID, CaptureFailed)
	if l = m.stands(l.ID); l.State != resale.Open || l.Order != uuid.Nil {
		t.Errorf("listing %+v", l)
	}
	if was := m.of(first, 0); was.State != ticket.Valid || was.Hold != ticket.Listed {
		t.Errorf("ticket %+v", was)
	}
	m.provider.mu.Lock()
	m.provider.refuse = nil
	m.provider.mu.Unlock()
	m.buys(l, third)
	m.books()
}

func TestMoneyForATicketThatDiedBetweenAuthorizationAndCaptureGoesBack(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	hold := make(chan struct{})
	m.provider.fault(func(f *faults) { f.hold = hold })
	o := m.orders(l, second)
	m.authorize(o)
	if l = m.stands(l.ID); l.State != resale.Selling || l.Order != o.ID {
		t.Fatalf("listing %+v", l)
	}
	if _, err := m.Refund(ctx, RefundRequest{Order: first.ID, Key: "k"}); !errors.Is(err, ErrSelling) {
		t.Errorf("refunded while it is being sold: %v", err)
	}
	if _, err := m.resale.Withdraw(ctx, l.ID, seller); !errors.Is(err, resale.ErrHeld) {
		t.Errorf("withdrawn while it is being sold: %v", err)
	}
	// A bank asks nobody: the seller's purchase is disputed.
	m.exec(`UPDATE tickets SET state = 'void', hold = '', void_reason = 'disputed', voided_at = now() WHERE ticket_id = $1`, l.Ticket)
	if err := m.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return m.resale.Gone(ctx, tx, []uuid.UUID{l.Ticket}, "disputed")
	}); err != nil {
		t.Fatal(err)
	}
	close(hold)
	m.await(m.node, o.ID, Refunded)
	if l = m.stands(l.ID); l.State != resale.Ended {
		t.Errorf("listing %+v", l)
	}
	m.owes(sellerPayable(seller), 0)
	if valid := m.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 0 {
		t.Errorf("%d tickets are valid", valid)
	}
	m.books()
}

func TestARefundOfAResaleGivesTheSellerTheTicketAgainAndItCanBeSoldOnceMore(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/3"}})
	o := m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 10000), second)
	for _, err := range []error{
		func() error { _, err := m.Refund(ctx, RefundRequest{Order: first.ID, Key: "all"}); return err }(),
		func() error {
			_, err := m.Refund(ctx, RefundRequest{Order: first.ID, Key: "one", Tickets: []uuid.UUID{ticket.TicketID(first.ID, 0)}})
			return err
		}(),
	} {
		if !errors.Is(err, ErrResold) {
			t.Errorf("the first payer gets money for a ticket that was resold: %v", err)
		}
	}
	if _, err := m.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Reason: "asked by phone"}); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, o.ID, Refunded)
	was, bought := m.of(first, 0), m.of(o, 0)
	if was.State != ticket.Valid || was.Hold != ticket.Free || was.Epoch != 2 || was.Owner != seller || bought.State != ticket.Voided {
		t.Errorf("the seller's ticket is %+v, the buyer's %+v", was, bought)
	}
	m.owes(sellerPayable(seller), 0)
	m.owes("organizer_payable/promoter", 8000)
	m.owes("platform_fees", 500)
	m.owes("taxes_payable", 1785)
	m.books()
	again := m.buys(m.list(was.ID, seller, 9000), third)
	if chain, err := title.Verify(ctx, m.db.Pool, m.of(again, 0).ID); err != nil || len(chain) != 2 {
		t.Errorf("title %+v, %v", chain, err)
	}
	if seat := m.count(`SELECT count(*) FROM seats WHERE seat = 'A/1/3' AND state = 'sold'`); seat != 1 {
		t.Error("the seat is on sale")
	}
	m.books()
}

func TestACancelledEventGivesEverybodyInTheChainTheirMoneyBack(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(2))
	o2 := m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 5000), second)
	o3 := m.buys(m.list(ticket.TicketID(o2.ID, 0), second, 6000), third)
	open := m.list(ticket.TicketID(first.ID, 1), seller, 5000)
	m.off.Store(true)
	if _, err := m.RefundEvent(ctx, m.event, "cancelled", "operator"); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Order{first, o2, o3} {
		m.await(m.node, o.ID, Refunded)
	}
	for _, account := range []string{sellerPayable(seller), sellerPayable(second), "organizer_payable/promoter", "platform_fees", "taxes_payable", "provider_clearing/stripe"} {
		m.owes(account, 0)
	}
	if l := m.stands(open.ID); l.State != resale.Ended {
		t.Errorf("listing %+v", l)
	}
	if valid := m.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 0 {
		t.Errorf("%d tickets are valid", valid)
	}
	m.books()
}

func TestASellerIsPaidOnceNotBeforeTheTimeAndKeepsItWhenTheEventIsCancelled(t *testing.T) {
	t.Parallel() // it mostly waits
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	if _, err := m.resale.Pay(ctx, l.ID, resale.PaySent, "operator", "4711"); !errors.Is(err, resale.ErrPayoutState) {
		t.Errorf("paid before it is sold: %v", err)
	}
	m.rules.PayAfter = 0 // after the event, which is in two hours
	o := m.buys(l, second)
	if _, err := m.resale.Pay(ctx, l.ID, resale.PaySent, "operator", "4711"); !errors.Is(err, resale.ErrPayoutEarly) {
		t.Errorf("paid too early: %v", err)
	}
	m.rules.StartsAt = time.Now().Add(-72 * time.Hour)
	if _, err := m.resale.Pay(ctx, l.ID, resale.PaySent, "operator", "4711"); !errors.Is(err, resale.ErrPayoutEarly) {
		t.Errorf("paid before the day that the sale was told: %v", err)
	}
	m.exec(`UPDATE listings SET pay_at = now() - INTERVAL '1 second' WHERE listing_id = $1`, l.ID)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if l, err := m.resale.Pay(ctx, l.ID, resale.PaySent, "operator", "4711"); err != nil || l.Payout != resale.Sent || l.PayoutNo != 1 {
				t.Errorf("listing %+v, %v", l, err)
			}
		})
	}
	wg.Wait()
	m.owes(sellerPayable(seller), 0)
	m.owes("payout_clearing", 4250)
	for _, step := range []resale.PayoutStep{resale.PayReturned, resale.PayReturned, resale.PaySent, resale.PayArrived, resale.PayArrived} {
		if _, err := m.resale.Pay(ctx, l.ID, step, "operator", "bank"); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	if l = m.stands(l.ID); l.Payout != resale.Arrived || l.PayoutNo != 2 {
		t.Errorf("listing %+v", l)
	}
	m.owes("payout_clearing", 0)
	m.owes("bank", 4250)
	// The seller has the money of the sale, and so not what they had paid themselves; the buyer has theirs back.
	m.off.Store(true)
	if _, err := m.RefundEvent(ctx, m.event, "cancelled", "operator"); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, o.ID, Refunded)
	m.eventually("the run is done", func() bool { run, err := m.RunOf(ctx, m.event); return err == nil && run.State == "done" })
	if state := m.await(m.node, first.ID, TicketIssued).State; state != TicketIssued {
		t.Errorf("the seller's order is %s", state)
	}
	m.owes("organizer_payable/promoter", 5000+500+250-5000) // what they sold, their share and our commission, less what the last holder had asked of them
	m.books()
}
