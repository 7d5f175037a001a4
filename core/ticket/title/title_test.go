package title_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var (
	arena           = lottery.EventID("arena")
	anna, ben, cleo = lottery.Entrant{1}, lottery.Entrant{2}, lottery.Entrant{3}
	signer          = ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
		return ticket.SigningKey{No: 1, Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))}, nil
	})
)

// world is a database with tickets whose hands change.
type world struct {
	t  *testing.T
	db *db.DB
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tx(do func(ctx context.Context, tx pgx.Tx) error) {
	w.t.Helper()
	if err := w.db.InTx(w.t.Context(), do); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) load(id uuid.UUID) ticket.Ticket {
	w.t.Helper()
	t, err := ticket.Load(w.t.Context(), w.db.Pool, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// order writes an order, as far as titles need one.
func (w *world) order(buyer lottery.Entrant) uuid.UUID {
	w.t.Helper()
	id := uuid.New()
	w.exec(`INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, created_at, updated_at)
		VALUES ($1, $2, $1, $3, 'ticket_issued', 0, 'EUR', '[]', '', '', $1, 0, now(), now())`, id, arena, buyer[:])
	return id
}

// sell issues a ticket for a seat.
func (w *world) sell(buyer lottery.Entrant, seat string) uuid.UUID {
	w.t.Helper()
	order := w.order(buyer)
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		return signer.Issue(ctx, tx, []ticket.Item{{Event: arena, Order: order, Tier: "lower", Seat: seat, Owner: buyer}})
	})
	return ticket.TicketID(order, 0)
}

// hand passes a ticket on.
func (w *world) hand(id uuid.UUID, to lottery.Entrant) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		t := w.load(id)
		if err := signer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: t, Owner: to}}); err != nil {
			return err
		}
		_, err := title.Append(ctx, tx, title.Step{Ticket: id, Epoch: t.Epoch + 1, From: t.Owner, To: to, How: title.Transfer})
		return err
	})
}

// resell voids a ticket and issues the buyer's.
func (w *world) resell(id uuid.UUID, to lottery.Entrant, minor int64) uuid.UUID {
	w.t.Helper()
	order := w.order(to)
	next := ticket.TicketID(order, 0)
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		t := w.load(id)
		if _, err := ticket.Void(ctx, tx, []uuid.UUID{id}, "resold"); err != nil {
			return err
		}
		if err := signer.Issue(ctx, tx, []ticket.Item{{Event: arena, Order: order, Tier: t.Tier, Seat: t.Seat, Owner: to}}); err != nil {
			return err
		}
		_, err := title.Append(ctx, tx, title.Step{Ticket: next, Epoch: 1, From: t.Owner, To: to, How: title.Resale,
			Price: ledger.Amount{Minor: minor, Currency: "EUR"}, Previous: id})
		return err
	})
	return next
}

// story makes a chain with a step of each kind: Anna's, given to Ben, sold to Cleo, who gets another seat and gives it to Anna.
func story(w *world) (first, last uuid.UUID) {
	w.t.Helper()
	first = w.sell(anna, "101/A/1")
	w.hand(first, ben)
	last = w.resell(first, cleo, 9900)
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		t := w.load(last)
		if err := signer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: t, Tier: "lower", Seat: "101/B/1"}}); err != nil {
			return err
		}
		_, err := title.Append(ctx, tx, title.Step{Ticket: last, Epoch: t.Epoch + 1, From: cleo, To: cleo, How: title.Reseat, Note: "101/A/1 → 101/B/1"})
		return err
	})
	w.hand(last, anna)
	return first, last
}

