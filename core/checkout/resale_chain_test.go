package checkout

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/scan"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// bankMarket is a market whose purchases can be disputed; of names the payment that a claim is about.
func bankMarket(t *testing.T) (m *market, of func(Order) payment.DisputeNews) {
	m = newMarketWith(t, true, func(m *market, c *Config) {
		b := &bank{provider: m.provider, orders: map[string]Order{}, asks: map[string]payment.DisputeNews{}}
		m.bank = b
		c.Providers = payment.NewProviders(b)
	})
	return m, func(o Order) payment.DisputeNews {
		ref := "pi_" + o.ID.String()
		m.bank.mu.Lock()
		m.bank.orders[ref] = o
		m.bank.mu.Unlock()
		return payment.DisputeNews{Ref: "dp_" + o.ID.String(), PaymentRef: ref, Amount: o.Amount, Reason: "fraudulent"}
	}
}

// says tells of a dispute's state.
func (m *market) says(news payment.DisputeNews, state payment.DisputeState) {
	m.t.Helper()
	news.State = state
	m.shop.says(m.node, news)
}

func TestASellerWhosePurchaseIsDisputedIsNotPaidAndForfeitsWhatIsLost(t *testing.T) {
	m, claimed := bankMarket(t)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	m.exec(`UPDATE listings SET pay_at = now() - INTERVAL '1 second' WHERE listing_id = $1`, l.ID)
	news := claimed(m.await(m.node, first.ID, TicketIssued))
	m.says(news, payment.DisputeOpen)
	m.await(m.node, first.ID, Disputed)
	if _, err := m.resale.Pay(ctx, l.ID, resale.PaySent, "operator", "4711"); !errors.Is(err, resale.ErrDisputed) {
		t.Errorf("paid while it is disputed: %v", err)
	}
	if due, err := m.resale.Shares(ctx, time.Time{}, uuid.Nil, 10); err != nil || len(due) != 1 || !due[0].Disputed {
		t.Errorf("shares %+v, %v", due, err)
	}
	m.says(news, payment.DisputeLost)
	m.await(m.node, first.ID, DisputeLost)
	if l = m.stands(l.ID); l.State != resale.Sold || l.Payout != resale.Forfeited {
		t.Errorf("listing %+v", l)
	}
	if now := m.of(o, 0); now.State != ticket.Valid {
		t.Errorf("the buyer's ticket is %+v", now)
	}
	m.owes(sellerPayable(seller), 0)
	m.owes("organizer_payable/promoter", 5000+500+4250-5000) // sold, the share of the resale, the seller's; less what the bank took
	if _, err := m.resale.Pay(ctx, l.ID, resale.PaySent, "operator", "4711"); !errors.Is(err, resale.ErrPayoutState) {
		t.Errorf("paid what was forfeited: %v", err)
	}
}

func TestADisputeThatIsWonLeavesAResoldTicketWithItsBuyer(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/1"}})
	o := m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 9000), second)
	news := claimed(m.await(m.node, first.ID, TicketIssued))
	m.says(news, payment.DisputeOpen)
	m.says(news, payment.DisputeWon)
	m.await(m.node, first.ID, TicketIssued)
	if was, now := m.of(first, 0), m.of(o, 0); was.State != ticket.Voided || now.State != ticket.Valid {
		t.Errorf("the seller's ticket is %+v, the buyer's %+v", was, now)
	}
	m.books()
}

func TestAResaleThatIsLostToADisputeIsUndone(t *testing.T) {
	m, claimed := bankMarket(t)
	m.resell = true // places of lost disputes go back on sale, but this one is the seller's
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/1"}})
	l := m.list(ticket.TicketID(first.ID, 0), seller, 9000)
	o := m.buys(l, second)
	news := claimed(o)
	m.says(news, payment.DisputeOpen)
	m.await(m.node, o.ID, Disputed)
	if valid := m.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 0 {
		t.Errorf("%d tickets are valid while it is disputed", valid)
	}
	m.says(news, payment.DisputeLost)
	m.await(m.node, o.ID, DisputeLost)
	if was, l := m.of(first, 0), m.stands(l.ID); was.State != ticket.Valid || l.State != resale.Undone || l.Payout != resale.Recalled {
		t.Errorf("the seller's ticket is %+v, the listing %+v", was, l)
	}
	if sold := m.count(`SELECT count(*) FROM seats WHERE seat = 'A/1/1' AND state = 'sold'`); sold != 1 {
		t.Error("the seat is on sale")
	}
	m.owes(sellerPayable(seller), 0)
	m.owes("organizer_payable/promoter", 8000)
}

