package settlement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// theirs proposes a correction for a row without a transfer.
func (m *matcher) theirs(r row) (verdict, error) {
	about := "which names no order of ours"
	if r.order != uuid.Nil {
		about = "about order " + r.order.String()
	}
	why := fmt.Sprintf("The provider settled a %s of %s, %s; the books have no such transfer.", r.Kind, r.Gross, about)
	p, err := m.correction(r)
	return verdict{class: TheirsOnly, items: []Item{r.item(m.provider, "row", TheirsOnly, why, p)}}, err
}

// correction is what the books would say if the row were right: of an order we know what the kind of row means for it, else what
// surplus makes of it.
func (m *matcher) correction(r row) (Proposal, error) {
	if right(r) && r.Kind == payment.SettledCharge {
		if p, ok, err := m.charged(r); ok || err != nil {
			return p, err
		}
	}
	if right(r) && r.Kind == payment.SettledRefund {
		if p, ok, err := m.stray(r); ok || err != nil {
			return p, err
		}
	}
	if r.order == uuid.Nil || !right(r) || len(m.byOrder[r.order]) == 0 {
		return m.surplus(r, r.Gross.Minor)
	}
	money := ledger.MoneyOf(m.byOrder[r.order])
	amount, ok := r.paid(money.Currency)
	if !ok {
		return m.surplus(r, r.Gross.Minor)
	}
	terms := ledger.Terms{Order: r.order, Provider: m.provider, Currency: amount.Currency}
	fee := r.Fee.Minor
	if amount.Currency != r.Gross.Currency {
		fee = 0 // a foreign one has a transfer of its own
	}
	var p Proposal
	var err error
	switch r.Kind {
	case payment.SettledCharge:
		if m.awaitsCapture(r.order, "sale_payment") || m.awaitsCapture(r.order, "resale_payment") {
			return Proposal{Action: "none: the sale waits for its capture; see ticketctl orders show " + r.order.String()}, nil
		}
		p.Action = "book it as late money of the order, to be sold or refunded"
		p.Transfers, err = ledger.LateMoneyTransfers(terms, amount.Minor)
	case payment.SettledRefund:
		p, err = m.refund(r, terms, money, amount)
		if err != nil || p.Claims == uuid.Nil {
			return p, err
		}
	case payment.SettledDispute:
		p.Action = "book the dispute as opened"
		p.Transfers, err = ledger.DisputeOpenedTransfers(terms, m.dispute(r), amount.Minor, max(0, fee))
	case payment.SettledDisputeReverse:
		if _, booked := ledger.RecordedDispute(m.byOrder[r.order], r.order, m.dispute(r)); !booked && money.DisputedMinor > 0 {
			return Proposal{Action: "none: the row does not say which dispute of the order was won; see ticketctl orders show " + r.order.String()}, nil
		}
		p.Action = "book the dispute as won"
		p.Transfers, err = ledger.DisputeWonTransfers(terms, m.dispute(r), amount.Minor, max(0, -fee))
	default:
		return m.surplus(r, r.Gross.Minor)
	}
	if err == nil && p.Claims == uuid.Nil {
		p.Claims = p.Transfers[0].ID
	}
	return m.foreign(r, p, amount, err)
}

// foreign adds what else a row in another currency than the buyer's means: the change, and its fee.
func (m *matcher) foreign(r row, p Proposal, amount ledger.Amount, err error) (Proposal, error) {
	if err != nil || amount.Currency == r.Gross.Currency {
		return p, err
	}
	change, err := m.changed(r, amount, r.Gross.Minor > 0)
	if err != nil {
		return p, err
	}
	p.Transfers = append(p.Transfers, change...)
	if r.Fee.Minor != 0 {
		var fee []ledger.Transfer
		if fee, err = costs(RowReference(m.provider, r.ID), m.provider, r.Fee); err != nil {
			return p, err
		}
		p.Transfers = append(p.Transfers, fee...)
	}
	return p, nil
}

// paid is what the row moved in the buyer's currency, without sign.
func (r row) paid(currency string) (ledger.Amount, bool) {
	switch currency {
	case r.Gross.Currency:
		return r.gross(), true
	case r.Presentment.Currency:
		return ledger.Amount{Minor: max(r.Presentment.Minor, -r.Presentment.Minor), Currency: currency}, true
	}
	return ledger.Amount{}, false
}

// awaitsCapture tells whether the order has a payment of that code that was authorized and nothing else yet.
func (m *matcher) awaitsCapture(order uuid.UUID, code string) bool {
	return m.ends(order, code, ledger.Pending) && !m.ends(order, code, ledger.Post) && !m.ends(order, code, ledger.Void)
}

