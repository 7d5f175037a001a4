package transfer_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/scan"
	"fairgate/core/ticket/title"
	"fairgate/core/transfer"
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var (
	arena     = lottery.EventID("arena")
	ticketKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	packKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
	errEmail  = errors.New("no address")
)

// person is somebody with an account.
type person struct {
	name    string
	entrant lottery.Entrant
	account uuid.UUID
}

func (p person) email() string { return p.name + "@example.org" }

func who(name string) person {
	p := person{name: name, account: uuid.NewSHA1(uuid.Nil, []byte(name))}
	copy(p.entrant[:], p.account[:])
	return p
}

func (p person) receiver() transfer.Receiver {
	return transfer.Receiver{Account: p.account, Email: strings.ToUpper(p.email()), Entrant: p.entrant, Mark: inventory.Mark(p.entrant)}
}

// world is an event with sold seats, whose tickets are handed on.
type world struct {
	t     *testing.T
	db    *db.DB
	s     *transfer.Service
	gates *scan.Service

	mu    sync.Mutex
	terms transfer.Terms
	mails []transfer.Mail // of transactions that may not have committed
	bad   string          // to whom no mail can be queued
	seats int
}

func newWorld(t *testing.T) *world { return newWorldIn(t, dbtest.New(t)) }

func newWorldIn(t *testing.T, d *db.DB) *world {
	w := &world{t: t, db: d, terms: transfer.Terms{Allowed: true, ClosesAt: time.Now().Add(100 * time.Hour), OfferFor: 72 * time.Hour, Most: 3,
		Limit: 4, Limits: inventory.Limits{Account: 4}}}
	w.s = w.service(d)
	w.gates = w.scanner(d)
	w.exec(`INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, 'lower', 'general', 1000, 0, 0)`, arena)
	return w
}

func (w *world) service(d *db.DB) *transfer.Service {
	return transfer.New(transfer.Config{DB: d, Issuer: w.issuer(),
		Terms: func(context.Context, uuid.UUID) (transfer.Terms, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.terms, nil
		},
		Normalize: func(email string) (string, error) {
			if !strings.Contains(email, "@") {
				return "", errEmail
			}
			return strings.ToLower(email), nil
		},
		Send: func(_ context.Context, _ pgx.Tx, m transfer.Mail) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if m.To == w.bad {
				return errEmail
			}
			w.mails = append(w.mails, m)
			return nil
		},
	})
}

func (w *world) scanner(d *db.DB) *scan.Service {
	public := lottery.PublicKey{No: 1}
	copy(public.Public[:], ticketKey.Public().(ed25519.PublicKey))
	e := scan.Event{ID: arena, Slug: "arena", Reader: &code.Reader{Event: arena, Keys: lottery.PublicKeys{public}},
		Rules: gate.Rules{ClosesAt: time.Now().Add(200 * time.Hour)}, PackKey: packKey}
	return scan.New(d, func(context.Context, uuid.UUID) (scan.Event, error) { return e, nil })
}

func (w *world) issuer() *ticket.Issuer {
	return ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
		return ticket.SigningKey{No: 1, Private: ticketKey}, nil
	})
}

func (w *world) change(do func(*transfer.Terms)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do(&w.terms)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) number(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) tx(do func(ctx context.Context, tx pgx.Tx) error) error {
	return w.db.InTx(w.t.Context(), do)
}

// sell has a person hold, pay for and get so many seats: order and hold as checkout leaves them.
func (w *world) sell(p person, n int) []ticket.Ticket {
	w.t.Helper()
	limits := inventory.Limits{Account: w.terms.Limits.Account}
	stock := inventory.New(w.db, inventory.Config{Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) {
		return inventory.Offer{Currency: "EUR", Limit: w.terms.Limit, HoldTTL: time.Hour, Limits: limits,
			Tiers: map[string]inventory.TierOffer{"lower": {Kind: inventory.Seated, PriceMinor: 8000, Allocation: "general"}}}, nil
	}}, inventory.Hooks{})
	defer stock.Close()
	var seats []string
	for range n {
		w.seats++
		seat := fmt.Sprintf("A/1/%d", w.seats)
		w.exec(`INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state) VALUES ($1, $2, 'A', '1', $3, 'lower', 'general', 'free')`, arena, seat, w.seats)
		seats = append(seats, seat)
	}
	h, err := stock.Hold(w.t.Context(), inventory.Request{Event: arena, Entrant: p.entrant, Key: uuid.NewString(), Items: []inventory.Item{{Seats: seats}},
		Marks: inventory.Marks{Account: inventory.Mark(p.entrant)}})
	if err != nil {
		w.t.Fatal(err)
	}
	order := uuid.New()
	if err := w.tx(func(ctx context.Context, tx pgx.Tx) error {
		if failed, err := inventory.Sell(ctx, tx, []uuid.UUID{h.ID}); err != nil || len(failed) > 0 {
			return errors.Join(err, failed[h.ID])
		}
		items := make([]ticket.Item, n)
		for i, seat := range seats {
			items[i] = ticket.Item{Event: arena, Order: order, Item: i, Tier: "lower", Seat: seat, Owner: p.entrant}
		}
		return w.issuer().Issue(ctx, tx, items)
	}); err != nil {
		w.t.Fatal(err)
	}
	w.exec(`INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, language, body_hash, key_id, events, created_at, updated_at)
		VALUES ($1, $2, $3, $4, 'ticket_issued', 0, 'EUR', '[]', $5, 'de', '', $1, 0, now(), now())`, order, arena, h.ID, p.entrant[:], p.email())
	tickets, err := ticket.OfOrder(w.t.Context(), w.db.Pool, order, n)
	if err != nil || len(tickets) != n {
		w.t.Fatalf("%d tickets, %v", len(tickets), err)
	}
	return tickets
}

