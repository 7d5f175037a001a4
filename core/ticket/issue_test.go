package ticket_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var errNoKey = errors.New("no key")

var testEvent = lottery.EventID("arena")

func testKey(no uint32) (ed25519.PrivateKey, lottery.PublicKey) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(no)}, ed25519.SeedSize))
	public := lottery.PublicKey{No: no}
	copy(public.Public[:], private.Public().(ed25519.PublicKey))
	return private, public
}

func issuer() *ticket.Issuer {
	return ticket.NewIssuer(func(_ context.Context, event uuid.UUID) (ticket.SigningKey, error) {
		if event != testEvent {
			return ticket.SigningKey{}, errNoKey
		}
		private, public := testKey(3)
		return ticket.SigningKey{No: public.No, Private: private}, nil
	})
}

func issue(t *testing.T, d *db.DB, items ...ticket.Item) error {
	t.Helper()
	return d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return issuer().Issue(ctx, tx, items) })
}

func items(order uuid.UUID, seats ...string) []ticket.Item {
	all := make([]ticket.Item, len(seats))
	for i, seat := range seats {
		all[i] = ticket.Item{Event: testEvent, Order: order, Item: i, Tier: "lower", Seat: seat, Owner: lottery.Entrant{1, 2, 3}}
	}
	return all
}

func TestEveryItemGetsATicketWhoseCodeVerifies(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	if err := issue(t, d, items(order, "101/A/1", "101/A/2", "")...); err != nil {
		t.Fatal(err)
	}
	tickets, err := ticket.OfOrder(t.Context(), d.Pool, order, 1500)
	if err != nil || len(tickets) != 3 {
		t.Fatalf("got %d tickets, %v", len(tickets), err)
	}
	_, public := testKey(3)
	for i, x := range tickets {
		if x.ID != ticket.TicketID(order, i) || x.Item != i || x.State != ticket.Valid || x.Owner != (lottery.Entrant{1, 2, 3}) || x.IssuedAt.IsZero() {
			t.Errorf("ticket %d is %+v", i, x)
		}
		c, err := code.Verify(x.Code, testEvent, lottery.PublicKeys{public})
		if err != nil || c.TicketID != x.ID || c.Epoch != x.Epoch || c.KeyNo != x.KeyNo || c.Place != code.Place(x.Tier, x.Seat) {
			t.Errorf("code %d is %+v, %v", i, c, err)
		}
		if one, err := ticket.Load(t.Context(), d.Pool, x.ID); err != nil || one != x {
			t.Errorf("loaded %+v, %v", one, err)
		}
	}
}

func TestIssuingTwiceIsIssuingOnce(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	all := items(order, "101/A/1", "101/A/2")
	for _, batch := range [][]ticket.Item{all[:1], append(all, all...), all, nil} {
		if err := issue(t, d, batch...); err != nil {
			t.Fatal(err)
		}
	}
	if tickets, err := ticket.OfOrder(t.Context(), d.Pool, order, 1500); err != nil || len(tickets) != 2 {
		t.Errorf("got %d tickets, %v", len(tickets), err)
	}
}

func TestATicketIsNotIssuedDifferently(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	all := items(order, "101/A/1")
	if err := issue(t, d, all...); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ticket.Item){
		"seat":  func(i *ticket.Item) { i.Seat = "101/A/9" },
		"tier":  func(i *ticket.Item) { i.Tier = "upper" },
		"owner": func(i *ticket.Item) { i.Owner[0]++ },
		"event": func(i *ticket.Item) { i.Event = uuid.New() },
	} {
		other := all[0]
		change(&other)
		if err := issue(t, d, append(items(uuid.New(), "101/B/1"), other)...); !errors.Is(err, ticket.ErrMismatch) {
			t.Errorf("other %s: %v", name, err)
		}
	}
	var count int
	if err := d.Pool.QueryRow(t.Context(), `SELECT count(*) FROM tickets`).Scan(&count); err != nil || count != 1 {
		t.Errorf("there are %d tickets, %v", count, err)
	}
}

func TestOneSeatHasOneValidTicket(t *testing.T) {
	d := dbtest.New(t)
	if err := issue(t, d, items(uuid.New(), "101/A/1", "")...); err != nil {
		t.Fatal(err)
	}
	if err := issue(t, d, items(uuid.New(), "", "101/A/1")...); !errors.Is(err, ticket.ErrSeatTaken) {
		t.Errorf("got %v", err)
	}
	if err := issue(t, d, items(uuid.New(), "", "")...); err != nil {
		t.Errorf("general admission: %v", err)
	}
}

func TestABatchMayBeLargerThanAStatement(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	seats := make([]string, 1500)
	for i := range seats {
		seats[i] = fmt.Sprintf("101/A/%d", i+1)
	}
	if err := issue(t, d, items(order, seats...)...); err != nil {
		t.Fatal(err)
	}
	if tickets, err := ticket.OfOrder(t.Context(), d.Pool, order, 1500); err != nil || len(tickets) != 1500 {
		t.Errorf("got %d tickets, %v", len(tickets), err)
	}
}

func TestAnEventWithoutAKeyIssuesNothing(t *testing.T) {
	d, all := dbtest.New(t), items(uuid.New(), "101/A/1")
	all[0].Event = uuid.New()
	if err := issue(t, d, all...); !errors.Is(err, errNoKey) {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownTicketIsUnknown(t *testing.T) {
	d := dbtest.New(t)
	if _, err := ticket.Load(t.Context(), d.Pool, uuid.New()); !errors.Is(err, ticket.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if tickets, err := ticket.OfOrder(t.Context(), d.Pool, uuid.New(), 5); err != nil || len(tickets) != 0 {
		t.Errorf("got %v, %v", tickets, err)
	}
}