// ends tells whether the order has a transfer of that code and kind.
func (m *matcher) ends(order uuid.UUID, code string, kind ledger.Kind) bool {
	return slices.ContainsFunc(m.byOrder[order], func(move ledger.Move) bool { return move.Code == code && move.Kind == kind })
}

// refund proposes to confirm a refund that was promised, or to book one that was made at the provider by hand: face, fee and tax share it.
func (m *matcher) refund(r row, terms ledger.Terms, money ledger.OrderMoney, amount ledger.Amount) (Proposal, error) {
	moves := m.byOrder[r.order]
	id := r.refund(m.provider)
	if p, promised := m.promised(r, id); promised {
		return p, nil
	}
	if _, _, recorded := ledger.RecordedRefund(moves, r.order, id); recorded {
		return m.surplus(r, r.Gross.Minor) // and it ended otherwise, or is of another amount
	}
	var made []ledger.Transfer
	var err error
	of, known := m.refunded(r)
	late := lateMoney(moves)
	if known && of.late && late < amount.Minor {
		return m.surplus(r, r.Gross.Minor)
	}
	if known && of.late || !known && money.CapturedMinor <= 0 && late >= amount.Minor {
		made, err = ledger.LateRefundTransfers(terms, id, amount.Minor)
	} else {
		for _, move := range moves {
			if name, ok := strings.CutPrefix(m.accounts[move.Credit].Code, "organizer_payable/"); ok && (move.Code == "sale_face" || move.Code == "resale_royalty") {
				terms.Organizer = name
			}
		}
		if terms.Organizer == "" || money.CapturedMinor <= 0 {
			return m.surplus(r, r.Gross.Minor)
		}
		money.DisputedMinor = 0 // a dispute keeps us from giving money back; this is gone
		var parts ledger.Parts
		if parts, err = money.Part(amount.Minor); err == nil {
			made, err = ledger.RefundTransfers(terms, id, money, parts, amount.Minor)
		}
	}
	if err != nil { // more than is left of the order: nobody's but the platform's
		return m.surplus(r, r.Gross.Minor)
	}
	p := Proposal{Action: "book it as a refund of the order", Transfers: append(made, ledger.PostAll(made)...)}
	p.Claims = p.Transfers[len(p.Transfers)-1].ID // the post of refund_payment, the last of its parts
	if r.RefundID == uuid.Nil {
		p.Found = &FoundRefund{Provider: m.provider, Order: r.order, Payment: of.id, PaymentRef: r.PaymentRef, Ref: cmp.Or(r.SourceRef, r.ID), Amount: amount}
		p.Action = "book it as a refund of the order; its tickets become void if nothing of its money is left"
	}
	return p, nil
}

// promised proposes to confirm the refund of an id, where it is promised, of this amount, and has not ended.
func (m *matcher) promised(r row, id uuid.UUID) (Proposal, bool) {
	ended := map[uuid.UUID]bool{}
	for _, move := range m.byOrder[r.order] {
		ended[move.PriorID] = true
	}
	var promised []ledger.Transfer
	paid := uuid.Nil
	for _, move := range m.byOrder[r.order] {
		if move.Kind != ledger.Pending || ended[move.ID] || move.ID != ledger.TransferID(r.order, id.String()+"/"+move.Code) {
			continue
		}
		promised = append(promised, asTransfer(move, m.accounts[move.Debit], m.accounts[move.Credit]))
		if (move.Code == "refund_payment" || move.Code == "late_refund") && agrees(r, move) {
			paid = move.ID
		}
	}
	if paid == uuid.Nil {
		return Proposal{}, false
	}
	p := Proposal{Action: "confirm the refund that was promised", Transfers: ledger.PostAll(promised)}
	for _, t := range p.Transfers {
		if t.PriorID == paid {
			p.Claims = t.ID
		}
	}
	return p, true
}

// lateMoney is what an order was paid for nothing, and has not been sold for or promised back.
func lateMoney(moves []ledger.Move) (minor int64) {
	for _, move := range moves {
		sign := map[string]int64{"late_money": 1, "late_sale": -1, "late_refund": -1, "dispute_late": -1}[move.Code]
		switch move.Kind {
		case ledger.Single, ledger.Pending:
			minor += sign * move.Amount.Minor
		case ledger.Void, ledger.Reverse:
			minor -= sign * move.Amount.Minor
		}
	}
	return minor
}
