package settlement

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// walked are the codes of transfers on a provider's clearing account that have a row of their own. All others were made because of a row.
var walked = map[string]bool{
	"sale_payment": true, "late_money": true, "resale_payment": true, "refund_payment": true, "late_refund": true, "resale_payment_back": true,
	"dispute_funds": true, "dispute_won": true,
}

// sought says what a kind of row is matched with: codes, the side of the clearing account, and whether they are reversals.
var sought = map[payment.SettlementKind]struct {
	codes   []string
	debit   bool
	reverse bool
}{
	payment.SettledCharge:         {codes: []string{"sale_payment", "late_money", "resale_payment"}, debit: true},
	payment.SettledRefund:         {codes: []string{"refund_payment", "late_refund", "resale_payment_back"}},
	payment.SettledRefundFailure:  {codes: []string{"refund_payment", "late_refund", "resale_payment_back"}, debit: true, reverse: true},
	payment.SettledDispute:        {codes: []string{"dispute_funds"}},
	payment.SettledDisputeReverse: {codes: []string{"dispute_won"}, debit: true},
}

// candidates are the ids of the transfers that the row may be about, as far as they follow from its ids.
func (r row) candidates() []uuid.UUID {
	if r.order == uuid.Nil {
		return nil
	}
	switch r.Kind {
	case payment.SettledCharge:
		sale, late := []uuid.UUID{r.final("sale_payment"), r.final("resale_payment")}, ledger.TransferID(r.order, "late_money")
		switch r.PaymentID { // of an order that was paid twice each charge has its own: the first payment's late money bears no name
		case uuid.Nil:
			return append(sale, late)
		case payment.PaymentID(r.order, 1):
			return append([]uuid.UUID{late}, sale...)
		}
		return append([]uuid.UUID{ledger.TransferID(r.order, r.PaymentID.String()+"/late_money")}, append(sale, late)...)
	case payment.SettledRefund:
		return r.given()
	}
	return nil
}

// final is the id of the post of an order's pending transfer.
func (r row) final(name string) uuid.UUID {
	pending := ledger.Transfer{ID: ledger.TransferID(r.order, name), Reference: r.order, Kind: ledger.Pending}
	return ledger.PostAll([]ledger.Transfer{pending})[0].ID
}

// given are the ids of the transfers by which the refund that the row names was given; none where it names no refund of an order.
func (r row) given() []uuid.UUID {
	if r.order == uuid.Nil || r.RefundID == uuid.Nil {
		return nil
	}
	return append([]uuid.UUID{r.final(r.RefundID.String() + "/refund_payment"), r.final(r.RefundID.String() + "/late_refund")}, r.revived(r.RefundID)...)
}

// others tells whether a move is of another refund than the one that the row names.
func (r row) others(move ledger.Move) bool {
	given := r.given()
	switch {
	case len(given) == 0:
		return false
	case r.Kind == payment.SettledRefund:
		return move.Code == "refund_payment" // one of that name would have been found by its id
	case r.Kind == payment.SettledRefundFailure:
		return returnable(move) && move.Code != "resale_payment_back" && !slices.Contains(given, move.PriorID)
	}
	return false
}

// matcher decides the rows of one page. It is pure: what it knows was read before.
type matcher struct {
	provider string
	byID     map[uuid.UUID]ledger.Move   // candidates that are recorded
	byOrder  map[uuid.UUID][]ledger.Move // all transfers of the orders whose candidates were not
	claimed  map[uuid.UUID]string        // transfer → row it is matched with
	legs     map[string][]leg            // conversions by source
	clearing map[string]uuid.UUID        // currency → our account at the provider
	accounts map[uuid.UUID]ledger.Account
	attempts map[uuid.UUID][]attempt // by order: with this provider, of charges that the books do not have
	charges  map[string]uuid.UUID    // by the provider's name of a payment: the transfer that its charge is matched with
	strays   map[string][]uuid.UUID  // by the provider's name of a payment: references of charges that were booked as nobody's
}