// Whatever becomes of a chain of resales: one ticket of it is good or for sale, and when the event is cancelled in the end, everybody's
// money comes to nothing, account by account.
func TestTheMoneyOfEveryChainOfTitleComesToNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	seed := uint64(time.Now().UnixNano())
	for round := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed+round), func(t *testing.T) {
			m, random := newMarket(t, true), rand.New(rand.NewPCG(seed+round, 1))
			ctx := context.Background()
			people := byte(1)
			holder := lottery.Entrant{people}
			orders := []Order{m.sold(m.node, holder, inventory.Item{Seats: []string{"A/1/2"}})}
			all := orders
			for range 7 {
				last := orders[len(orders)-1]
				id := ticket.TicketID(last.ID, 0)
				switch random.IntN(5) {
				case 0: // listed and withdrawn
					l := m.list(id, holder, 1+random.Int64N(11000))
					if _, err := m.resale.Withdraw(ctx, l.ID, holder); err != nil {
						t.Fatal(err)
					}
				case 1: // the last resale is refunded: the seller has it again
					if len(orders) == 1 {
						continue
					}
					if _, err := m.Refund(ctx, RefundRequest{Order: last.ID, Key: uuid.NewString(), Reason: "asked"}); err != nil {
						t.Fatal(err)
					}
					m.await(m.node, last.ID, Refunded)
					orders = orders[:len(orders)-1]
					holder = orders[len(orders)-1].Entrant
				default: // sold on, maybe after another price
					l := m.list(id, holder, 1+random.Int64N(11000))
					if random.IntN(2) == 0 {
						var err error
						if l, err = m.resale.Reprice(ctx, l.ID, holder, eur(1+random.Int64N(11000))); err != nil {
							t.Fatal(err)
						}
					}
					people++
					holder = lottery.Entrant{people}
					o := m.buys(l, holder)
					orders, all = append(orders, o), append(all, o)
				}
				if good := m.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`); good != 1 {
					t.Fatalf("%d tickets of the chain are good", good)
				}
				m.books()
			}
			m.off.Store(true)
			if _, err := m.RefundEvent(ctx, m.event, "cancelled", "operator"); err != nil {
				t.Fatal(err)
			}
			for _, o := range all {
				m.await(m.node, o.ID, Refunded)
			}
			balances, err := ledger.Balances(ctx, m.db.Pool)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range balances {
				if b.Net().Minor != 0 {
					t.Errorf("%s is at %d", b.Account.Code, b.Net().Minor)
				}
			}
			m.books()
		})
	}
}

// Everybody acts on one ticket at the same instant; each gets their way or is told why not, and nothing is lost or doubled.
func TestWithdrawalPurchaseTransferScanAndRefundAtOnceLeaveOneTicketOrNone(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	public := lottery.PublicKey{No: 1}
	copy(public.Public[:], key.Public().(ed25519.PublicKey))
	at := scan.Event{ID: m.event, Slug: "gig", Reader: &code.Reader{Event: m.event, Keys: lottery.PublicKeys{public}},
		Rules: gate.Rules{ClosesAt: time.Now().Add(time.Hour)}}
	scans := scan.New(m.db, func(context.Context, uuid.UUID) (scan.Event, error) { return at, nil })
	for round := range 6 {
		who, next := lottery.Entrant{50, byte(round)}, lottery.Entrant{60, byte(round)}
		first := m.sold(m.node, who, floor(1))
		before := m.of(first, 0)
		var l resale.Listing
		if round%2 == 0 { // listed before, or at the same instant
			l = m.list(before.ID, who, 5000)
		}
		var wg sync.WaitGroup
		var bought *Order
		wg.Go(func() {
			if round%2 == 1 {
				if made, _, err := m.resale.List(ctx, resale.Offer{Ticket: before.ID, Seller: who, Asked: eur(5000), Key: "k"}); err == nil {
					l = made
				}
			}
			if l.ID == uuid.Nil {
				return
			}
			h, err := m.wants(l, next)
			if err != nil {
				return
			}
			o, _, err := m.Open(ctx, Opening{Hold: h.ID, Event: m.event, Entrant: next, Key: h.ID.String(), Email: "a@example.org"})
			if err != nil {
				return
			}
			bought = &o
		})
		wg.Go(func() { _, _ = m.resale.Withdraw(ctx, resale.ListingID(before.ID, "k"), who) })
		wg.Go(func() {
			_ = m.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
				now, err := ticket.Load(ctx, tx, before.ID)
				if err != nil {
					return err
				}
				return ticket.SetAside(ctx, tx, now, ticket.Offered)
			})
		})
		var entered error
		wg.Go(func() {
			_, entered = scans.Scan(ctx, scan.Gate{Event: m.event, Name: "north"}, scan.Request{ID: uuid.New(), Shown: before.Code, Direction: gate.In}, time.Now())
		})
		wg.Go(func() { _, _ = m.Refund(ctx, RefundRequest{Order: first.ID, Key: "k"}) })
		wg.Wait()
		if bought != nil {
			id := payment.PaymentID(bought.ID, 1)
			m.eventually("the payment is confirmed or given up", func() bool {
				o, err := m.Find(ctx, bought.ID)
				return err == nil && o.State != PaymentPending || m.provider.confirm(id, payment.Authorized)
			})
			if err := m.Apply(ctx, Outcome{Order: bought.ID, Payment: id, Cause: CauseAuthorized, Actor: "webhook"}); err != nil {
				t.Error(err)
			}
			m.eventually("the purchase ends", func() bool {
				o, err := m.Find(ctx, bought.ID)
				return err == nil && (o.State == TicketIssued || (o.State == Cancelled || o.State == Refunded) && !o.Payment.State.Live() && o.Payment.State != PaymentVoiding)
			})
		}
		m.eventually("refunds end", func() bool {
			return m.count(`SELECT count(*) FROM refunds WHERE state IN ('requested', 'pending')`) == 0
		})
		now := m.of(first, 0)
		if listed := now.Hold == ticket.Listed; listed && m.count(`SELECT count(*) FROM listings WHERE ticket_id = $1 AND state = 'open'`, before.ID) != 1 || !listed && m.count(`SELECT count(*) FROM listings WHERE ticket_id = $1 AND state IN ('open', 'selling')`, before.ID) != 0 {
			t.Errorf("round %d: ticket %+v and its listing disagree", round, now)
		}
		if entered == nil && now.Hold != ticket.Free && now.Hold != ticket.Offered {
			t.Errorf("round %d: it entered, and is %q", round, now.Hold)
		}
		good := 0
		if now.State == ticket.Valid {
			good++
		}
		if bought != nil {
			if o, err := m.Find(ctx, bought.ID); err == nil && o.State == TicketIssued {
				good++
			}
		}
		if o, err := m.Find(ctx, first.ID); err != nil || good > 1 || good == 0 && o.State != Refunded {
			t.Errorf("round %d: %d good tickets, the first order is %s, %v", round, good, o.State, err)
		}
		m.books()
	}
}

// byHand takes an order from its opening to its tickets, each step under a core of its own, told twice and out of turn.
func (m *market) byHand(o Order) Order {
	m.t.Helper()
	ctx := context.Background()
	intent := payment.Intent{PaymentID: payment.PaymentID(o.ID, 1), OrderID: o.ID, Amount: o.Amount}
	out, err := m.provider.Begin(ctx, intent)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, cause := range []Cause{CauseBegun, CauseAuthorized, CauseAuthorized, CauseCaptured, CauseCaptured, CauseAuthorized} {
		switch cause {
		case CauseAuthorized:
			m.provider.confirm(intent.PaymentID, payment.Authorized)
		case CauseCaptured:
			_, err = m.provider.Capture(ctx, intent)
		}
		if err != nil {
			m.t.Fatal(err)
		}
		if err := m.open(false).Apply(ctx, Outcome{Order: o.ID, Payment: intent.PaymentID, Cause: cause, Ref: out.ProviderRef, Actor: "webhook"}); err != nil {
			m.t.Fatalf("%s: %v", cause, err)
		}
	}
	if o, err = m.open(false).Find(ctx, o.ID); err != nil || o.State != TicketIssued {
		m.t.Fatalf("order %+v, %v", o, err)
	}
	return o
}

// The process dies after every step of a resale: another one goes on from the rows, and what is told twice is done once.
func TestAResaleGoesOnUnderAnotherProcessAfterEveryStep(t *testing.T) {
	m := newMarket(t, false)
	ctx := context.Background()
	first := m.byHand(m.order(m.node, seller, m.hold(m.node, seller, "k", floor(1))))
	offer := resale.Offer{Ticket: ticket.TicketID(first.ID, 0), Seller: seller, Asked: eur(5000), Key: "k"}
	for n := range 2 { // the answer is lost
		if _, created, err := m.resale.List(ctx, offer); err != nil || created != (n == 0) {
			t.Fatal(created, err)
		}
	}
	l := m.stands(resale.ListingID(offer.Ticket, "k"))
	item, err := m.resale.ForHold(ctx, l.ID, m.event, second)
	if err != nil {
		t.Fatal(err)
	}
	var h inventory.Hold
	for range 2 {
		if h, err = m.open(false).stock.Hold(ctx, inventory.Request{Event: m.event, Entrant: second, Key: "k", Items: []inventory.Item{item}}); err != nil {
			t.Fatal(err)
		}
	}
	var o Order
	for range 2 {
		if o, _, err = m.open(false).Open(ctx, Opening{Hold: h.ID, Event: m.event, Entrant: second, Key: "k", Email: "a@example.org"}); err != nil {
			t.Fatal(err)
		}
	}
	m.byHand(o)
	if l = m.stands(l.ID); l.State != resale.Sold {
		t.Errorf("listing %+v", l)
	}
	m.owes(sellerPayable(seller), 4250)
	m.books()
}
