package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ErrOverRefund means that more would be given back for an order than is left of what was captured.
var ErrOverRefund = errors.New("ledger: more than is left of the order")

// sqlOrderMoney finds an order's transfers by the bytes its ids begin with.
const sqlOrderMoney = `
SELECT code, currency, kind, sum(amount_minor)::INT8
FROM ledger_transfers
WHERE transfer_id BETWEEN $1::UUID AND $2::UUID AND reference = $3::UUID
GROUP BY code, currency, kind`

// OrderMoney is what the books say of one order. Captured is final; Returned counts what was given back, is being given back, or was
// lost in a dispute; Disputed is what disputes hold that are not decided; Late came for nothing, and nobody was promised it; Excess is
// what lost disputes took of money that counts as given back already, and is not in Returned; Others is what of the captured face is a
// seller's or ours, of a resale that was not undone.
type OrderMoney struct {
	Currency      string
	Captured      Parts
	Returned      Parts
	CapturedMinor int64
	ReturnedMinor int64
	DisputedMinor int64
	LateMinor     int64
	ExcessMinor   int64
	OthersMinor   int64
}

// idRange is the first and the last id that a transfer of the reference may have.
func idRange(reference uuid.UUID) (first, last uuid.UUID) {
	copy(first[:], reference[:referenceBytes])
	copy(last[:], reference[:referenceBytes])
	for i := referenceBytes; i < len(last); i++ {
		last[i] = 0xff
	}
	return first, last
}

// ReadOrder reads an order's money. Inside the serializable transaction that then records a refund it also guards it: of two refunds
// at once that together are too much, one is run again and sees the other.
func ReadOrder(ctx context.Context, q Querier, order uuid.UUID) (OrderMoney, error) {
	first, last := idRange(order)
	rows, err := q.Query(ctx, sqlOrderMoney, first, last, order)
	if err != nil {
		return OrderMoney{}, fmt.Errorf("read the money of order %s: %w", order, err)
	}
	defer rows.Close()
	var m OrderMoney
	for rows.Next() {
		var code string
		var kind Kind
		var minor int64
		if err := rows.Scan(&code, &m.Currency, &kind, &minor); err != nil {
			return OrderMoney{}, fmt.Errorf("read the money of order %s: %w", order, err)
		}
		m.add(code, kind, minor)
	}
	if err := rows.Err(); err != nil {
		return OrderMoney{}, fmt.Errorf("read the money of order %s: %w", order, err)
	}
	return m, nil
}

// MoneyOf is OrderMoney of an order's transfers that were read before.
func MoneyOf(moves []Move) OrderMoney {
	var m OrderMoney
	for _, move := range moves {
		m.Currency = move.Amount.Currency
		m.add(move.Code, move.Kind, move.Amount.Minor)
	}
	return m
}

// add counts transfers of one code and kind.
func (m *OrderMoney) add(code string, kind Kind, minor int64) {
	final, promised := int64(0), int64(0) // what is moved, and what is moved or still may be
	switch kind {
	case Single:
		final, promised = minor, minor
	case Post:
		final = minor
	case Pending:
		promised = minor
	case Void:
		promised = -minor
	case Reverse:
		final, promised = -minor, -minor
	}
	switch code {
	case "sale_face", "resale_price":
		m.Captured.Face += final
	case "sale_fee", "resale_fee":
		m.Captured.Fee += final
	case "sale_tax", "resale_tax":
		m.Captured.Tax += final
	case "sale_payment", "resale_payment":
		m.CapturedMinor += final
	case "late_sale":
		m.CapturedMinor += final
		m.LateMinor -= promised
	case "refund_face", "dispute_face":
		m.Returned.Face += promised
	case "refund_fee", "dispute_fee_part":
		m.Returned.Fee += promised
	case "refund_tax", "dispute_tax":
		m.Returned.Tax += promised
	case "refund_payment":
		m.ReturnedMinor += promised
	case "dispute_lost":
		m.ReturnedMinor += promised
		m.DisputedMinor -= promised
	case "dispute_funds":
		m.DisputedMinor += promised
	case "dispute_won":
		m.DisputedMinor -= promised
	case "resale_seller", "resale_commission":
		m.OthersMinor += final
	case "resale_recalled", "resale_commission_back":
		m.OthersMinor -= final
	default:
		m.addLate(code, promised)
	}
}