// leg is one side of a change of currencies.
type leg struct {
	row    string
	amount ledger.Amount
}

// verdict is what became of a row.
type verdict struct {
	class    Class
	transfer claim             // matched with
	fee      int64             // to be booked, in the row's currency
	book     []ledger.Transfer // made because of the row
	items    []Item
}

// side tells whether a move debits our account at the provider, and whether it touches it at all.
func (m *matcher) side(move ledger.Move) (debit, ours bool) {
	account, ok := m.clearing[move.Amount.Currency]
	if !ok {
		account = ledger.ProviderClearing(m.provider, move.Amount.Currency).ID()
		m.clearing[move.Amount.Currency] = account
	}
	return move.Debit == account, move.Debit == account || move.Credit == account
}

// possible lists the moves that a row may be about: those its ids name first.
func (m *matcher) possible(r row) []ledger.Move {
	want, ok := sought[r.Kind]
	if !ok {
		return nil
	}
	fits := func(move ledger.Move) bool {
		debit, ours := m.side(move)
		return ours && move.Final() && debit == want.debit && (move.Kind == ledger.Reverse) == want.reverse && slices.Contains(want.codes, move.Code)
	}
	var found []ledger.Move
	for _, id := range append(r.candidates(), m.foundRevived(r)...) {
		if move, ok := m.byID[id]; ok && fits(move) {
			found = append(found, move)
		}
	}
	if len(found) > 0 {
		return found
	}
	for _, move := range m.byOrder[r.order] {
		if fits(move) && !r.others(move) {
			found = append(found, move)
		}
	}
	return append(found, m.givenUp(r)...)
}

// givenUp lists the refunds that the books only promised and then gave up, since the provider said that they failed: the provider
// settles such a refund and its return. The row of the refund is about what was promised, that of the return about its being
// void. Neither moved final balances, and so neither is taken to agree with a row in another currency.
func (m *matcher) givenUp(r row) (found []ledger.Move) {
	kind := ledger.Void
	if r.Kind == payment.SettledRefund {
		kind = ledger.Pending
	} else if r.Kind != payment.SettledRefundFailure {
		return nil
	}
	void := map[uuid.UUID]bool{}
	for _, move := range m.byOrder[r.order] {
		if move.Kind == ledger.Void {
			void[move.PriorID] = true
		}
	}
	for _, move := range m.byOrder[r.order] {
		promise := move.ID
		if kind == ledger.Void {
			promise = move.PriorID
		}
		this := r.RefundID == uuid.Nil || promise == ledger.TransferID(r.order, r.RefundID.String()+"/"+move.Code) || m.promisedAgain(r, promise, move.Code)
		_, ours := m.side(move)
		if ours && this && move.Kind == kind && void[promise] && returnable(move) && move.Amount.Currency == r.Gross.Currency {
			found = append(found, move)
		}
	}
	return found
}

// returnable reports whether a move is of a refund, whatever became of it.
func returnable(move ledger.Move) bool {
	return slices.Contains(sought[payment.SettledRefund].codes, move.Code)
}

// agrees reports whether amounts are the same: in the currency of the balance, or in the one the buyer paid in, at the rate that the row
// names.
func agrees(r row, move ledger.Move) bool {
	return move.Amount == r.gross() ||
		r.Presentment.Currency == move.Amount.Currency && max(r.Presentment.Minor, -r.Presentment.Minor) == move.Amount.Minor && r.rateFits()
}

