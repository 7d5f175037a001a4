package settlement

import (
	"fmt"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// plain decides rows that are their own reason: fees, payouts to our bank, payouts that came back.
func (m *matcher) plain(r row) (verdict, error) {
	var v verdict
	var err error
	c := r.Gross.Currency
	switch {
	case r.Kind == payment.SettledFee:
		v.book, err = costs(RowReference(m.provider, r.ID), m.provider, ledger.Amount{Minor: r.Fee.Minor - r.Gross.Minor, Currency: c})
	case r.Kind == payment.SettledPayout && r.Gross.Minor < 0:
		v.book, err = ledger.SettlementSentTransfers(m.payout(r), m.provider, r.gross(), ledger.Amount{Minor: max(0, r.Fee.Minor), Currency: c})
	case r.Kind == payment.SettledPayoutFailure && r.Gross.Minor > 0:
		v.book, err = ledger.SettlementSentTransfers(m.payout(r), m.provider, r.gross(), ledger.Amount{Currency: c})
		v.book = ledger.ReverseAll(v.book)
		if len(v.book) > 0 {
			if sent, ok := m.byID[v.book[0].PriorID]; !ok || sent.Amount != r.gross() {
				return m.theirs(r)
			}
		}
	default:
		return m.theirs(r)
	}
	if err != nil || len(v.book) == 0 {
		v.class = Matched // a fee of nothing
		return v, err
	}
	first := v.book[0].ID
	if by, taken := m.claimed[first]; taken && by != r.ID {
		why := fmt.Sprintf("A second row for the %s that row %s settles already.", r.Kind, by)
		p, err := m.surplus(r, r.Gross.Minor)
		return verdict{class: Duplicated, items: []Item{r.item(m.provider, "row", Duplicated, why, p)}}, err
	}
	m.claimed[first] = r.ID
	v.class, v.transfer = Matched, claim{first, madeAt}
	return v, nil
}

// payout is the reference of the payout a row is about.
func (m *matcher) payout(r row) uuid.UUID {
	if r.SourceRef == "" {
		return RowReference(m.provider, r.ID)
	}
	return PayoutReference(m.provider, r.SourceRef)
}

// costs books what a provider has charged, or below nothing given back.
func costs(reference uuid.UUID, provider string, a ledger.Amount) ([]ledger.Transfer, error) {
	if a.Minor < 0 {
		return ledger.ProviderCreditTransfers(reference, provider, ledger.Amount{Minor: -a.Minor, Currency: a.Currency})
	}
	return ledger.SettlementSentTransfers(reference, provider, ledger.Amount{Currency: a.Currency}, a)
}

// made are the ids of transfers that a plain row would make or answers; whoever recorded them before is found by these.
func (m *matcher) made(r row) []uuid.UUID {
	switch r.Kind {
	case payment.SettledPayout, payment.SettledPayoutFailure:
		sent := ledger.Transfer{ID: ledger.TransferID(m.payout(r), "settlement_sent"), Reference: m.payout(r), Kind: ledger.Single}
		return []uuid.UUID{sent.ID, ledger.ReverseAll([]ledger.Transfer{sent})[0].ID}
	case payment.SettledConversion:
		return []uuid.UUID{ledger.TransferID(m.exchange(r), "conversion_from"), ledger.TransferID(m.exchange(r), "conversion_to")}
	}
	return nil
}

// exchange is the reference of the change of currencies a row is a leg of.
func (m *matcher) exchange(r row) uuid.UUID { return idOf("conversion", m.provider, r.SourceRef) }

// conversion waits for both legs of a change of currencies and books it with the second.
func (m *matcher) conversion(r row) (verdict, error) {
	var from, to ledger.Amount
	if r.Gross.Minor < 0 {
		from = r.gross()
	} else {
		to = r.gross()
	}
	pairs := 0
	for _, other := range m.legs[r.SourceRef] {
		switch {
		case r.SourceRef == "" || other.row == r.ID || other.amount.Currency == r.Gross.Currency:
		case other.amount.Minor < 0 && from.Minor == 0:
			pairs++
			from = ledger.Amount{Minor: -other.amount.Minor, Currency: other.amount.Currency}
		case other.amount.Minor > 0 && to.Minor == 0:
			pairs++
			to = other.amount
		}
	}
	if pairs != 1 {
		return m.theirs(r)
	}
	book, err := ledger.ConversionTransfers(m.exchange(r), m.provider, from, to)
	if err != nil {
		return verdict{}, err
	}
	mine := book[0].ID
	if r.Gross.Minor > 0 {
		mine = book[1].ID
	}
	if by, taken := m.claimed[mine]; taken && by != r.ID {
		return m.theirs(r)
	}
	m.claimed[mine] = r.ID
	return verdict{class: Matched, transfer: claim{mine, madeAt}, book: book, fee: r.Fee.Minor}, nil
}