// addLate counts what never was, or is no longer, part of what the order gives back.
func (m *OrderMoney) addLate(code string, promised int64) {
	switch code {
	case "late_money":
		m.LateMinor += promised
	case "late_refund":
		m.LateMinor -= promised
	case "dispute_late":
		m.LateMinor -= promised
		m.ReturnedMinor -= promised
	case "dispute_excess":
		m.ExcessMinor += promised
		m.ReturnedMinor -= promised
	case "dispute_excess_back":
		m.ExcessMinor -= promised
		m.ReturnedMinor += promised
	}
}

// Rest is what could still be given back: by part, and in all.
func (m OrderMoney) Rest() (Parts, int64) {
	return Parts{m.Captured.Face - m.Returned.Face, m.Captured.Fee - m.Returned.Fee, m.Captured.Tax - m.Returned.Tax},
		m.CapturedMinor - m.ReturnedMinor - m.DisputedMinor
}

// Earned is what the organizer has earned with the order, less what is disputed; below zero they owe it.
func (m OrderMoney) Earned() int64 {
	face := m.Captured.Face - m.OthersMinor - m.Returned.Face
	return face - min(m.DisputedMinor, max(0, face))
}

// Share is numerator ÷ denominator of what was captured, each part rounded by itself and never more than is left of it; without the
// fee where it is kept. The total is rounded by itself too: what the buyer gets is the fair share to the cent.
func (m OrderMoney) Share(numerator, denominator int64, keepFee bool) (Parts, int64, error) {
	rest, restMinor := m.Rest()
	whole := m.Captured
	if keepFee {
		whole.Fee = 0
	}
	sum, err := whole.sum()
	if err != nil {
		return Parts{}, 0, err
	}
	portion := func(minor, most int64) int64 {
		part, portionErr := Amount{minor, m.Currency}.Portion(numerator, denominator)
		if portionErr != nil {
			err = portionErr
		}
		return max(0, min(part.Minor, most))
	}
	p := Parts{portion(whole.Face, rest.Face), portion(whole.Fee, rest.Fee), portion(whole.Tax, rest.Tax)}
	return p, portion(sum, restMinor), err
}

// Part splits an amount as the order's money is split; what the parts cannot give is rounding.
func (m OrderMoney) Part(minor int64) (Parts, error) {
	rest, restMinor := m.Rest()
	if minor == restMinor {
		return rest, nil
	}
	p, _, err := m.Share(minor, m.CapturedMinor, false)
	if err != nil {
		return p, err
	}
	// Earlier refunds may have taken more of one part than of another: what one lacks, the others give.
	for lacks := minor - (p.Face + p.Fee + p.Tax); lacks > 0; lacks = minor - (p.Face + p.Fee + p.Tax) {
		before := p
		p.Face += min(lacks, rest.Face-p.Face)
		p.Tax += min(minor-(p.Face+p.Fee+p.Tax), rest.Tax-p.Tax)
		p.Fee += min(minor-(p.Face+p.Fee+p.Tax), rest.Fee-p.Fee)
		if p == before {
			break
		}
	}
	return p, nil
}

