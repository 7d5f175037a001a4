package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

// model is what the books should hold, kept in the simplest way.
type model struct {
	recorded map[uuid.UUID]ledger.Transfer
	balances map[ledger.Account]*[4]int64 // debits pending, credits pending, debits posted, credits posted
}

func (m *model) clone() *model {
	c := &model{recorded: map[uuid.UUID]ledger.Transfer{}, balances: map[ledger.Account]*[4]int64{}}
	for k, v := range m.recorded {
		c.recorded[k] = v
	}
	for k, v := range m.balances {
		b := *v
		c.balances[k] = &b
	}
	return c
}

// record is the reference. A batch that contradicts itself is refused before the books are looked at; then one transfer at a time;
// the batch's sums decide whether an account is covered, not the order in it.
func (m *model) record(batch []ledger.Transfer) error {
	for i, t := range batch {
		for _, other := range batch[:i] {
			if t.ID == other.ID && t != other {
				return contradiction(other, t)
			}
		}
	}
	for _, t := range batch {
		if known, ok := m.recorded[t.ID]; ok {
			if known != t {
				return contradiction(known, t)
			}
			continue
		}
		if t.PriorID != uuid.Nil {
			p, ok := m.recorded[t.PriorID]
			debit, credit := t.Debit, t.Credit
			if t.Kind == ledger.Reverse {
				debit, credit = credit, debit
			}
			switch {
			case t.Kind == ledger.Reverse && (!ok || p.Kind != ledger.Single && p.Kind != ledger.Post):
				return ledger.ErrNotFinal
			case t.Kind != ledger.Reverse && (!ok || p.Kind != ledger.Pending):
				return ledger.ErrPendingUnknown
			case p.Debit != debit || p.Credit != credit || p.Amount != t.Amount || p.Reference != t.Reference:
				return ledger.ErrMismatch
			}
		}
		m.recorded[t.ID] = t
		for side, a := range []ledger.Account{t.Debit, t.Credit} {
			if m.balances[a] == nil {
				m.balances[a] = &[4]int64{}
			}
			b := m.balances[a]
			switch t.Kind {
			case ledger.Pending:
				b[side] += t.Amount.Minor
			case ledger.Single, ledger.Reverse:
				b[2+side] += t.Amount.Minor
			case ledger.Post:
				b[side] -= t.Amount.Minor
				b[2+side] += t.Amount.Minor
			case ledger.Void:
				b[side] -= t.Amount.Minor
			}
		}
	}
	for a, b := range m.balances {
		if a.NonNegative && b[3] < b[2]+b[0] {
			return ledger.ErrInsufficient
		}
	}
	return nil
}

// contradiction is what two transfers of one id are to each other: rival ends of a pending one, or plainly different.
func contradiction(a, b ledger.Transfer) error {
	if a.PriorID == b.PriorID && a.PriorID != uuid.Nil && a.Kind != b.Kind {
		return ledger.ErrEnded
	}
	return ledger.ErrMismatch
}

// Whatever is recorded in whatever order, the books hold what a plain list would, and they verify.
func TestTheBooksAgreeWithAModel(t *testing.T) {
	rounds := 15
	if testing.Short() {
		rounds = 3
	}
	d := dbtest.New(t)
	writers := []*ledger.Writer{ledger.NewWriter(d.Reader), ledger.NewWriter(nil)}
	m := &model{recorded: map[uuid.UUID]ledger.Transfer{}, balances: map[ledger.Account]*[4]int64{}}
	var known []ledger.Transfer
	var accepted, refused int
	rapid.Check(t, func(rt *rapid.T) {
		if rounds--; rounds < 0 {
			return
		}
		for range rapid.IntRange(5, 25).Draw(rt, "batches") {
			batch := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) ledger.Transfer { return drawTransfer(rt, known) }), 1, 6).Draw(rt, "batch")
			next := m.clone()
			want := next.record(batch)
			got := record(t, d, writers[rapid.IntRange(0, 1).Draw(rt, "writer")], batch...)
			if !errors.Is(got, want) || want == nil && got != nil { // of several things that are wrong with a batch, the one that Record's comment names
				rt.Fatalf("got %v, the model says %v, for %+v", got, want, batch)
			}
			if want != nil {
				refused++
				continue
			}
			accepted++
			m, known = next, append(known, batch...)
		}
		for _, w := range writers {
			if rapid.Bool().Draw(rt, "seal") {
				seal(t, d, w)
			}
		}
		compare(t, d, m)
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d batches accepted and %d refused prove nothing", accepted, refused)
	}
}

// A writer inserts without looking, so what it repeats it first takes for new: in the sums that counts twice.
func TestARepetitionIsSkippedThoughTheAccountCouldNotCoverItTwice(t *testing.T) {
	d := dbtest.New(t)
	in := single(ledger.BuyerClearing("EUR"), ledger.ResaleEscrow("EUR"), 100)
	out := single(ledger.ResaleEscrow("EUR"), ledger.BuyerClearing("EUR"), 100)
	mustRecord(t, d, ledger.NewWriter(d.Reader), in, out)
	for name, w := range map[string]*ledger.Writer{"with a reader": ledger.NewWriter(d.Reader), "without": ledger.NewWriter(nil)} {
		if err := record(t, d, w, out); err != nil {
			t.Errorf("%s: the same again: %v", name, err)
		}
	}
	other := out
	other.Amount.Minor++
	unknown := ledger.PostAll([]ledger.Transfer{{ID: uuid.New(), Debit: out.Debit, Credit: out.Credit, Amount: out.Amount, Code: out.Code,
		Reference: out.Reference, Kind: ledger.Pending}})
	if err := record(t, d, ledger.NewWriter(d.Reader), append([]ledger.Transfer{other}, unknown...)...); !errors.Is(err, ledger.ErrMismatch) {
		t.Errorf("the first transfer differs from the recorded one, the second answers nothing: %v", err)
	}
	mustVerify(t, d, 2)
}

