package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// verifyRows is how many rows Verify reads at a time.
const verifyRows = 1000

// maxFindings is how many failures a check spells out; the others are only counted.
const maxFindings = 5

// Beginner begins the snapshot Verify reads in: a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Check is one property of the books: how many things were looked at, how many were wrong, and the first few of those.
type Check struct {
	Name    string `json:"name"`
	Checked int64  `json:"checked"`
	Failed  int64  `json:"failed"`
	Detail  string `json:"detail"`

	findings int
}

func (c *Check) expect(ok bool, format string, args ...any) {
	c.Checked++
	if !ok {
		c.fail(format, args...)
	}
}

func (c *Check) fail(format string, args ...any) {
	c.Failed++
	if c.findings == maxFindings {
		return
	}
	c.findings++
	if c.Detail != "" {
		c.Detail += "; "
	}
	c.Detail += fmt.Sprintf(format, args...)
}

// Report is what Verify found. OK means that no check failed; it is the caller's part to ask whether Transfers is what it should be.
type Report struct {
	OK        bool    `json:"ok"`
	Transfers int64   `json:"transfers"`
	Accounts  int64   `json:"accounts"`
	Checks    []Check `json:"checks"`
}

// Verify reads all books in one snapshot, page by page, and recomputes what can be recomputed:
//
//	transfers_well_formed  positive amounts, two different accounts that exist and have the transfer's currency, a known kind, an id that fits the reference
//	answered_once          a post or void repeats a pending transfer, a reversal turns a final one round, each under the only id for it
//	sequences_gapless      each writer's numbers run from 1 without a gap
//	chains_intact          every seal's hash, over the transfers as they are now; the detail names how many wait for a seal
//	accounts_consistent    ids follow from code and currency, each account has one balance with the same flag
//	balances_recomputed    each balance equals the sum of its transfers
//	non_negative           no account that may not go negative is
//	sums_to_zero           debits equal credits in each currency, posted and pending
//
// Failures are findings in the report; an error means that the books could not be read.
func Verify(ctx context.Context, db Beginner) (Report, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return Report{}, fmt.Errorf("begin the verification's snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was written
	v := newVerification(tx)
	if err := v.readAccounts(ctx); err != nil {
		return Report{}, fmt.Errorf("verify accounts: %w", err)
	}
	if err := v.readTransfers(ctx); err != nil {
		return Report{}, fmt.Errorf("verify transfers: %w", err)
	}
	v.compareBalances()
	return v.report(), nil
}

// verification is the state of one Verify. It keeps the accounts in memory, never the transfers.
type verification struct {
	tx        pgx.Tx
	accounts  map[uuid.UUID]*bookedAccount
	transfers int64

	wellFormed, answered, gapless, chains        Check
	consistent, recomputed, nonNegative, zeroSum Check
}

// bookedAccount is an account with its balance as stored and as its transfers add up.
type bookedAccount struct {
	stored, computed Balance
	overflow         bool
}

func newVerification(tx pgx.Tx) *verification {
	return &verification{
		tx:          tx,
		accounts:    make(map[uuid.UUID]*bookedAccount),
		wellFormed:  Check{Name: "transfers_well_formed"},
		answered:    Check{Name: "answered_once"},
		gapless:     Check{Name: "sequences_gapless"},
		chains:      Check{Name: "chains_intact"},
		consistent:  Check{Name: "accounts_consistent"},
		recomputed:  Check{Name: "balances_recomputed"},
		nonNegative: Check{Name: "non_negative"},
		zeroSum:     Check{Name: "sums_to_zero"},
	}
}

func (v *verification) report() Report {
	r := Report{
		OK:        true,
		Transfers: v.transfers,
		Accounts:  int64(len(v.accounts)),
		Checks:    []Check{v.wellFormed, v.answered, v.gapless, v.chains, v.consistent, v.recomputed, v.nonNegative, v.zeroSum},
	}
	for i := range r.Checks {
		c := &r.Checks[i]
		if unsaid := c.Failed - int64(c.findings); unsaid > 0 {
			c.Detail += fmt.Sprintf("; and %d more", unsaid)
		}
		r.OK = r.OK && c.Failed == 0
	}
	return r
}
