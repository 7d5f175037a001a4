package settlement

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// decide decides all rows of the page and returns what is to be booked at once. A verdict without class leaves a row as it is.
func (p *page) decide(m *matcher, reading int64, again, bookPlain bool) ([]ledger.Transfer, error) {
	p.verdicts = make([]verdict, len(p.rows))
	p.counts.Rows = int64(len(p.rows))
	seen := make(map[string]row, len(p.rows))
	for i, r := range p.rows {
		k, isKnown := p.known[r.ID]
		first, twice := seen[r.ID]
		seen[r.ID] = r
		switch {
		case twice && bytes.Equal(first.digest, r.digest), !twice && !again && isKnown && k.reading == reading && bytes.Equal(k.digest, r.digest):
			p.counts.Repeated++
			why := fmt.Sprintf("The provider's settlement lists row %s twice in one reading; it is counted once.", r.ID)
			p.items = append(p.items, r.item(m.provider, "repeated", Duplicated, why, Proposal{Action: "note that it is explained"}))
			continue
		case twice:
			if err := p.alter(m.provider, r, known{}, "twice in one reading, with different content"); err != nil {
				return nil, err
			}
			continue
		}
		if isKnown && !bytes.Equal(k.digest, r.digest) {
			if err := p.alter(m.provider, r, k, "otherwise than in an earlier reading"); err != nil {
				return nil, err
			}
			p.verdicts[i] = verdict{class: k.class, transfer: m.timed(k.transfer)}
			continue
		}
		if isKnown && (k.class == Matched || k.class == Corrected) {
			p.verdicts[i] = p.kept(m, r, k)
			continue
		}
		v, err := m.decide(r)
		if err != nil {
			return nil, fmt.Errorf("decide row %s: %w", r.ID, err)
		}
		p.verdicts[i] = v
		p.items = append(p.items, v.items...)
	}
	return p.bookings(m.provider, bookPlain)
}

// timed gives a claim from before claims had times its own.
func (m *matcher) timed(c claim) claim {
	if c.id == uuid.Nil || !c.at.IsZero() {
		return c
	}
	c.at = madeAt
	if move, ok := m.byID[c.id]; ok && walked[move.Code] {
		c.at = move.At
	}
	for _, moves := range m.byOrder {
		for _, move := range moves {
			if move.ID == c.id && walked[move.Code] {
				c.at = move.At
			}
		}
	}
	return c
}

// alter raises an item for a row that does not read as before: as k, where it is stored. What is stored stays; approving the item makes
// what it reads now the row, and books by how much that moves more or less money.
func (p *page) alter(provider string, r row, k known, how string) error {
	p.counts.Altered++
	why := fmt.Sprintf("Row %s reads %s: now a %s of %s with a fee of %s, dated %s.", r.ID, how, r.Kind, r.Gross, r.Fee, r.CreatedAt.UTC().Format("2006-01-02 15:04:05"))
	proposal := Proposal{Action: "take what the row says now as read; book the difference by hand if there is one", Digest: r.digest, Was: k.digest}
	if k.digest != nil && k.kind == r.Kind && k.gross.Currency == r.Gross.Currency {
		why += fmt.Sprintf(" It was of %s with a fee of %s.", k.gross, k.fee)
		proposal.Gross, proposal.Fee = &r.Gross.Minor, &r.Fee.Minor
		if err := proposal.difference(provider, r, k); err != nil {
			return err
		}
	}
	p.items = append(p.items, r.item(provider, "altered/"+string(r.digest), Altered, why, proposal))
	return nil
}