func drawTransfer(rt *rapid.T, known []ledger.Transfer) ledger.Transfer {
	if len(known) > 0 && rapid.IntRange(0, 9).Draw(rt, "old") < 5 {
		x := known[rapid.IntRange(max(0, len(known)-12), len(known)-1).Draw(rt, "which")]
		before := x
		switch rapid.IntRange(0, 8).Draw(rt, "how") {
		case 0: // the same again
		case 1:
			x.Amount.Minor++
		case 2, 3:
			x = answer(x, ledger.PostAll)
		case 4:
			x = answer(x, ledger.VoidAll)
		case 5: // an answer to nothing
			x.ID = ledger.TransferID(x.Reference, uuid.NewString())
			x.Kind, x.PriorID = ledger.Pending, uuid.Nil
			x = answer(x, ledger.VoidAll)
		case 6, 7:
			x = answer(x, ledger.ReverseAll)
		case 8: // an answer to a transfer that takes none, or not this one
			x.Kind, x.PriorID = rapid.SampledFrom([]ledger.Kind{ledger.Pending, ledger.Single}).Draw(rt, "as"), uuid.Nil
			x = answer(answer(x, ledger.PostAll), ledger.ReverseAll)
			if x.PriorID == uuid.Nil || rapid.Bool().Draw(rt, "other amount") {
				x.Amount = before.Amount
				x.Amount.Minor++
			}
		}
		return x
	}
	accounts := []ledger.Account{
		ledger.BuyerClearing("EUR"), ledger.PlatformFees("EUR"), ledger.ProviderClearing("stripe", "EUR"), ledger.ResaleEscrow("EUR"),
	}
	a := rapid.IntRange(0, 3).Draw(rt, "debit")
	b := (a + rapid.IntRange(1, 3).Draw(rt, "credit")) % 4
	x := single(accounts[a], accounts[b], rapid.Int64Range(1, 1000).Draw(rt, "minor"))
	if rapid.Bool().Draw(rt, "pending") {
		x.Kind = ledger.Pending
	}
	return x
}

// answer is the one transfer that answers x, or x itself where there is none.
func answer(x ledger.Transfer, how func([]ledger.Transfer) []ledger.Transfer) ledger.Transfer {
	for _, made := range how([]ledger.Transfer{x}) {
		return made
	}
	return x
}

func compare(t *testing.T, d *db.DB, m *model) {
	t.Helper()
	mustVerify(t, d, int64(len(m.recorded)))
	got := balances(t, d)
	if len(got) != len(m.balances) {
		t.Fatalf("there are %d balances, the model has %d", len(got), len(m.balances))
	}
	for a, want := range m.balances {
		b := got[a.Code+" "+a.Currency]
		if have := [4]int64{b.DebitsPending, b.CreditsPending, b.DebitsPosted, b.CreditsPosted}; have != *want {
			t.Fatalf("%s: %v, the model has %v", a.Code, have, *want)
		}
	}
}

// Two writers post and void the same sales from many goroutines, with transactions that fail in between: each pending ends once,
// and no number is lost or used twice.
func TestRivalsEndEachPendingOnce(t *testing.T) {
	d := dbtest.New(t)
	writers := []*ledger.Writer{ledger.NewWriter(d.Reader), ledger.NewWriter(nil)}
	var sales [][]ledger.Transfer
	for range 12 {
		s := sale(t, 1000)
		sales = append(sales, s)
		mustRecord(t, d, writers[0], s...)
	}
	gaveUp := errors.New("gave up after writing")
	var won, lost, aborted atomic.Int64
	var group sync.WaitGroup
	for rival := range 4 {
		group.Go(func() {
			for _, i := range rand.Perm(len(sales)) {
				ends := ledger.PostAll(sales[i])
				if rival%2 == 0 {
					ends = ledger.VoidAll(sales[i])
				}
				w := writers[rand.IntN(2)]
				if i%4 == rival {
					if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
						if err := w.Record(ctx, tx, []ledger.Transfer{single(ledger.BuyerClearing("EUR"), ledger.PlatformFees("EUR"), 1)}); err != nil {
							return err
						}
						return gaveUp
					}); !errors.Is(err, gaveUp) {
						t.Errorf("abort: %v", err)
					}
					aborted.Add(1)
				}
				switch err := record(t, d, w, ends...); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, ledger.ErrEnded):
					lost.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	// Rivals of the same mind make the same transfers, so two may win a sale; four of two minds cannot.
	if won.Load() != 24 || lost.Load() != 24 || aborted.Load() == 0 {
		t.Errorf("%d won, %d lost, %d aborted", won.Load(), lost.Load(), aborted.Load())
	}
	mustVerify(t, d, 12*4*2)
	for name, b := range balances(t, d) {
		if b.DebitsPending != 0 || b.CreditsPending != 0 {
			t.Errorf("%s: %s", name, fmt.Sprintf("%+v", b))
		}
	}
}
