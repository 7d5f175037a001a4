package settlement

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

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
			p.alter(m.provider, r, "twice in one reading, with different content")
			continue
		}
		if isKnown && !bytes.Equal(k.digest, r.digest) {
			p.alter(m.provider, r, "otherwise than in an earlier reading")
			p.verdicts[i] = verdict{class: k.class, transfer: k.transfer}
			continue
		}
		if isKnown && (k.class == Matched || k.class == Corrected) {
			p.verdicts[i] = verdict{class: k.class, transfer: k.transfer}
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

// alter raises an item for a row that does not read as before. What is stored stays; approving the item makes what it reads now the row.
func (p *page) alter(provider string, r row, how string) {
	p.counts.Altered++
	why := fmt.Sprintf("Row %s reads %s: now a %s of %s with a fee of %s, dated %s.", r.ID, how, r.Kind, r.Gross, r.Fee, r.CreatedAt.UTC().Format("2006-01-02 15:04:05"))
	p.items = append(p.items, r.item(provider, "altered/"+string(r.digest), Altered, why,
		Proposal{Action: "take what the row says now as read; book the difference by hand if there is one", Digest: r.digest}))
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
	if move.Kind == ledger.Reverse {
		p = Proposal{Action: "note that it is explained"}
		why = fmt.Sprintf("The books took back %s (%s of order %s) that the provider's settlement still has.", move.Amount, move.Code, move.Reference)
	}
	return Item{ID: idOf("transfer", provider, move.ID.String()), Provider: provider, Day: Day(move.At), Class: OursOnly, TransferID: move.ID,
		Amount: move.Amount, Why: why, Proposal: p, Since: move.At, State: Open}
}

// asTransfer is a move as the transfer that it was recorded from.
func asTransfer(move ledger.Move, debit, credit ledger.Account) ledger.Transfer {
	return ledger.Transfer{ID: move.ID, Debit: debit, Credit: credit, Amount: move.Amount, Code: move.Code, Reference: move.Reference, Kind: move.Kind,
		PriorID: move.PriorID}
}
