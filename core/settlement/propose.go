package settlement

import (
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
	if r.order == uuid.Nil || !right(r) || len(m.byOrder[r.order]) == 0 {
		return m.surplus(r, r.Gross.Minor)
	}
	dispute := idOf("dispute", m.provider, r.SourceRef)
	terms := ledger.Terms{Order: r.order, Provider: m.provider, Currency: r.Gross.Currency}
	var p Proposal
	var err error
	switch r.Kind {
	case payment.SettledCharge:
		if m.ends(r.order, "sale_payment", ledger.Pending) && !m.ends(r.order, "sale_payment", ledger.Post) && !m.ends(r.order, "sale_payment", ledger.Void) {
			return Proposal{Action: "none: the sale waits for its capture; see ticketctl orders show " + r.order.String()}, nil
		}
		p.Action = "book it as late money of the order, to be sold or refunded"
		p.Transfers, err = ledger.LateMoneyTransfers(terms, r.gross().Minor)
	case payment.SettledRefund:
		return m.refund(r, terms)
	case payment.SettledDispute:
		p.Action = "book the dispute as opened"
		p.Transfers, err = ledger.DisputeOpenedTransfers(terms, dispute, r.gross().Minor, max(0, r.Fee.Minor))
	case payment.SettledDisputeReverse:
		p.Action = "book the dispute as won"
		p.Transfers, err = ledger.DisputeWonTransfers(terms, dispute, r.gross().Minor, max(0, -r.Fee.Minor))
	default:
		return m.surplus(r, r.Gross.Minor)
	}
	if err == nil {
		p.Claims = p.Transfers[0].ID
	}
	return p, err
}

// ends tells whether the order has a transfer of that code and kind.
func (m *matcher) ends(order uuid.UUID, code string, kind ledger.Kind) bool {
	return slices.ContainsFunc(m.byOrder[order], func(move ledger.Move) bool { return move.Code == code && move.Kind == kind })
}

// refund proposes to confirm a refund that was promised, or to book one that was made at the provider by hand: face, fee and tax share it.
func (m *matcher) refund(r row, terms ledger.Terms) (Proposal, error) {
	ended := map[uuid.UUID]bool{}
	for _, move := range m.byOrder[r.order] {
		ended[move.PriorID] = true
	}
	var promised []ledger.Transfer
	organizer, payment := "", uuid.Nil
	for _, move := range m.byOrder[r.order] {
		if name, ok := strings.CutPrefix(m.accounts[move.Credit].Code, "organizer_payable/"); ok && move.Code == "sale_face" {
			organizer = name
		}
		ours := move.Kind == ledger.Pending && !ended[move.ID] && r.RefundID != uuid.Nil &&
			move.ID == ledger.TransferID(r.order, r.RefundID.String()+"/"+move.Code)
		if !ours {
			continue
		}
		promised = append(promised, asTransfer(move, m.accounts[move.Debit], m.accounts[move.Credit]))
		if move.Code == "refund_payment" && move.Amount == r.gross() {
			payment = move.ID
		}
	}
	if payment != uuid.Nil {
		p := Proposal{Action: "confirm the refund that was promised", Transfers: ledger.PostAll(promised)}
		for _, t := range p.Transfers {
			if t.PriorID == payment {
				p.Claims = t.ID
			}
		}
		return p, nil
	}
	money := ledger.MoneyOf(m.byOrder[r.order])
	terms.Organizer = organizer
	if organizer == "" || money.Currency != r.Gross.Currency || money.CapturedMinor <= 0 || len(promised) > 0 {
		return m.surplus(r, r.Gross.Minor)
	}
	parts, total, err := money.Share(r.gross().Minor, money.CapturedMinor, false)
	if err != nil || total != r.gross().Minor {
		return m.surplus(r, r.Gross.Minor)
	}
	made, err := ledger.RefundTransfers(terms, RowReference(m.provider, r.ID), money, parts, total)
	if err != nil {
		return m.surplus(r, r.Gross.Minor)
	}
	p := Proposal{Action: "book it as a refund of the order", Transfers: append(made, ledger.PostAll(made)...)}
	p.Claims = p.Transfers[len(p.Transfers)-1].ID // the post of refund_payment, the last of its parts
	return p, nil
}