// difference proposes to book what an altered row moves otherwise than what it was matched as. One that was not matched yet has moved
// nothing in the books, and is decided by what it reads once that is approved. A payout that is smaller than it was, and a difference
// between currencies, no single transfer can say.
func (p *Proposal) difference(provider string, r row, k known) error {
	gross, fee := r.Gross.Minor-k.gross.Minor, r.Fee.Minor-k.fee.Minor
	amount := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: r.Gross.Currency} }
	cost, surplus, sent := fee, int64(0), int64(0)
	switch {
	case k.class != Matched && k.class != Corrected:
		p.Action = "take what the row says now as read; its own item then follows from it"
		return nil
	case gross == 0 && fee == 0:
		p.Action = "take what the row says now as read: it moves the same money"
		return nil
	case r.Kind == payment.SettledConversion, r.Kind == payment.SettledPayoutFailure && gross != 0, r.Kind == payment.SettledPayout && gross > 0,
		r.Presentment.Minor != 0 && gross != 0:
		return nil
	case r.Kind == payment.SettledPayout:
		sent = -gross
	case gross < 0 || r.Kind == payment.SettledFee:
		cost -= gross
	default:
		surplus = gross
	}
	reference := RowReference(provider, r.ID+"/"+hex.EncodeToString(r.digest))
	if sent > 0 {
		moved, err := ledger.SettlementSentTransfers(reference, provider, amount(sent), amount(0))
		if err != nil {
			return err
		}
		p.Transfers = append(p.Transfers, moved...)
	}
	if surplus > 0 {
		late, err := ledger.LateMoneyTransfers(ledger.Terms{Order: reference, Provider: provider, Currency: r.Gross.Currency}, surplus)
		if err != nil {
			return err
		}
		p.Transfers = append(p.Transfers, late...)
		p.Extra = late[0].ID
	}
	if cost != 0 {
		made, err := costs(reference, provider, amount(cost))
		if err != nil {
			return err
		}
		p.Transfers = append(p.Transfers, made...)
	}
	p.Action = "take what the row says now as read, and book the difference"
	return nil
}

// bookings gathers what plain rows and matches make, and adds the page's fees up by currency. Where nothing is booked without an
// operator, it becomes an item instead.
func (p *page) bookings(provider string, bookPlain bool) ([]ledger.Transfer, error) {
	var book []ledger.Transfer
	fees := map[string]int64{}
	var names []string
	last := -1
	for i, v := range p.verdicts {
		book = append(book, v.book...)
		if len(v.book) > 0 || v.fee != 0 {
			last = i
		}
		if v.fee != 0 {
			fees[p.rows[i].Gross.Currency] += v.fee
			names = append(names, p.rows[i].ID)
		}
	}
	// The rows make the reference: the same rows are booked once, whoever reads them and however often.
	p.booking = idOf("fees", provider, strings.Join(names, "\n"))
	currencies := make([]string, 0, len(fees))
	for c := range fees {
		currencies = append(currencies, c)
	}
	slices.Sort(currencies)
	for _, c := range currencies {
		made, err := costs(idOf("fees", p.booking.String(), c), provider, ledger.Amount{Minor: fees[c], Currency: c})
		if err != nil {
			return nil, err
		}
		book = append(book, made...)
	}
	if bookPlain || len(book) == 0 {
		return book, nil
	}
	r := p.rows[last]
	item := r.item(provider, "plain/"+p.booking.String(), Matched, "Fees, payouts and changes of currency of this page of the settlement are not booked without you.",
		Proposal{Action: "book them", Transfers: book})
	item.RowID, item.Amount = "", ledger.Amount{Currency: r.Gross.Currency}
	p.items = append(p.items, item)
	return nil, nil
}

// unclaimed is a transfer that no row has, as an item.
func unclaimed(provider string, move ledger.Move, reversal []ledger.Transfer, debit bool) Item {
	did := "gave back"
	if debit {
		did = "took"
	}
	p := Proposal{Action: "reverse it: the money goes back to where it is owed", Transfers: reversal}
	why := fmt.Sprintf("The books say that the provider %s %s (%s of order %s); its settlement has no such row.", did, move.Amount, move.Code, move.Reference)
	switch move.Kind {
	case ledger.Reverse:
		p = Proposal{Action: "note that it is explained"}
		why = fmt.Sprintf("The books took back %s (%s of order %s) that the provider's settlement still has.", move.Amount, move.Code, move.Reference)
	case ledger.Void:
		p = Proposal{Action: "note that it is explained; ask the provider before the refund is tried again or paid another way"}
		why = fmt.Sprintf("The books gave up a refund of %s (%s of order %s) that the provider's settlement has, without its return.", move.Amount, move.Code, move.Reference)
	case ledger.Pending:
		p = Proposal{Action: "note that it is explained"}
		why = fmt.Sprintf("The provider's settlement has the return of a refund of %s (%s of order %s), but not the refund.", move.Amount, move.Code, move.Reference)
	}
	return Item{ID: idOf("transfer", provider, move.ID.String()), Provider: provider, Day: Day(move.At), Class: OursOnly, TransferID: move.ID,
		Amount: move.Amount, Why: why, Proposal: p, Since: move.At, State: Open}
}

// asTransfer is a move as the transfer that it was recorded from.
func asTransfer(move ledger.Move, debit, credit ledger.Account) ledger.Transfer {
	return ledger.Transfer{ID: move.ID, Debit: debit, Credit: credit, Amount: move.Amount, Code: move.Code, Reference: move.Reference, Kind: move.Kind,
		PriorID: move.PriorID}
}
