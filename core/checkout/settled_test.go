package checkout

import (
	"context"
	"errors"
	"testing"
	"time"

	"fairgate/core/payment"
	"fairgate/core/settlement"
	"fairgate/ledger"
)

// statement is a settlement of a few rows.
type statement []payment.SettlementRow

func (s statement) Settlement(_ context.Context, _, _ time.Time, each func(payment.SettlementRow) error) error {
	for _, r := range s {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// settled reads a settlement of today.
func (s *shop) settled(reader *settlement.Service, rows statement) settlement.Report {
	s.t.Helper()
	now, err := s.db.Now(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range rows {
		if rows[i].CreatedAt.IsZero() {
			rows[i].CreatedAt = now
		}
	}
	r, err := reader.Reconcile(context.Background(), "stripe", now, rows)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// openItem is the one item of today that is open.
func (s *shop) openItem(reader *settlement.Service) settlement.Item {
	s.t.Helper()
	now, err := s.db.Now(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	items, err := reader.Items(context.Background(), "stripe", now, settlement.Open, [16]byte{}, 10)
	if err != nil || len(items) != 1 {
		s.t.Fatalf("open items: %+v, %v", items, err)
	}
	return items[0]
}

// charge is the settlement's row of an order.
func charge(o Order) payment.SettlementRow {
	return payment.SettlementRow{ID: "txn_charge", Kind: payment.SettledCharge, SourceRef: "ch_1", PaymentRef: o.Payment.ProviderRef, OrderID: o.ID,
		PaymentID: o.Payment.ID, Gross: o.Amount}
}

func (s *shop) allExplained(reader *settlement.Service, rows statement) {
	s.t.Helper()
	if r := s.settled(reader, rows); r.ExplainedPPM != 1_000_000 || r.Open != 0 {
		s.t.Errorf("in the end: %+v", r)
	}
}

func TestARefundMadeAtTheProviderIsBookedOnceWhoeverHearsOfItFirst(t *testing.T) {
	for _, first := range []string{"settlement", "webhook", "webhook between the reading and the approval"} {
		t.Run(first, func(t *testing.T) {
			s := newShop(t)
			n := s.open(true)
			ctx := context.Background()
			reader := settlement.New(s.db, settlement.Config{Grace: time.Nanosecond, BookPlain: true})
			o := s.sold(n, buyer, floor(2))
			out := s.provider.dashboard(o.Payment.ID, 1235)
			rows := statement{charge(o), {ID: "txn_refund", Kind: payment.SettledRefund, SourceRef: out.ProviderRef, PaymentRef: o.Payment.ProviderRef,
				Gross: ledger.Amount{Minor: -1235, Currency: o.Amount.Currency}}}
			tell := func() {
				e := payment.Event{Provider: "stripe", ID: "evt_" + first, OrderID: o.ID, PaymentID: o.Payment.ID, Refund: &payment.RefundNews{Outcome: out}}
				if err := n.Webhooks(ctx, []payment.Event{e}); err != nil {
					t.Fatal(err)
				}
			}
			if first == "webhook" {
				tell()
				s.allExplained(reader, rows)
			} else {
				s.settled(reader, rows)
				item := s.openItem(reader)
				if first != "settlement" {
					tell()
					if _, err := reader.Decide(ctx, item.ID, settlement.Approved, "ann", "seen"); !errors.Is(err, settlement.ErrStale) {
						t.Fatalf("approved what the books have: %v", err)
					}
				} else if _, err := reader.Decide(ctx, item.ID, settlement.Approved, "ann", "seen"); err != nil {
					t.Fatal(err)
				}
				tell()
			}
			tell()
			o = s.await(n, o.ID, TicketIssued)
			if len(o.Refunds) != 1 || o.Refunds[0].Kind != RefundFound || o.Refunds[0].State != RefundPaid {
				t.Errorf("refunds: %+v", o.Refunds)
			}
			if got := s.net("provider_clearing/stripe"); got != o.Amount.Minor-1235 {
				t.Errorf("the provider's account is at %d", got)
			}
			s.allExplained(reader, rows)
			s.audit()
		})
	}
}

func TestADisputeIsBookedOnceWhoeverHearsOfItFirstAndWhetherOrNotTheRowNamesIt(t *testing.T) {
	for _, named := range []string{"dp_1", ""} {
		for _, first := range []string{"settlement", "webhook"} {
			t.Run(first+" "+named, func(t *testing.T) {
				s, n, _, o := disputable(t, floor(1))
				ctx := context.Background()
				reader := settlement.New(s.db, settlement.Config{Grace: time.Nanosecond, BookPlain: true})
				news := claim(o, payment.DisputeOpen)
				news.Ref = "dp_1"
				row := payment.SettlementRow{ID: "txn_dispute", Kind: payment.SettledDispute, SourceRef: named, PaymentRef: news.PaymentRef,
					Gross: ledger.Amount{Minor: -news.Amount.Minor, Currency: news.Amount.Currency}, Fee: ledger.Amount{Minor: 1500, Currency: news.Amount.Currency}}
				paid := charge(o)
				paid.PaymentRef = news.PaymentRef
				rows := statement{paid, row}
				late := news // the fee comes with a later word
				news.Fee = ledger.Amount{}
				late.Fee = row.Fee
				if first == "webhook" {
					s.says(n, news)
				}
				s.settled(reader, rows)
				if first == "settlement" {
					if _, err := reader.Decide(ctx, s.openItem(reader).ID, settlement.Approved, "ann", "seen"); err != nil {
						t.Fatal(err)
					}
				}
				s.says(n, news, late)
				s.await(n, o.ID, Disputed)
				if got := s.net("disputes/stripe"); got != o.Amount.Minor {
					t.Errorf("disputed: %d of %d", got, o.Amount.Minor)
				}
				if got := s.net("provider_costs/stripe"); got != 1500 && (first != "webhook" || named != "") {
					t.Errorf("the dispute's fee: %d", got)
				}
				won := late
				won.State = payment.DisputeWon
				s.says(n, won)
				s.await(n, o.ID, TicketIssued)
				back := row
				back.ID, back.Kind, back.Gross, back.Fee.Minor = "txn_back", payment.SettledDisputeReverse, news.Amount, 0
				s.allExplained(reader, append(rows, back))
				if got := s.net("disputes/stripe"); got != 0 {
					t.Errorf("after it was won %d are disputed", got)
				}
			})
		}
	}
}

func TestARefundThatNoLongerFitsTheOrderIsNotApproved(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	reader := settlement.New(s.db, settlement.Config{Grace: time.Nanosecond, BookPlain: true})
	o := s.sold(n, buyer, floor(1))
	rows := statement{charge(o), {ID: "txn_refund", Kind: payment.SettledRefund, SourceRef: "re_hand", PaymentRef: o.Payment.ProviderRef,
		Gross: ledger.Amount{Minor: -o.Amount.Minor, Currency: o.Amount.Currency}}}
	s.settled(reader, rows)
	item := s.openItem(reader)
	if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	if _, err := reader.Decide(ctx, item.ID, settlement.Approved, "ann", "seen"); !errors.Is(err, settlement.ErrStale) {
		t.Fatalf("approved: %v", err)
	}
	s.audit()
}

// voidedLate is an order whose payment was voided, as far as we know; its provider captured it and nobody told.
func (s *shop) voidedLate(n *node) Order {
	s.t.Helper()
	o := s.order(n, buyer, s.hold(n, buyer, "k", floor(1)))
	id := payment.PaymentID(o.ID, 1)
	s.eventually("the intent exists", func() bool { return s.provider.confirm(id, payment.Begun) })
	if _, err := n.stock.Release(context.Background(), o.Hold, buyer); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the payment is voided", func() bool {
		got, err := n.Find(context.Background(), o.ID)
		return err == nil && got.Payment.State == PaymentVoided
	})
	s.provider.mu.Lock()
	s.provider.intents[id].state, s.provider.intents[id].captures = payment.Captured, 1
	s.provider.mu.Unlock()
	o, err := n.Find(context.Background(), o.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

func TestLateMoneyThatOnlyTheSettlementTellsOfIsBookedOnceAndGoesBack(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	reader := settlement.New(s.db, settlement.Config{Grace: time.Nanosecond, BookPlain: true, Late: n.SettledLate})
	o := s.voidedLate(n)
	rows := statement{charge(o)}
	s.settled(reader, rows)
	item := s.openItem(reader)
	if item.Proposal.Late != o.Payment.ID {
		t.Fatalf("proposed: %+v", item.Proposal)
	}
	if _, err := reader.Decide(t.Context(), item.ID, settlement.Approved, "ann", "seen"); err != nil {
		t.Fatal(err)
	}
	got := s.await(n, o.ID, Refunded)
	if len(got.Refunds) != 1 || got.Refunds[0].Amount != o.Amount || s.net("late_money") != 0 || s.net("provider_clearing/stripe") != 0 {
		t.Errorf("late money is at %d, the provider's account at %d, refunds %+v", s.net("late_money"), s.net("provider_clearing/stripe"), got.Refunds)
	}
	rows = append(rows, payment.SettlementRow{ID: "txn_back", Kind: payment.SettledRefund, SourceRef: got.Refunds[0].ProviderRef, PaymentRef: o.Payment.ProviderRef,
		OrderID: o.ID, RefundID: got.Refunds[0].ID, Gross: ledger.Amount{Minor: -o.Amount.Minor, Currency: o.Amount.Currency}})
	s.allExplained(reader, rows)
	s.audit()
}

func TestLateMoneyOfNobodyIsClosedByTheRefundThatAnOperatorMakesAtTheProvider(t *testing.T) {
	s := newShop(t)
	reader := settlement.New(s.db, settlement.Config{Grace: time.Nanosecond, BookPlain: true})
	amount := ledger.Amount{Minor: 4200, Currency: "EUR"}
	rows := statement{{ID: "txn_nobody", Kind: payment.SettledCharge, SourceRef: "ch_n", PaymentRef: "pi_n", Gross: amount}}
	for _, late := range []int64{4200, 0} {
		s.settled(reader, rows)
		if _, err := reader.Decide(t.Context(), s.openItem(reader).ID, settlement.Approved, "ann", "seen"); err != nil {
			t.Fatal(err)
		}
		if got := s.net("late_money"); got != -late && got != late {
			t.Errorf("late money is at %d, want %d", got, late)
		}
		rows = append(rows, payment.SettlementRow{ID: "txn_nobody_back", Kind: payment.SettledRefund, SourceRef: "re_n", PaymentRef: "pi_n",
			Gross: ledger.Amount{Minor: -amount.Minor, Currency: amount.Currency}})
	}
	if got := s.net("provider_clearing/stripe"); got != 0 {
		t.Errorf("the provider's account is at %d", got)
	}
	s.allExplained(reader, rows[:2])
}
