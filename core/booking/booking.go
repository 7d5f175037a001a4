// Package booking books what no program can know: that a provider's payout has arrived at our bank, that taxes were paid, and that the
// rounding account is closed.
//
// It owns the table bookings: who booked what and why, a row a booking, written with its transfers in one transaction. A booking is made
// once for its name; told again it is answered as it is, and told otherwise it is refused. A Service is safe for concurrent use, in
// several processes.
package booking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/settlement"
	"fairgate/ledger"
)

// Outcomes that callers branch on.
var (
	// ErrUnknown means that nothing of this payout was ever on its way to our bank.
	ErrUnknown = errors.New("booking: no such payout is on its way")
	// ErrAmount means that the amount is another than what is on its way, or more than is owed.
	ErrAmount = errors.New("booking: not that amount")
	// ErrOther means that this was booked before, with another amount.
	ErrOther = errors.New("booking: booked otherwise before")
	// ErrNothing means that the account has nothing to be booked.
	ErrNothing = errors.New("booking: nothing to book")
)

// Kind says what was booked.
type Kind string

// The kinds of booking, as their transfers are called.
const (
	Arrived  Kind = "settlement_arrived"
	TaxPaid  Kind = "tax_paid"
	Rounding Kind = "rounding_cleared"
)

// Booking is what was booked. Amount is below zero where closing the rounding account cost us.
type Booking struct {
	Reference     uuid.UUID
	Kind          Kind
	Name          string
	Amount        ledger.Amount
	Actor, Reason string
	At            time.Time
	Known         bool // it was booked before
}

// Service books. It may be used by many goroutines.
type Service struct {
	db     *db.DB
	writer *ledger.Writer
}

// New makes a Service.
func New(d *db.DB) *Service { return &Service{db: d, writer: ledger.NewWriter(d.Reader)} }

const (
	sqlFind = `SELECT kind, name, currency, amount_minor, actor, reason, booked_at FROM bookings WHERE reference = $1::UUID`

	sqlInsert = `
INSERT INTO bookings (reference, kind, name, currency, amount_minor, actor, reason, booked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now())`

	sqlNet = `SELECT COALESCE(sum(credits_posted - debits_posted), 0)::INT8 FROM ledger_balances WHERE account_id = $1::UUID`
)

// space is the name space of the references made here. Changing it would book everything again.
var space = uuid.MustParse("5f0a3a0e-3c5e-5b0c-9c1b-7a4de2c18f33")

func reference(kind Kind, name, currency string) uuid.UUID {
	return uuid.NewSHA1(space, []byte(string(kind)+"/"+currency+"/"+name))
}

// Arrive books that our bank has received a provider's payout: all of it that is on its way. The payout is named as the provider names
// it, or by the reference that the list of late money shows. An amount of nothing asks for no check. ErrUnknown, ErrAmount, ErrOther.
func (s *Service) Arrive(ctx context.Context, provider, payout string, amount ledger.Amount, actor, reason string) (Booking, error) {
	ref := settlement.PayoutReference(provider, payout)
	if id, err := uuid.Parse(payout); err == nil {
		ref = id
	}
	return s.book(ctx, Booking{Reference: ref, Kind: Arrived, Name: provider + "/" + payout, Actor: actor, Reason: reason}, amount,
		func(ctx context.Context, tx pgx.Tx, b *Booking) ([]ledger.Transfer, error) {
			on, err := inTransit(ctx, tx, provider, ref, amount.Currency)
			if err != nil {
				return nil, err
			}
			if b.Amount = on; amount.Minor != 0 && amount != on {
				return nil, fmt.Errorf("%w: %s of payout %s is on its way, not %s", ErrAmount, on, payout, amount)
			}
			return ledger.SettlementArrivedTransfers(ref, provider, on)
		})
}

// inTransit is what of a payout has been sent to our bank and has neither come back nor arrived.
func inTransit(ctx context.Context, tx pgx.Tx, provider string, ref uuid.UUID, currency string) (ledger.Amount, error) {
	found, err := ledger.ReferenceMoves(ctx, tx, []uuid.UUID{ref})
	if err != nil {
		return ledger.Amount{}, err
	}
	sums := map[string]int64{}
	for _, m := range found[ref] {
		account := ledger.ProviderTransit(provider, m.Amount.Currency).ID()
		switch {
		case !m.Final():
		case m.Debit == account:
			sums[m.Amount.Currency] += m.Amount.Minor
		case m.Credit == account:
			sums[m.Amount.Currency] -= m.Amount.Minor
		}
	}
	var on ledger.Amount
	for c, minor := range sums {
		if minor <= 0 || currency != "" && c != currency {
			continue
		}
		if on.Minor != 0 {
			return on, fmt.Errorf("%w: it is on its way in several currencies", ErrAmount)
		}
		on = ledger.Amount{Minor: minor, Currency: c}
	}
	if on.Minor == 0 {
		return on, fmt.Errorf("%w: %s of %s", ErrUnknown, ref, provider)
	}
	return on, nil
}