func TestATitleGoesBackToTheFirstIssueAndVerifies(t *testing.T) {
	w := &world{t, dbtest.New(t)}
	first, last := story(w)
	chain, err := title.Verify(t.Context(), w.db.Pool, last)
	if err != nil || len(chain) != 2 || chain[0].Ticket != first || chain[1].Ticket != last || len(chain[0].Steps) != 1 || len(chain[1].Steps) != 3 {
		t.Fatalf("%+v, %v", chain, err)
	}
	if l := chain[0]; l.Buyer != anna || l.Owner != ben || l.State != "void" || l.Steps[0].From != anna || l.Steps[0].To != ben {
		t.Errorf("the first ticket: %+v", l)
	}
	steps := chain[1].Steps
	if s := steps[0]; s.How != title.Resale || s.Previous != first || s.From != ben || s.To != cleo || s.Price != (ledger.Amount{Minor: 9900, Currency: "EUR"}) || s.At.IsZero() {
		t.Errorf("the resale: %+v", s)
	}
	if s := steps[2]; s.How != title.Transfer || s.Epoch != 3 || s.To != anna || chain[1].Owner != anna {
		t.Errorf("the last step: %+v", s)
	}
	if len(chain[1].Sold) != 0 {
		t.Errorf("it was not sold on: %+v", chain[1].Sold)
	}
	chain, err = title.Verify(t.Context(), w.db.Pool, first)
	if err != nil || len(chain) != 1 || len(chain[0].Sold) != 1 {
		t.Fatalf("of the ticket that was sold on: %+v, %v", chain, err)
	}
	if s := chain[0].Sold[0]; s.Ticket != last || s.From != ben || s.To != cleo || s.Price.Minor != 9900 {
		t.Errorf("its sale: %+v", s)
	}
	w.exec(`UPDATE title_steps SET price_minor = 1 WHERE ticket_id = $1 AND seq = 0`, last)
	if _, err = title.Verify(t.Context(), w.db.Pool, first); !errors.Is(err, title.ErrBroken) {
		t.Errorf("its sale was altered: %v", err)
	}
	plain := w.sell(ben, "102/A/1")
	if chain, err = title.Verify(t.Context(), w.db.Pool, plain); err != nil || len(chain) != 1 || len(chain[0].Steps) != 0 {
		t.Errorf("of a ticket as it was sold: %+v, %v", chain, err)
	}
	if _, err := title.Of(t.Context(), w.db.Pool, uuid.New()); !errors.Is(err, title.ErrUnknown) {
		t.Errorf("of no ticket: %v", err)
	}
}

