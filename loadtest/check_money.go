package loadtest

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// What the audit asks of money.

// checkCharges matches the provider's books with the orders one by one: each order that was sold was captured once and in full, of
// which it keeps all but what was refunded and what banks have; nothing else was captured and kept, and no authorization still ties up
// somebody's money.
func checkCharges(e *evidence) Verdict {
	q := Inquire("charges", "Provider charges equal to paid orders", "charges and paid orders")
	orders := make(map[string]orderRow, len(e.orders))
	for _, o := range e.orders {
		orders[o.ID.String()] = o
	}
	kept := make(map[string]int64)
	captures := make(map[string]int)
	for _, c := range e.books.Intents {
		if c.Status == "requires_capture" {
			q.Wrong("%s: %d %s of order %s are authorized and neither captured nor given back", c.ID, c.Amount, c.Currency, c.Order)
		}
		if c.Captured == 0 {
			continue
		}
		q.Checked(1)
		o, ok := orders[c.Order]
		if !ok {
			q.Wrong("%s: %d %s were charged for order %q, which does not exist", c.ID, c.Captured, c.Currency, c.Order)
			continue
		}
		q.That(strings.EqualFold(c.Currency, o.Currency), "%s: order %s is in %s and was charged in %s", c.ID, c.Order, o.Currency, c.Currency)
		kept[c.Order] += c.kept()
		if c.kept() > 0 {
			captures[c.Order]++
		}
	}
	accounts := e.accounts(q)
	for id, o := range orders {
		a := accounts[o.ID]
		a.check(q, o)
		due := a.due(o)
		if a.sold > 0 {
			q.Checked(1)
		}
		q.That(captures[id] <= 1, "order %s was charged %d times", id, captures[id])
		q.That(kept[id] == due, "order %s is %s over %d %s, the provider kept %d", id, o.State, due, o.Currency, kept[id])
	}
	for _, told := range e.witness.Orders() {
		o, ok := orders[told.ID]
		q.That(ok && accounts[o.ID].sold == 1, "a buyer was told order %s is complete; the database says %q", told.ID, o.State)
	}
	return q.Verdict()
}

// checkProviderBalance holds what the provider has of ours against the ledger's clearing accounts, in sum and order by order.
func checkProviderBalance(e *evidence) Verdict {
	q := Inquire("provider_balance", "Provider balance equal to the ledger", "currencies and orders")
	q.That(e.books.Consistent, "the provider's own books contradict themselves")
	ours := make(map[string]int64)
	for _, b := range e.balances {
		if strings.HasPrefix(b.Code, "provider_clearing/") {
			q.That(b.DebitsPending == 0 && b.CreditsPending == 0, "%s %s still has %d pending", b.Code, b.Currency, b.DebitsPending+b.CreditsPending)
		}
	}
	booked := make(map[uuid.UUID]int64)
	for _, r := range e.paidIn {
		ours[r.Currency] += r.Minor
		booked[r.Reference] += r.Minor
	}
	for _, r := range e.paidBack {
		ours[r.Currency] -= r.Minor
		booked[r.Reference] -= r.Minor
	}
	currencies := make(map[string]bool)
	for c := range maps.Keys(ours) {
		currencies[c] = true
	}
	for c := range maps.Keys(e.books.Balances) {
		currencies[c] = true
	}
	for c := range currencies {
		q.Checked(1)
		q.That(ours[c] == e.books.Balances[c], "the ledger has %d %s at the provider, the provider says %d", ours[c], c, e.books.Balances[c])
	}
	accounts := e.accounts(nil)
	for _, o := range e.orders {
		a := accounts[o.ID]
		due := a.due(o)
		if a.sold > 0 {
			q.Checked(1)
		}
		q.That(booked[o.ID] == due, "order %s is %s over %d %s, the ledger has %d of it at the provider", o.ID, o.State, due, o.Currency, booked[o.ID])
		delete(booked, o.ID)
	}
	for reference, minor := range booked {
		q.That(minor == 0, "the ledger has %d at the provider for %s, which is no order", minor, reference)
	}
	return q.Verdict()
}

// checkLedger adds up every transfer by itself, compares the sums with the kept balances, and takes core's own verification in.
func checkLedger(e *evidence) Verdict {
	q := Inquire("ledger_zero", "Ledger sums to zero", "transfers")
	type sums struct{ debitsPending, creditsPending, debitsPosted, creditsPosted int64 }
	moved := make(map[uuid.UUID]*sums)
	of := func(id uuid.UUID) *sums {
		if moved[id] == nil {
			moved[id] = &sums{}
		}
		return moved[id]
	}
	for _, r := range e.debits {
		q.Checked(int(r.Rows))
		s := of(r.Account)
		fold(r, &s.debitsPending, &s.debitsPosted)
	}
	for _, r := range e.credits {
		s := of(r.Account)
		fold(r, &s.creditsPending, &s.creditsPosted)
	}
	net := make(map[string]int64)
	for _, b := range e.balances {
		s := of(b.Account)
		q.That(*s == sums{b.DebitsPending, b.CreditsPending, b.DebitsPosted, b.CreditsPosted},
			"%s %s: the balance says %d/%d posted and %d/%d pending, the transfers add up to %d/%d and %d/%d", b.Code, b.Currency,
			b.DebitsPosted, b.CreditsPosted, b.DebitsPending, b.CreditsPending, s.debitsPosted, s.creditsPosted, s.debitsPending, s.creditsPending)
		delete(moved, b.Account)
		net[b.Currency] += b.CreditsPosted - b.DebitsPosted
		if b.Code == "buyer_clearing" || b.Code == "resale_escrow" {
			q.That(b.CreditsPosted == b.DebitsPosted, "%s %s is off zero by %d", b.Code, b.Currency, b.CreditsPosted-b.DebitsPosted)
		}
	}
	for id := range moved {
		q.Wrong("account %s has transfers and no balance", id)
	}
	for currency, n := range net {
		q.That(n == 0, "the accounts in %s add up to %d, not 0", currency, n)
	}
	q.That(e.ledger.OK, "core's own verification of the ledger fails: %s", e.ledger.failed())
	return q.Verdict()
}

// fold adds one side of an account's transfers of one kind.
func fold(r sideRow, pending, posted *int64) {
	switch r.Kind {
	case "single", "reverse": // a reversal has the accounts of what it undoes the other way round
		*posted += r.Minor
	case "post":
		*posted += r.Minor
		*pending -= r.Minor
	case "pending":
		*pending += r.Minor
	case "void":
		*pending -= r.Minor
	}
}

func (r ledgerReport) failed() string {
	var names []string
	for _, c := range r.Checks {
		if c.Failed > 0 {
			names = append(names, c.Name+" "+string(c.Detail))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