// PayTax books that taxes were paid, no more than are owed. The name is the return's or the bank's. ErrAmount, ErrOther.
func (s *Service) PayTax(ctx context.Context, name string, amount ledger.Amount, actor, reason string) (Booking, error) {
	ref := reference(TaxPaid, name, amount.Currency)
	return s.book(ctx, Booking{Reference: ref, Kind: TaxPaid, Name: name, Amount: amount, Actor: actor, Reason: reason}, amount,
		func(ctx context.Context, tx pgx.Tx, _ *Booking) ([]ledger.Transfer, error) {
			owed, err := net(ctx, tx, ledger.TaxesPayable(amount.Currency))
			if err != nil {
				return nil, err
			}
			if amount.Minor <= 0 || amount.Minor > owed.Minor {
				return nil, fmt.Errorf("%w: %s of taxes is owed, not %s", ErrAmount, owed, amount)
			}
			return ledger.TaxPaidTransfers(ref, amount)
		})
}

// CloseRounding books what is on the rounding account to our fees. The name is the closing's, such as a month. ErrNothing.
func (s *Service) CloseRounding(ctx context.Context, name, currency, actor, reason string) (Booking, error) {
	ref := reference(Rounding, name, currency)
	return s.book(ctx, Booking{Reference: ref, Kind: Rounding, Name: name, Actor: actor, Reason: reason}, ledger.Amount{},
		func(ctx context.Context, tx pgx.Tx, b *Booking) (_ []ledger.Transfer, err error) {
			if b.Amount, err = net(ctx, tx, ledger.Rounding(currency)); err != nil {
				return nil, err
			}
			if b.Amount.Minor == 0 {
				return nil, fmt.Errorf("%w: the rounding account has nothing in %s", ErrNothing, currency)
			}
			return ledger.RoundingClearedTransfers(ref, b.Amount)
		})
}

func net(ctx context.Context, tx pgx.Tx, a ledger.Account) (ledger.Amount, error) {
	n := ledger.Amount{Currency: a.Currency}
	if err := tx.QueryRow(ctx, sqlNet, a.ID()).Scan(&n.Minor); err != nil {
		return n, fmt.Errorf("read the balance of %s: %w", a.Code, err)
	}
	return n, nil
}

// book records what transfers makes of a booking, unless it is booked already. Want is the amount that was told, or nothing.
func (s *Service) book(ctx context.Context, b Booking, want ledger.Amount, transfers func(context.Context, pgx.Tx, *Booking) ([]ledger.Transfer, error)) (Booking, error) {
	var done Booking
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var known bool
		var err error
		if done, known, err = find(ctx, tx, b.Reference); err != nil {
			return err
		}
		if known {
			if want.Minor != 0 && want != done.Amount {
				return fmt.Errorf("%w: %s, not %s", ErrOther, done.Amount, want)
			}
			done.Known = true
			return nil
		}
		made := b
		book, err := transfers(ctx, tx, &made)
		if err != nil {
			return err
		}
		if err := s.writer.Record(ctx, tx, book); err != nil {
			return fmt.Errorf("book %s %s: %w", b.Kind, b.Name, err)
		}
		if _, err := tx.Exec(ctx, sqlInsert, made.Reference, string(made.Kind), made.Name, made.Amount.Currency, made.Amount.Minor, made.Actor, made.Reason); err != nil {
			return fmt.Errorf("note who booked %s %s: %w", b.Kind, b.Name, err)
		}
		done, _, err = find(ctx, tx, b.Reference)
		return err
	})
	return done, err
}

func find(ctx context.Context, tx pgx.Tx, ref uuid.UUID) (b Booking, known bool, err error) {
	b.Reference = ref
	err = tx.QueryRow(ctx, sqlFind, ref).Scan(&b.Kind, &b.Name, &b.Amount.Currency, &b.Amount.Minor, &b.Actor, &b.Reason, &b.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return b, false, nil
	}
	if err != nil {
		return b, false, fmt.Errorf("look for the booking: %w", err)
	}
	return b, true, nil
}