func TestWhateverIsAlteredInATitleIsFound(t *testing.T) {
	alterations := map[string]string{
		"a step is gone":                  `DELETE FROM title_steps WHERE ticket_id = $2 AND seq = 1`,
		"the last step is gone":           `DELETE FROM title_steps WHERE ticket_id = $2 AND seq = 2`,
		"the resale is gone":              `DELETE FROM title_steps WHERE ticket_id = $2`,
		"a step of the first is gone":     `DELETE FROM title_steps WHERE ticket_id = $1`,
		"a price is another":              `UPDATE title_steps SET price_minor = price_minor + 1 WHERE ticket_id = $2 AND seq = 0`,
		"a currency is another":           `UPDATE title_steps SET currency = 'USD' WHERE ticket_id = $2 AND seq = 0`,
		"a time is another":               `UPDATE title_steps SET at = at - INTERVAL '1 second' WHERE ticket_id = $2 AND seq = 2`,
		"a note is another":               `UPDATE title_steps SET note = 'moved' WHERE ticket_id = $2 AND seq = 1`,
		"a way is another":                `UPDATE title_steps SET how = 'transfer' WHERE ticket_id = $2 AND seq = 1`,
		"an epoch is another":             `UPDATE title_steps SET epoch = 9 WHERE ticket_id = $2 AND seq = 2`,
		"a receiver is another":           `UPDATE title_steps SET to_owner = '\x05000000000000000000000000000000' WHERE ticket_id = $2 AND seq = 2`,
		"a giver has no name":             `UPDATE title_steps SET from_owner = '\x' WHERE ticket_id = $1`,
		"a hash is another":               `UPDATE title_steps SET hash = '\x00' WHERE ticket_id = $2 AND seq = 1`,
		"the ticket has another owner":    `UPDATE tickets SET owner = '\x05000000000000000000000000000000' WHERE ticket_id = $2`,
		"the ticket is in an older epoch": `UPDATE tickets SET epoch = 2 WHERE ticket_id = $2`,
		"the sold ticket is valid again":  `UPDATE tickets SET state = 'valid' WHERE ticket_id = $1`,
		"the first buyer is another":      `UPDATE orders SET entrant = '\x05000000000000000000000000000000' WHERE order_id = (SELECT order_id FROM tickets WHERE ticket_id = $1)`,
		"the sold ticket's time":          `UPDATE tickets SET issued_at = issued_at - INTERVAL '1 day' WHERE ticket_id = $1`,
		"the sold ticket is gone":         `DELETE FROM tickets WHERE ticket_id = $1`,
	}
	d := dbtest.New(t)
	for name, sql := range alterations {
		w := &world{t, d}
		for _, table := range []string{"title_steps", "tickets", "orders"} {
			w.exec(`DELETE FROM ` + table)
		}
		first, last := story(w)
		if !strings.Contains(sql, "$1") {
			sql = strings.ReplaceAll(sql, "$2", "$1")
			w.exec(sql, last)
		} else {
			w.exec(sql, first)
		}
		if _, err := title.Verify(t.Context(), d.Pool, last); !errors.Is(err, title.ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAStepThatDoesNotFollowIsNotAppended(t *testing.T) {
	w := &world{t, dbtest.New(t)}
	first, last := story(w)
	plain := w.sell(ben, "102/A/1")
	for name, s := range map[string]title.Step{
		"to who does not have it":    {Ticket: plain, Epoch: 1, From: ben, To: cleo, How: title.Transfer},
		"from who did not have it":   {Ticket: last, Epoch: 3, From: ben, To: anna, How: title.Transfer},
		"of another epoch":           {Ticket: last, Epoch: 2, From: cleo, To: anna, How: title.Transfer},
		"twice":                      {Ticket: last, Epoch: 3, From: cleo, To: anna, How: title.Transfer},
		"of a void ticket":           {Ticket: first, Epoch: 2, From: anna, To: ben, How: title.Transfer},
		"to oneself":                 {Ticket: plain, Epoch: 1, From: ben, To: ben, How: title.Transfer},
		"a reseat to another":        {Ticket: plain, Epoch: 1, From: anna, To: ben, How: title.Reseat},
		"a resale after nothing":     {Ticket: plain, Epoch: 1, From: anna, To: ben, How: title.Resale},
		"a resale of a valid one":    {Ticket: plain, Epoch: 1, From: anna, To: ben, How: title.Resale, Previous: last},
		"a resale by another":        {Ticket: plain, Epoch: 1, From: cleo, To: ben, How: title.Resale, Previous: first},
		"a way that there is not":    {Ticket: plain, Epoch: 1, From: anna, To: ben, How: "loan"},
		"a price below nothing":      {Ticket: last, Epoch: 3, From: cleo, To: anna, How: title.Transfer, Price: ledger.Amount{Minor: -1, Currency: "EUR"}},
		"a note that is too long":    {Ticket: last, Epoch: 3, From: cleo, To: anna, How: title.Transfer, Note: strings.Repeat("x", title.MaxNote+1)},
		"a transfer with a follower": {Ticket: plain, Epoch: 1, From: anna, To: ben, How: title.Transfer, Previous: first},
	} {
		err := w.db.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := title.Append(ctx, tx, s)
			return err
		})
		if !errors.Is(err, title.ErrStep) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A sale that is undone: the seller has the ticket again, gives it away, and its receiver sells it.
func TestATicketWhoseSaleWasUndoneGoesOnAndIsSoldAgain(t *testing.T) {
	w := &world{t, dbtest.New(t)}
	first := w.sell(anna, "101/A/1")
	undone := w.resell(first, cleo, 9900)
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		if _, err := ticket.Void(ctx, tx, []uuid.UUID{undone}, "refund"); err != nil {
			return err
		}
		return signer.Reinstate(ctx, tx, []ticket.Ticket{w.load(first)})
	})
	verify := func(id uuid.UUID, links int) title.Chain {
		t.Helper()
		chain, err := title.Verify(t.Context(), w.db.Pool, id)
		if err != nil || len(chain) != links {
			t.Errorf("%d links, %v, want %d", len(chain), err, links)
		}
		return chain
	}
	verify(first, 1)
	verify(undone, 2)
	w.hand(first, ben)
	verify(first, 1)
	verify(undone, 2)
	again := w.resell(first, cleo, 8800)
	if chain := verify(again, 2); chain[1].Steps[0].From != ben || len(chain[0].Steps) != 1 {
		t.Errorf("sold again: %+v", chain)
	}
	verify(undone, 2)
	w.exec(`UPDATE tickets SET state = 'valid', seat = '' WHERE ticket_id = $1`, undone)
	if _, err := title.Verify(t.Context(), w.db.Pool, undone); !errors.Is(err, title.ErrBroken) {
		t.Errorf("two tickets that follow one are valid: %v", err)
	}
}

func TestTheServiceAppendsToTitlesButCannotRewriteThem(t *testing.T) {
	_, service := dbtest.Roles(t)
	w := &world{t, service}
	_, last := story(w)
	if _, err := title.Verify(t.Context(), service.Pool, last); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE title_steps SET note = note`, `UPDATE title_steps SET note = note WHERE FALSE`, `DELETE FROM title_steps`, `DELETE FROM title_steps WHERE FALSE`,
		`TRUNCATE TABLE title_steps`, `DROP TABLE title_steps`, `ALTER TABLE title_steps DROP COLUMN note`, `SELECT note FROM title_steps FOR UPDATE`,
	} {
		_, err := service.Pool.Exec(t.Context(), statement)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: got %v, want it refused for want of a privilege", statement, err)
		}
	}
}
