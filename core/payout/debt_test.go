package payout

import (
	"errors"
	"testing"
	"time"

	"fairgate/ledger"
)

func TestAnOrganizerWhoOwesUsIsNotPaid(t *testing.T) {
	for _, before := range [][]State{nil, {Approved}} {
		w := newWorld(t, plainRules)
		order := w.sell(w.event(2*time.Hour), 10000)
		w.run() // proposes 9000
		p := w.only(Proposed)
		for _, to := range before {
			if _, err := w.s.Move(t.Context(), p.ID, to, "ann", "month's end"); err != nil {
				t.Fatal(err)
			}
		}
		w.refund(order)
		next := Approved
		if before != nil {
			next = Sent
		}
		if _, err := w.s.Move(t.Context(), p.ID, next, "ann", "month's end"); !errors.Is(err, ErrShort) || !errors.Is(err, ledger.ErrInsufficient) {
			t.Errorf("%s although everything was refunded: %v", next, err)
		}
		lines := w.run()
		if len(lines) != 1 || lines[0].Covered != 1000 || lines[0].Used != 9000 || lines[0].PayoutID != [16]byte{} || w.net() != [3]int64{} {
			t.Errorf("lines %+v, balances %v", lines, w.net())
		}
		if p := w.only(Rejected); p.Amount != eur(9000) {
			t.Errorf("payout %+v", p)
		}
		for _, to := range []State{Approved, Sent} {
			if _, err := w.s.Move(t.Context(), p.ID, to, "ann", "month's end"); !errors.Is(err, ErrState) {
				t.Errorf("%s after it was withdrawn: %v", to, err)
			}
		}
		if lines := w.run(); len(lines) != 0 {
			t.Errorf("nothing was new, and yet %+v", lines)
		}
	}
}

func TestAPayoutIsProposedAnewOfWhatIsLeftAfterADebt(t *testing.T) {
	w := newWorld(t, plainRules)
	event := w.event(2 * time.Hour)
	w.sell(event, 10000)
	bad := w.sell(event, 5000)
	w.run() // proposes 13500
	first := w.only(Proposed)
	w.refund(bad)
	lines := w.run() // 5000 are owed, 1500 are in reserve
	p := w.only(Proposed)
	if len(lines) != 1 || lines[0].Covered != 1500 || lines[0].Used != 3500 || p.ID == first.ID || p.ID != lines[0].PayoutID || p.Amount != eur(10000) {
		t.Fatalf("lines %+v, payout %+v", lines, p)
	}
	for _, to := range []State{Approved, Sent, Arrived} {
		if _, err := w.s.Move(t.Context(), p.ID, to, "ann", "month's end"); err != nil {
			t.Fatal(err)
		}
	}
	old := w.only(Rejected)
	moved, err := w.s.Move(t.Context(), old.ID, Rejected, "ann", "look")
	if err != nil || len(moved.History) != 2 || moved.History[1].Actor != "core" || moved.History[1].Reason == "" || w.net() != [3]int64{} {
		t.Errorf("the first: %+v, %v, balances %v", moved, err, w.net())
	}
}

func TestADebtorWithMoneyAvailableIsProposedNothing(t *testing.T) {
	w := newWorld(t, Rules{After: time.Hour, ReservePercent: 10, ReserveFor: 24 * time.Hour, MinimumMinor: 9500})
	order := w.sell(w.event(2*time.Hour), 10000)
	w.run() // 9000 are available, too little
	w.refund(order)
	w.s.cfg.Rules.MinimumMinor = 100
	w.run()
	if list, err := w.s.List(t.Context(), "", organizer, [16]byte{}, 10); err != nil || len(list) != 0 || w.net() != [3]int64{} {
		t.Errorf("payouts %+v, %v, balances %v", list, err, w.net())
	}
}

func TestARefundThatIsOnItsWayCountsAsOwed(t *testing.T) {
	w := newWorld(t, plainRules)
	order := w.sell(w.event(2*time.Hour), 10000)
	w.run()
	p := w.only(Proposed)
	m, err := ledger.ReadOrder(t.Context(), w.db.Reader, order)
	if err != nil {
		t.Fatal(err)
	}
	rest, total := m.Rest()
	refund := w.record(ledger.RefundTransfers(ledger.Terms{Order: order, Organizer: organizer, Provider: "stripe", Currency: "EUR"}, order, m, rest, total))
	if _, err := w.s.Move(t.Context(), p.ID, Approved, "ann", "ok"); !errors.Is(err, ErrShort) {
		t.Errorf("approved while the refund was on its way: %v", err)
	}
	w.record(ledger.VoidAll(refund), nil)
	if _, err := w.s.Move(t.Context(), p.ID, Approved, "ann", "ok"); err != nil {
		t.Errorf("the refund failed, so nothing is owed: %v", err)
	}
}