// rateFits reports whether the rate, which providers round to six digits or so, makes the gross of the presented amount. One that is not
// named fits.
func (r row) rateFits() bool {
	if r.Rate == "" {
		return true
	}
	if strings.ContainsAny(r.Rate, "/eE") || len(r.Rate) > maxRate {
		return false
	}
	rate, ok := new(big.Rat).SetString(r.Rate)
	if !ok || rate.Sign() <= 0 {
		return false
	}
	from, _ := ledger.Exponent(r.Presentment.Currency)
	to, _ := ledger.Exponent(r.Gross.Currency)
	made := new(big.Rat).Mul(rate, new(big.Rat).SetInt64(r.Presentment.Minor))
	shift := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(from-to, to-from))), nil))
	if to >= from {
		made.Mul(made, shift)
	} else {
		made.Quo(made, shift)
	}
	apart := new(big.Rat).Sub(made, new(big.Rat).SetInt64(r.Gross.Minor))
	allowed := new(big.Rat).Add(big.NewRat(1, 1), big.NewRat(max(r.Gross.Minor, -r.Gross.Minor), rateDigits))
	return apart.Abs(apart).Cmp(allowed) <= 0
}

// Bounds of a rate: of its text, and of how exact it is.
const (
	maxRate    = 40
	rateDigits = 100_000
)

// right reports whether a row moves money the way its kind does.
func right(r row) bool {
	want, ok := sought[r.Kind]
	return !ok || want.debit == (r.Gross.Minor > 0) && r.Gross.Minor != 0
}

func (m *matcher) decide(r row) (verdict, error) {
	switch r.Kind {
	case payment.SettledFee, payment.SettledPayout, payment.SettledPayoutFailure:
		return m.plain(r)
	case payment.SettledConversion:
		return m.conversion(r)
	}
	possible := m.possible(r)
	var differing, taken *ledger.Move
	for i, move := range possible {
		by, claimed := m.claimed[move.ID]
		switch {
		case claimed && by != r.ID:
			taken = &possible[i]
		case agrees(r, move) && right(r):
			return m.matched(r, move)
		case differing == nil:
			differing = &possible[i]
		}
	}
	switch {
	case differing != nil:
		return m.differs(r, *differing)
	case taken != nil:
		why := fmt.Sprintf("A second row for what row %s settles already: %s of order %s.", m.claimed[taken.ID], taken.Code, taken.Reference)
		p, err := m.surplus(r, r.Gross.Minor)
		return verdict{class: Duplicated, items: []Item{r.item(m.provider, "row", Duplicated, why, p)}}, err
	}
	return m.theirs(r)
}

// matched books what follows from a match: the change of currency, and the fee unless the books have it.
func (m *matcher) matched(r row, move ledger.Move) (verdict, error) {
	m.claimed[move.ID] = r.ID
	v := verdict{class: Matched, transfer: claim{move.ID, move.At}, fee: r.Fee.Minor}
	var err error
	if r.Kind == payment.SettledDispute || r.Kind == payment.SettledDisputeReverse {
		if v.fee -= m.disputeFee(r); v.fee != 0 {
			if v.book, err = m.disputeFees(r, move); err != nil || len(v.book) > 0 {
				v.fee = 0
				return v, err
			}
		}
	}
	if move.Amount.Currency == r.Gross.Currency {
		return v, nil
	}
	debit, _ := m.side(move)
	v.book, err = m.changed(r, move.Amount, debit)
	return v, err
}

// changed books the change between an amount in the buyer's currency and what the row has of it.
func (m *matcher) changed(r row, amount ledger.Amount, debit bool) ([]ledger.Transfer, error) {
	from, to := amount, r.gross()
	if !debit {
		from, to = to, from
	}
	return ledger.ConversionTransfers(RowReference(m.provider, r.ID), m.provider, from, to)
}

// dispute is our id of the dispute that a row is about.
func (m *matcher) dispute(r row) uuid.UUID {
	if r.SourceRef == "" {
		return payment.NamelessDisputeID(r.order, m.provider, r.PaymentRef)
	}
	return payment.DisputeID(r.order, m.provider, r.SourceRef)
}

