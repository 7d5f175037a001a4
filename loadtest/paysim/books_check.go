package paysim

import "fmt"

// maxProblems bounds what the books say about themselves.
const maxProblems = 10

// accounts adds up the movements of the balance. The caller holds the mutex.
func (s *Server) accounts(b *Books) {
	now := s.clock.now().Unix()
	for currency, p := range s.account.purses {
		p.mature(now)
		b.Accounts[upper(currency)] = BookedAccount{Available: p.available, Pending: p.pending}
	}
	for _, t := range s.account.txns {
		currency := upper(t.currency)
		a := b.Accounts[currency]
		a.Movements++
		a.Fees += t.fee
		switch t.kind {
		case txnFee:
			a.Billed -= t.amount
		case txnPayout, txnPayoutFailure:
			a.PaidOut -= t.amount
		}
		b.Accounts[currency] = a
	}
}

// sums is money by what it is and a currency.
type sums map[[2]string]int64

func (m sums) add(what, currency string, minor int64) { m[[2]string{what, currency}] += minor }

// checkBooks adds everything up anew and compares it with what was kept as the money moved. The caller holds the mutex.
func (s *Server) checkBooks(b *Books) {
	b.Consistent = true
	wrong := func(format string, args ...any) {
		b.Consistent = false
		if len(b.Problems) < maxProblems {
			b.Problems = append(b.Problems, fmt.Sprintf(format, args...))
		}
	}
	for currency := range b.Captured {
		if left := b.Captured[currency] - b.Refunded[currency] - b.Disputed[currency]; left != b.Balances[currency] {
			wrong("%s: intents leave %d and %d is held", currency, left, b.Balances[currency])
		}
	}
	things := make(sums)
	for _, i := range s.intents {
		s.checkIntent(i, wrong)
		things.add(txnCharge, s.balanceCurrency(i), i.settled)
	}
	for _, r := range s.refunds {
		if r.status != refundFailed {
			things.add(txnRefund, s.balanceCurrency(r.of), -r.settled)
		}
	}
	for _, d := range s.disputes {
		if d.withdrawn {
			things.add(txnAdjustment, s.balanceCurrency(d.of), -d.settled)
		}
	}
	for _, p := range s.payouts {
		if p.status != payoutFailed {
			things.add(txnPayout, p.currency, -p.amount)
		}
	}
	moved, held := make(sums), make(sums)
	for _, t := range s.account.txns {
		kind := t.kind
		switch kind {
		case txnRefundFailure:
			kind = txnRefund
		case txnPayoutFailure:
			kind = txnPayout
		}
		if kind != txnFee {
			moved.add(kind, t.currency, t.amount)
		}
		held.add("", t.currency, t.net())
	}
	for key, minor := range moved {
		if things[key] != minor {
			wrong("%s in %s: things add up to %d and movements to %d", key[0], key[1], things[key], minor)
		}
	}
	for key, minor := range things {
		if moved[key] != minor {
			wrong("%s in %s: things add up to %d and movements to %d", key[0], key[1], minor, moved[key])
		}
	}
	for currency, p := range s.account.purses {
		if want := held[[2]string{"", currency}]; p.available+p.pending != want {
			wrong("the balance in %s is %d and movements add up to %d", currency, p.available+p.pending, want)
		}
	}
}

// checkIntent checks one intent against its refunds and disputes.
func (s *Server) checkIntent(i *intent, wrong func(string, ...any)) {
	refunded, disputed, out := int64(0), int64(0), int64(0)
	for _, r := range i.refunds {
		if r.status != refundFailed {
			refunded += r.amount
			out += r.settled
		}
	}
	for _, d := range i.disputes {
		if d.withdrawn {
			disputed += d.amount
			out += d.settled
		}
	}
	switch {
	case refunded != i.refunded || disputed != i.disputed || out != i.out:
		wrong("intent %s: refunded %d, disputed %d, out %d by itself; %d, %d, %d by its refunds and disputes",
			i.id, i.refunded, i.disputed, i.out, refunded, disputed, out)
	case i.received > i.amount || i.left() < 0 || i.out > i.settled || i.left() == 0 && i.out != i.settled:
		wrong("intent %s: amount %d, received %d, refunded %d, disputed %d, settled %d, out %d",
			i.id, i.amount, i.received, i.refunded, i.disputed, i.settled, i.out)
	case i.received > 0 && (i.latest == nil || i.latest.txn == ""):
		wrong("intent %s received %d that no movement shows", i.id, i.received)
	}
}