// RecordedRefund finds a refund of this id, of an order or of late money, among an order's transfers: its parts and its total. ok is false
// when there is none; RefundAgain or LateRefundTransfers then repeat what is recorded.
func RecordedRefund(moves []Move, order, refund uuid.UUID) (p Parts, totalMinor int64, ok bool) {
	minors := map[uuid.UUID]int64{}
	for _, m := range moves {
		if m.Kind == Pending {
			minors[m.ID] = m.Amount.Minor
		}
	}
	of := func(code string) int64 { return minors[TransferID(order, instance(refund)+code)] }
	if total := of("late_refund"); total > 0 {
		return Parts{}, total, true
	}
	p = Parts{Face: of("refund_face"), Fee: of("refund_fee"), Tax: of("refund_tax")}
	totalMinor = of("refund_payment")
	return p, totalMinor, totalMinor > 0
}

// RefundTransfers give part of an order back: pending until the provider says that the buyer has it (PostAll) or cannot (VoidAll).
// m is the order as ReadOrder found it in the same transaction. Parts that are kept are zero. Parts and total may differ by what
// rounding made of them; the difference goes to the rounding account. More than is left is ErrOverRefund. A total of nothing gives back what many small refunds have left in the parts.
//
// Recording the same refund again is harmless, but making it again is not possible once it is counted in m: look for it first.
func RefundTransfers(t Terms, refund uuid.UUID, m OrderMoney, p Parts, totalMinor int64) ([]Transfer, error) {
	sum, err := p.sum()
	if err != nil {
		return nil, err
	}
	rest, restMinor := m.Rest()
	if p.Face > rest.Face || p.Fee > rest.Fee || p.Tax > rest.Tax || totalMinor > restMinor || t.Currency != m.Currency {
		return nil, fmt.Errorf("%w: refund %s of order %s wants %+v, %d in all, of %+v, %d in all %s",
			ErrOverRefund, refund, t.Order, p, totalMinor, rest, restMinor, m.Currency)
	}
	if totalMinor < 0 || totalMinor == 0 && sum == 0 || roundedApart(totalMinor, sum, m) {
		return nil, fmt.Errorf("%w: refund %s of order %s is %d, its parts add up to %d", ErrTransferMalformed, refund, t.Order, totalMinor, sum)
	}
	return RefundAgain(t, refund, p, totalMinor)
}

// RefundAgain makes the transfers of a refund that RefundTransfers has made before, to be posted, voided or reversed. It asks nothing:
// parts and total must be those of then.
func RefundAgain(t Terms, refund uuid.UUID, p Parts, totalMinor int64) ([]Transfer, error) {
	sum, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := t.Currency
	return compose(t.Order, instance(refund), Pending,
		leg{"refund_face", OrganizerPayable(t.Organizer, c), Refunds(c), p.Face},
		leg{"refund_fee", PlatformFees(c), Refunds(c), p.Fee},
		leg{"refund_tax", TaxesPayable(c), Refunds(c), p.Tax},
		roundingLeg("refund_rounding", Refunds(c), totalMinor, sum),
		leg{"refund_payment", Refunds(c), ProviderClearing(t.Provider, c), totalMinor})
}

// RefundOtherwiseTransfers say that the provider still has what a refund took from it, and that the buyer got it from our bank. They go
// with a refund that is posted.
func RefundOtherwiseTransfers(t Terms, refund uuid.UUID, minor int64) ([]Transfer, error) {
	return compose(t.Order, instance(refund), Single, leg{"refund_otherwise", ProviderClearing(t.Provider, t.Currency), Bank(t.Currency), minor})
}

// mostRounding is how far a total may be from the sum of its parts, beyond what earlier refunds of the order left: half a minor unit
// for each part and half for the total.
const mostRounding = 2

// roundedApart reports whether total and sum differ by more than rounding explains.
func roundedApart(total, sum int64, m OrderMoney) bool {
	captured, err := m.Captured.sum()
	if err != nil {
		return true
	}
	returned, err := m.Returned.sum()
	if err != nil {
		return true
	}
	// What is left in all and what is left of the parts are apart by the roundings so far.
	apart := (m.CapturedMinor - m.ReturnedMinor) - (captured - returned)
	difference := total - sum
	return difference > max(apart, 0)+mostRounding || difference < min(apart, 0)-mostRounding
}