// disputeFees books a dispute's fee under the dispute, as a webhook that tells of it later would; nothing where the row's dispute is not
// the transfer's.
func (m *matcher) disputeFees(r row, move ledger.Move) ([]ledger.Transfer, error) {
	terms := ledger.Terms{Order: r.order, Provider: m.provider, Currency: r.Gross.Currency}
	if move.Amount.Currency != r.Gross.Currency || move.ID != ledger.TransferID(r.order, m.dispute(r).String()+"/"+move.Code) {
		return nil, nil
	}
	switch {
	case r.Kind == payment.SettledDispute && r.Fee.Minor > 0:
		return ledger.DisputeOpenedTransfers(terms, m.dispute(r), 0, r.Fee.Minor)
	case r.Kind == payment.SettledDisputeReverse && r.Fee.Minor < 0:
		return ledger.DisputeWonTransfers(terms, m.dispute(r), 0, -r.Fee.Minor)
	}
	return nil, nil
}

// disputeFee is what the books have of an order's dispute fees in the row's currency: charged, or for a won dispute given back.
func (m *matcher) disputeFee(r row) int64 {
	code, sign := "dispute_fee", int64(1)
	if r.Kind == payment.SettledDisputeReverse {
		code, sign = "dispute_fee_back", -1
	}
	for _, move := range m.byOrder[r.order] {
		if move.Code == code && move.Kind == ledger.Single && move.Amount.Currency == r.Gross.Currency && sign*move.Amount.Minor == r.Fee.Minor {
			return r.Fee.Minor
		}
	}
	return 0
}

// differs says by how much, and proposes to book the difference.
func (m *matcher) differs(r row, move ledger.Move) (verdict, error) {
	debit, _ := m.side(move)
	signed := move.Amount.Minor
	if !debit {
		signed = -signed
	}
	ours := ledger.Amount{Minor: signed, Currency: move.Amount.Currency}
	if r.Gross.Currency != move.Amount.Currency {
		why := fmt.Sprintf("The provider settled %s for what the books have as %s (%s of order %s), and names no rate between them that fits.", r.Gross, ours, move.Code, move.Reference)
		p := Proposal{Action: "book the change of currency", Claims: move.ID}
		var err error
		if r.Gross.Minor != 0 && right(r) {
			p.Transfers, err = m.changed(r, move.Amount, debit)
		}
		item := r.item(m.provider, "row", AmountDiffers, why, p)
		item.TransferID = move.ID
		return verdict{class: AmountDiffers, items: []Item{item}}, err
	}
	why := fmt.Sprintf("The provider settled %s for what the books have as %s (%s of order %s): a difference of %s.",
		r.Gross, ours, move.Code, move.Reference, ledger.Amount{Minor: r.Gross.Minor - signed, Currency: ours.Currency})
	p, err := m.surplus(r, r.Gross.Minor-signed)
	p.Claims = move.ID
	item := r.item(m.provider, "row", AmountDiffers, why, p)
	item.TransferID = move.ID
	return verdict{class: AmountDiffers, items: []Item{item}}, err
}

// surplus proposes what to do with money that the provider has moved beyond what the books explain: below nothing it is a cost, above
// it is somebody's, and waits among late money until an operator has refunded it at the provider: stray finds that refund.
func (m *matcher) surplus(r row, minor int64) (Proposal, error) {
	reference := RowReference(m.provider, r.ID)
	var p Proposal
	var err error
	switch {
	case minor < 0:
		p.Action = "book it as a cost of the provider"
		p.Transfers, err = ledger.SettlementSentTransfers(reference, m.provider, ledger.Amount{Currency: r.Gross.Currency}, ledger.Amount{Minor: -minor, Currency: r.Gross.Currency})
	case minor > 0:
		p.Action = "book it as late money of nobody; then refund it in the provider's own pages, and approve the row of that refund"
		p.Transfers, err = ledger.LateMoneyTransfers(ledger.Terms{Order: reference, Provider: m.provider, Currency: r.Gross.Currency}, minor)
		if err == nil {
			p.Claims = p.Transfers[0].ID
		}
	default:
		p.Action = "note that it is explained"
	}
	return p, err
}