func (w *world) load(id uuid.UUID) ticket.Ticket {
	w.t.Helper()
	t, err := ticket.Load(w.t.Context(), w.db.Pool, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) find(id uuid.UUID) transfer.Transfer {
	w.t.Helper()
	t, err := w.s.Find(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// offers is how somebody offers a ticket under a new key.
func offers(t ticket.Ticket, from, to person) transfer.Offer {
	return transfer.Offer{Ticket: t.ID, Key: uuid.NewString(), Giver: from.entrant, Account: from.account, Email: from.email(), To: to.email(), Language: "es"}
}

func (w *world) mustOffer(t ticket.Ticket, from, to person) transfer.Transfer {
	w.t.Helper()
	x, err := w.s.Offer(w.t.Context(), offers(t, from, to))
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

func (w *world) mustAccept(x transfer.Transfer, by person) {
	w.t.Helper()
	if _, err := w.s.Accept(w.t.Context(), x.ID, by.receiver()); err != nil {
		w.t.Fatal(err)
	}
}

// enter scans a ticket's present code.
func (w *world) enter(t ticket.Ticket) error {
	_, err := w.gates.Scan(w.t.Context(), scan.Gate{Event: arena, Name: "north"}, scan.Request{ID: uuid.New(), Shown: t.Code, Direction: gate.In}, time.Now())
	return err
}

// refund is what a refund does to tickets and units: package checkout adds the money.
func (w *world) refund(t ticket.Ticket) error {
	return w.tx(func(ctx context.Context, tx pgx.Tx) error {
		var hold uuid.UUID
		if err := tx.QueryRow(ctx, `SELECT hold_id FROM orders WHERE order_id = $1`, t.Order).Scan(&hold); err != nil {
			return err
		}
		voided, err := ticket.Void(ctx, tx, []uuid.UUID{t.ID}, "refund")
		if err != nil || len(voided) == 0 {
			return err
		}
		failed, err := inventory.Return(ctx, tx, []inventory.Part{{Hold: hold, Items: []inventory.Item{{Tier: t.Tier, Seats: []string{t.Seat}}}, Units: []uuid.UUID{t.ID}}})
		return errors.Join(err, failed[hold])
	})
}

// taken is how many units count for somebody: as an entrant, and as an account.
func (w *world) taken(p person) [2]int {
	w.t.Helper()
	const sql = `SELECT coalesce(sum(taken), 0)::INT8 FROM quota WHERE kind = $1 AND buyer = $2`
	return [2]int{w.number(sql, "entrant", p.entrant[:]), w.number(sql, "account", p.entrant[:])}
}

// audit tells what is wrong whatever was done: one valid code for each seat that is sold and none for another, a title that verifies, and
// counts that are the units that buyers have.
func (w *world) audit(people ...person) {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `SELECT t.ticket_id FROM tickets AS t ORDER BY t.ticket_id`)
	if err != nil {
		w.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		w.t.Fatal(err)
	}
	sold, err := w.db.Pool.Query(w.t.Context(), `SELECT seat FROM seats WHERE state = 'sold'`)
	if err != nil {
		w.t.Fatal(err)
	}
	seats, err := pgx.CollectRows(sold, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	valid, owned := map[string]int{}, map[lottery.Entrant]int{}
	public := lottery.PublicKey{No: 1}
	copy(public.Public[:], ticketKey.Public().(ed25519.PublicKey))
	for _, id := range ids {
		t := w.load(id)
		if c, err := code.Verify(t.Code, arena, lottery.PublicKeys{public}); err != nil || c.Epoch != t.Epoch || c.TicketID != t.ID {
			w.t.Errorf("ticket %s in epoch %d shows %+v, %v", id, t.Epoch, c, err)
		}
		if _, err := title.Verify(w.t.Context(), w.db.Pool, id); err != nil {
			w.t.Error(err)
		}
		if t.State == ticket.Valid || t.VoidReason == "dispute" && slices.Contains(seats, t.Seat) {
			owned[t.Owner]++ // while it is undecided the place is kept
		}
		if t.State == ticket.Valid {
			valid[t.Seat]++
		} else if t.Hold != ticket.Free {
			w.t.Errorf("ticket %s is void and %s", id, t.Hold)
		}
		open := w.number(`SELECT count(*) FROM transfers WHERE ticket_id = $1 AND state = 'offered' AND epoch = $2`, id, int64(t.Epoch))
		if (t.Hold == ticket.Offered) != (open == 1) && t.State == ticket.Valid {
			w.t.Errorf("ticket %s is %q with %d open offers", id, t.Hold, open)
		}
	}
	for seat, n := range valid {
		if n != 1 || !slices.Contains(seats, seat) {
			w.t.Errorf("seat %s has %d valid tickets, sold: %v", seat, n, slices.Contains(seats, seat))
		}
	}
	for _, p := range people {
		if got, want := w.taken(p), owned[p.entrant]; got != [2]int{want, want} {
			w.t.Errorf("%s has %d tickets, %v count", p.name, want, got)
		}
	}
}
