package checkout

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/title"
	"fairgate/edge/lottery"
)

func seated(names ...string) inventory.Item { return inventory.Item{Seats: names} }

func (s *shop) move(n *node, id uuid.UUID, seat string) (SeatMoved, error) {
	return n.MoveSeat(context.Background(), SeatMove{Ticket: id, Seat: seat, Reason: "a pillar", Actor: "operator:ann"})
}

func (s *shop) ticket(id uuid.UUID) ticket.Ticket {
	s.t.Helper()
	t, err := ticket.Load(context.Background(), s.db.Pool, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// quiet waits until no refund is under way, and audits.
func (s *shop) quiet() {
	s.t.Helper()
	s.eventually("refunds have ended", func() bool {
		return s.count(`SELECT count(*) FROM refunds WHERE state IN ('requested', 'pending')`) == 0
	})
	s.audit()
}

// enters is what a scan writes when a ticket enters.
func (s *shop) enters(ctx context.Context, tx pgx.Tx, id uuid.UUID, epoch uint32) error {
	var now uint32
	if err := tx.QueryRow(ctx, `SELECT epoch FROM tickets WHERE ticket_id = $1`, id).Scan(&now); err != nil || now != epoch {
		return errors.Join(err, errors.New("superseded"))
	}
	_, err := tx.Exec(ctx, `INSERT INTO entries (ticket_id, zone, event_id, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
		VALUES ($1, '', $2, 1, 0, true, $1, 'north', now(), $1, 'north', now())`, id, s.event)
	return err
}

func TestATicketGetsAnotherSeatAndANewCode(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, seated("A/1/1", "A/1/2"), floor(1))
	id := ticket.TicketID(o.ID, 0)
	was := s.ticket(id)
	for range 2 { // the answer was lost: asked again it is the same
		moved, err := s.move(n, id, "A/1/4")
		if err != nil || moved.Ticket.Seat != "A/1/4" || moved.Ticket.Epoch != 2 || moved.Order != o.ID {
			t.Fatalf("%+v, %v", moved, err)
		}
	}
	now := s.ticket(id)
	c, err := code.Parse(now.Code)
	if err != nil || c.Place != "A/1/4" || c.Epoch != 2 || now.Code == was.Code || now.Owner != was.Owner {
		t.Errorf("%+v, %v", c, err)
	}
	if got, err := n.Find(context.Background(), o.ID); err != nil || got.Lines[0].Seat != "A/1/4" || got.State != TicketIssued || got.Amount != o.Amount {
		t.Errorf("%+v, %v", got, err)
	}
	history, err := n.History(context.Background(), o.ID)
	if last := history[len(history)-1]; err != nil || last.Cause != CauseSeatMoved || last.Actor != "operator:ann" || !strings.Contains(last.Reason, "A/1/1 to A/1/4: a pillar") {
		t.Errorf("%+v, %v", last, err)
	}
	if steps := s.count(`SELECT count(*) FROM title_steps WHERE ticket_id = $1 AND how = 'reseat'`, id); steps != 1 {
		t.Errorf("%d steps of title", steps)
	}
	if mails := s.count(`SELECT count(*) FROM mails WHERE kind = 'ticket_moved' AND subject_id = $1`, id); mails != 1 {
		t.Errorf("%d mails", mails)
	}
	if free := s.count(`SELECT count(*) FROM seats WHERE seat = 'A/1/1' AND state = 'free'`); free != 1 {
		t.Error("the old seat is not on sale again")
	}
	s.quiet()
	again := s.sold(n, lottery.Entrant{2}, seated("A/1/1"))
	if _, err := s.move(n, ticket.TicketID(again.ID, 0), "A/1/3"); err != nil {
		t.Error(err)
	}
	if _, err := n.Refund(context.Background(), RefundRequest{Order: o.ID, Key: "r", Tickets: []uuid.UUID{id}, Reason: "ill", Actor: "operator:ann"}); err != nil {
		t.Fatal(err)
	}
	if free := s.count(`SELECT count(*) FROM seats WHERE seat = 'A/1/4' AND state = 'free'`); free != 1 {
		t.Error("the seat of the refunded ticket is not on sale again")
	}
	s.quiet()
}

func TestASeatIsNotChangedWhereThatWouldBreakAPromise(t *testing.T) {
	s := newShop(t)
	s.exists("active")
	n := s.open(true)
	o := s.sold(n, buyer, seated("A/1/1"), floor(1))
	id := ticket.TicketID(o.ID, 0)
	s.hold(n, lottery.Entrant{2}, "k", seated("A/1/2"))
	s.sold(n, lottery.Entrant{3}, seated("A/1/3"))
	refused := func(name string, id uuid.UUID, seat string, want error) {
		t.Helper()
		if _, err := s.move(n, id, seat); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("held", id, "A/1/2", inventory.ErrSeatHeld)
	refused("sold", id, "A/1/3", inventory.ErrSeatTaken)
	refused("unknown", id, "Z/1/1", inventory.ErrSeatUnknown)
	refused("a place without a number", ticket.TicketID(o.ID, 1), "A/1/4", ErrNoSeat)
	refused("an unknown ticket", uuid.New(), "A/1/4", ticket.ErrUnknown)
	if _, err := n.MoveSeat(context.Background(), SeatMove{Ticket: id, Seat: "A/1/4", Reason: "  "}); !errors.Is(err, ErrReason) {
		t.Errorf("without a reason: %v", err)
	}
	for hold, want := range map[string]error{"listed": ticket.ErrListed, "offered": ticket.ErrOffered} {
		s.exec(`UPDATE tickets SET hold = $2 WHERE ticket_id = $1`, id, hold)
		refused(hold, id, "A/1/4", want)
	}
	s.exec(`UPDATE tickets SET hold = '' WHERE ticket_id = $1`, id)
	if err := s.db.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error { return s.enters(ctx, tx, id, 1) }); err != nil {
		t.Fatal(err)
	}
	refused("scanned in", id, "A/1/4", ticket.ErrEntered)
	s.exec(`DELETE FROM entries`)
	s.exec(`UPDATE events SET state = 'cancelled', revision = revision + 1`)
	refused("of a cancelled event", id, "A/1/4", ErrEventCancelled)
	if got := s.ticket(id); got.Epoch != 1 || got.Seat != "A/1/1" {
		t.Errorf("%+v", got)
	}
	s.exec(`UPDATE events SET state = 'active', revision = revision + 1`)
	if _, err := n.Refund(context.Background(), RefundRequest{Order: o.ID, Key: "r", Tickets: []uuid.UUID{id}, Reason: "ill", Actor: "operator:ann"}); err != nil {
		t.Fatal(err)
	}
	refused("void", id, "A/1/4", ticket.ErrVoid)
	s.quiet()
}

// At one instant an operator changes the seat, a gate scans the old code, a buyer wants the new seat, the ticket is refunded and
// given away. Whatever comes first, everything agrees afterwards.
func TestASeatChangeAtTheSameInstantAsEverythingElse(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	for round := range 4 {
		who := lottery.Entrant{byte(10 + round)}
		o := s.sold(n, who, seated("A/1/1"))
		id := ticket.TicketID(o.ID, 0)
		was := s.ticket(id)
		var moved, entered, held, refunded, given bool
		ctx := context.Background()
		var wg sync.WaitGroup
		wg.Go(func() { _, err := s.move(n, id, "A/1/2"); moved = err == nil })
		wg.Go(func() {
			entered = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.enters(ctx, tx, id, 1) }) == nil
		})
		wg.Go(func() {
			_, err := n.stock.Hold(ctx, inventory.Request{Event: s.event, Entrant: lottery.Entrant{byte(100 + round)}, Key: "k", Items: []inventory.Item{seated("A/1/2")}})
			held = err == nil
		})
		wg.Go(func() {
			_, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "r", Reason: "ill", Actor: "operator:ann"})
			refunded = err == nil
		})
		wg.Go(func() {
			given = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
				now, err := ticket.Load(ctx, tx, id)
				if err != nil || now.State != ticket.Valid {
					return errors.Join(err, errors.New("void"))
				}
				if err := n.issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: now, Owner: lottery.Entrant{200}}}); err != nil {
					return err
				}
				_, err = title.Append(ctx, tx, title.Step{Ticket: id, Epoch: now.Epoch + 1, From: now.Owner, To: lottery.Entrant{200}, How: title.Transfer})
				return err
			}) == nil
		})
		wg.Wait()
		now := s.ticket(id)
		if moved && held {
			t.Errorf("round %d: the seat was moved to and held", round)
		}
		if moved != (now.Seat == "A/1/2") {
			t.Errorf("round %d: moved %v, and the seat is %s", round, moved, now.Seat)
		}
		if entered && moved && s.count(`SELECT count(*) FROM entries AS e JOIN title_steps AS s ON s.ticket_id = e.ticket_id WHERE s.how = 'reseat' AND s.at > e.first_at`) > 0 {
			t.Errorf("round %d: the seat of a ticket that was inside was changed", round)
		}
		epochs := uint32(1)
		for _, did := range []bool{moved, given} {
			if did {
				epochs++
			}
		}
		if now.Epoch != epochs || (now.Code == was.Code) != (epochs == 1) {
			t.Errorf("round %d: epoch %d, moved %v, given %v", round, now.Epoch, moved, given)
		}
		if refunded != (now.State == ticket.Voided) {
			t.Errorf("round %d: refunded %v, and the ticket is %s", round, refunded, now.State)
		}
		s.quiet()
		if !refunded {
			if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "end", Reason: "next round", Actor: "operator:ann"}); err != nil {
				t.Fatal(err)
			}
		}
		if held {
			s.eventually("the hold ends", func() bool {
				ids, err := n.stock.ActiveHolds(ctx, s.event)
				if err != nil || len(ids) == 0 {
					return err == nil
				}
				_ = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { _, err := inventory.Release(ctx, tx, ids); return err })
				return false
			})
		}
		s.quiet()
	}
}
