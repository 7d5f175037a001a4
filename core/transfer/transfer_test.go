package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/title"
	"fairgate/core/transfer"
	"fairgate/edge/lottery"
)

func TestAnAcceptedTicketIsItsReceiversAndTheCodeBeforeIsDead(t *testing.T) {
	w := newWorld(t)
	anna, ben := who("anna"), who("ben")
	tickets := w.sell(anna, 2)
	x := w.mustOffer(tickets[0], anna, ben)
	if x.State != transfer.Offered || x.To != "ben@example.org" || x.ExpiresAt.Sub(x.CreatedAt) != 72*time.Hour || x.Seat != tickets[0].Seat {
		t.Errorf("the offer: %+v", x)
	}
	if held := w.load(tickets[0].ID); held.Hold != ticket.Offered || held.Owner != anna.entrant || held.Code != tickets[0].Code {
		t.Errorf("while it is offered: %+v", held)
	}
	w.audit(anna, ben)
	done, err := w.s.Accept(t.Context(), x.ID, ben.receiver())
	if err != nil || done.State != transfer.Accepted || done.Owner != ben.entrant || done.Account != ben.account || done.ClosedAt.IsZero() {
		t.Fatalf("%+v, %v", done, err)
	}
	again, err := w.s.Accept(t.Context(), x.ID, ben.receiver())
	if err != nil || again.Owner != ben.entrant {
		t.Errorf("accepted again: %+v, %v", again, err)
	}
	now := w.load(tickets[0].ID)
	if now.Owner != ben.entrant || now.Epoch != 2 || now.Hold != ticket.Free || now.Seat != tickets[0].Seat {
		t.Errorf("the ticket: %+v", now)
	}
	if err := w.enter(tickets[0]); !errors.Is(err, gate.ErrSuperseded) {
		t.Errorf("the code before: %v", err)
	}
	if err := w.enter(now); err != nil {
		t.Errorf("the code now: %v", err)
	}
	chain, err := title.Verify(t.Context(), w.db.Pool, now.ID)
	if err != nil || len(chain) != 1 || len(chain[0].Steps) != 1 || chain[0].Steps[0].From != anna.entrant || chain[0].Steps[0].To != ben.entrant {
		t.Errorf("the title: %+v, %v", chain, err)
	}
	if anna, ben := w.taken(anna), w.taken(ben); anna != [2]int{1, 1} || ben != [2]int{1, 1} {
		t.Errorf("counted: %v and %v", anna, ben)
	}
	kinds := ""
	for _, m := range w.mails {
		kinds += m.Kind + " to " + m.To + " in " + m.Language + "; "
	}
	if kinds != "transfer_offer to ben@example.org in es; transfer_accepted to anna@example.org in de; " {
		t.Errorf("mails: %s", kinds)
	}
	w.audit(anna, ben)
}

func TestEveryOfferThatMayNotBeIsRefusedWithItsOwnReason(t *testing.T) {
	w := newWorld(t)
	anna, ben, cleo := who("anna"), who("ben"), who("cleo")
	tickets := w.sell(anna, 4)
	fresh, listed, entered, void := tickets[0], tickets[1], tickets[2], tickets[3]
	if err := w.tx(func(ctx context.Context, tx pgx.Tx) error { return ticket.SetAside(ctx, tx, listed, ticket.Listed) }); err != nil {
		t.Fatal(err)
	}
	if err := w.enter(entered); err != nil {
		t.Fatal(err)
	}
	if err := w.refund(void); err != nil {
		t.Fatal(err)
	}
	offer := func(name string, q transfer.Offer, want error) {
		t.Helper()
		if _, err := w.s.Offer(t.Context(), q); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	offer("a listed ticket", offers(listed, anna, ben), ticket.ErrListed)
	offer("after entry", offers(entered, anna, ben), ticket.ErrEntered)
	offer("a void ticket", offers(void, anna, ben), ticket.ErrVoid)
	offer("a stranger's", offers(fresh, ben, cleo), ticket.ErrUnknown)
	offer("no ticket", offers(ticket.Ticket{ID: uuid.New()}, anna, ben), ticket.ErrUnknown)
	offer("to oneself", offers(fresh, anna, anna), transfer.ErrSelf)
	shouted := offers(fresh, anna, anna)
	shouted.To = strings.ToUpper(anna.email())
	offer("to oneself, loudly", shouted, transfer.ErrSelf)
	unsigned := offers(fresh, anna, anna)
	unsigned.Account, unsigned.Email = uuid.Nil, ""
	offer("to the address of one's order", unsigned, transfer.ErrSelf)
	nowhere := offers(fresh, anna, ben)
	nowhere.To = "ben"
	offer("to no address", nowhere, errEmail)

	w.change(func(t *transfer.Terms) { t.Allowed = false })
	offer("where it is not allowed", offers(fresh, anna, ben), transfer.ErrForbidden)
	w.change(func(t *transfer.Terms) { t.Allowed, t.Cancelled = true, true })
	offer("of a cancelled event", offers(fresh, anna, ben), transfer.ErrCancelled)
	w.change(func(t *transfer.Terms) { t.Cancelled, t.ClosesAt = false, time.Now().Add(-time.Second) })
	offer("too late", offers(fresh, anna, ben), transfer.ErrClosed)
	w.change(func(t *transfer.Terms) { t.ClosesAt = time.Now().Add(time.Hour) })

	q := offers(fresh, anna, ben)
	first, err := w.s.Offer(t.Context(), q)
	if err != nil || first.ExpiresAt.After(time.Now().Add(time.Hour)) {
		t.Fatalf("until doors: %+v, %v", first, err)
	}
	if again, err := w.s.Offer(t.Context(), q); err != nil || again.ID != first.ID {
		t.Errorf("the same key: %+v, %v", again, err)
	}
	other := q
	other.To = cleo.email()
	offer("the same key for another", other, transfer.ErrKeyReused)
	offer("twice", offers(fresh, anna, cleo), ticket.ErrOffered)
	w.audit(anna, ben, cleo)
}

func TestEveryAcceptanceThatMayNotBeIsRefusedWithItsOwnReason(t *testing.T) {
	w := newWorld(t)
	anna, ben, cleo := who("anna"), who("ben"), who("cleo")
	tickets := w.sell(anna, 4)
	w.sell(ben, 3)
	accept := func(name string, id uuid.UUID, by person, want error) {
		t.Helper()
		if _, err := w.s.Accept(t.Context(), id, by.receiver()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	accept("no offer", uuid.New(), ben, transfer.ErrUnknown)
	x := w.mustOffer(tickets[0], anna, ben)
	accept("by somebody else", x.ID, cleo, transfer.ErrOther)
	accept("by the giver", x.ID, anna, transfer.ErrOther)
	self := ben.receiver()
	self.Entrant = anna.entrant
	if _, err := w.s.Accept(t.Context(), x.ID, self); !errors.Is(err, transfer.ErrSelf) {
		t.Errorf("by the giver under another address: %v", err)
	}
	w.change(func(t *transfer.Terms) { t.ClosesAt = time.Now().Add(-time.Second) })
	accept("after the doors were moved forward", x.ID, ben, transfer.ErrClosed)
	w.change(func(t *transfer.Terms) { t.ClosesAt, t.Cancelled = time.Now().Add(time.Hour), true })
	accept("of an event that was cancelled", x.ID, ben, transfer.ErrCancelled)
	w.change(func(t *transfer.Terms) { t.Cancelled = false })
	w.mustAccept(x, ben)
	accept("by somebody else, afterwards", x.ID, cleo, transfer.ErrOther)

	over := w.mustOffer(tickets[1], anna, ben)
	var limit *inventory.OverLimit
	if _, err := w.s.Accept(t.Context(), over.ID, ben.receiver()); !errors.Is(err, transfer.ErrOverLimit) || !errors.As(err, &limit) || limit.Left != 0 || limit.Limit != 4 {
		t.Errorf("over the limit: %v, %+v", err, limit)
	}
	if now := w.load(tickets[1].ID); now.Owner != anna.entrant || now.Hold != ticket.Offered || w.find(over.ID).State != transfer.Offered {
		t.Errorf("after it was refused: %+v", now)
	}
	if _, err := w.s.Cancel(t.Context(), over.ID, ben.entrant); !errors.Is(err, transfer.ErrUnknown) {
		t.Errorf("cancelled by somebody else: %v", err)
	}
	if _, err := w.s.Cancel(t.Context(), over.ID, anna.entrant); err != nil {
		t.Error(err)
	}
	if _, err := w.s.Cancel(t.Context(), over.ID, anna.entrant); err != nil {
		t.Errorf("cancelled again: %v", err)
	}
	accept("a cancelled one", over.ID, ben, transfer.ErrOver)
	if now := w.load(tickets[1].ID); now.Hold != ticket.Free || now.Epoch != 1 {
		t.Errorf("after it was cancelled: %+v", now)
	}

	declined := w.mustOffer(tickets[1], anna, cleo)
	if _, err := w.s.Decline(t.Context(), declined.ID, ben.receiver()); !errors.Is(err, transfer.ErrOther) {
		t.Errorf("declined by somebody else: %v", err)
	}
	for range 2 {
		if d, err := w.s.Decline(t.Context(), declined.ID, cleo.receiver()); err != nil || d.State != transfer.Declined {
			t.Errorf("declined: %+v, %v", d, err)
		}
	}
	accept("a declined one", declined.ID, cleo, transfer.ErrOver)
	if _, err := w.s.Cancel(t.Context(), declined.ID, anna.entrant); !errors.Is(err, transfer.ErrOver) {
		t.Errorf("cancelled after it was declined: %v", err)
	}

	inside := w.mustOffer(tickets[1], anna, cleo)
	if err := w.enter(tickets[1]); err != nil {
		t.Fatal(err)
	}
	accept("after entry", inside.ID, cleo, ticket.ErrEntered)
	gone := w.mustOffer(tickets[2], anna, cleo)
	if err := w.refund(tickets[2]); err != nil {
		t.Fatal(err)
	}
	accept("of a void ticket", gone.ID, cleo, ticket.ErrVoid)
	late := w.mustOffer(tickets[3], anna, cleo)
	w.exec(`UPDATE transfers SET expires_at = now() - INTERVAL '1 second' WHERE transfer_id = $1`, late.ID)
	accept("an expired one", late.ID, cleo, transfer.ErrExpired)
	if n, err := w.s.Sweep(t.Context()); n != 3 || err != nil {
		t.Errorf("%d ended, %v", n, err)
	}
	for x, want := range map[uuid.UUID]string{inside.ID: "ended: the ticket has entered", gone.ID: "ended: the ticket is void", late.ID: "expired: "} {
		if got := w.find(x); fmt.Sprintf("%s: %s", got.State, got.Reason) != want {
			t.Errorf("got %s: %s, want %s", got.State, got.Reason, want)
		}
	}
	accept("one that was found expired", late.ID, cleo, transfer.ErrExpired)
	if n, err := w.s.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("%d ended again, %v", n, err)
	}
	w.audit(anna, ben, cleo)
}

func TestAnOfferThatCannotBeEndedKeepsNoOtherWaiting(t *testing.T) {
	w := newWorld(t)
	anna, ben, cleo := who("anna"), who("ben"), who("cleo")
	x, y := w.sell(anna, 1)[0], w.sell(ben, 1)[0]
	stuck, later := w.mustOffer(x, anna, cleo), w.mustOffer(y, ben, cleo)
	w.exec(`UPDATE transfers SET expires_at = now() - INTERVAL '2 hours' WHERE transfer_id = $1`, stuck.ID)
	w.exec(`UPDATE transfers SET expires_at = now() - INTERVAL '1 hour' WHERE transfer_id = $1`, later.ID)
	// As many that fail as one look lists, before the one that can be ended: their giver is none.
	w.exec(`INSERT INTO tickets (ticket_id, event_id, order_id, item, tier, seat, owner, epoch, key_no, code, state, issued_at)
		SELECT gen_random_uuid(), event_id, gen_random_uuid(), 0, tier, 'bad ' || n, owner, 1, 1, '', 'void', now() FROM tickets, generate_series(1, 100) AS n WHERE ticket_id = $1`, x.ID)
	w.exec(`INSERT INTO transfers (transfer_id, event_id, ticket_id, epoch, tier, seat, giver, giver_email, giver_language, receiver, language, state, reason, owner,
			body_hash, created_at, expires_at)
		SELECT gen_random_uuid(), x.event_id, t.ticket_id, 1, x.tier, t.seat, 'x', '', 'en', x.receiver, 'en', 'offered', '', '', '', x.created_at, x.expires_at
		FROM transfers AS x, tickets AS t WHERE x.transfer_id = $1 AND t.seat LIKE 'bad %'`, stuck.ID)
	w.bad = anna.email()
	n, err := w.s.Sweep(t.Context())
	if n != 1 || err == nil || w.find(stuck.ID).State != transfer.Offered || w.find(later.ID).State != transfer.Expired {
		t.Errorf("%d ended, %v; the later one is %s", n, err, w.find(later.ID).State)
	}
	w.exec(`DELETE FROM transfers WHERE giver = 'x'`)
	w.bad = ""
	if n, err := w.s.Sweep(t.Context()); n != 1 || err != nil || w.find(stuck.ID).State != transfer.Expired {
		t.Errorf("when it can be ended: %d, %v", n, err)
	}
}

func TestWhoWasOfferedATicketThatIsGoneIsToldOnce(t *testing.T) {
	w := newWorld(t)
	anna, ben := who("anna"), who("ben")
	void, entered, standing := w.sell(anna, 1)[0], w.sell(anna, 1)[0], w.sell(anna, 1)[0]
	gone, inside := w.mustOffer(void, anna, ben), w.mustOffer(entered, anna, ben)
	w.mustOffer(standing, anna, ben)
	if err := errors.Join(w.refund(void), w.enter(entered)); err != nil {
		t.Fatal(err)
	}
	w.mails = nil
	for range 2 {
		if _, err := w.s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	told := map[uuid.UUID]int{}
	for _, m := range w.mails {
		if told[m.Transfer]++; m.Kind != "transfer_cancelled" || m.To != ben.email() || m.Language != "es" {
			t.Errorf("mailed %+v", m)
		}
	}
	if len(told) != 2 || told[gone.ID] != 1 || told[inside.ID] != 1 {
		t.Errorf("told of %v", told)
	}
}

func TestATicketIsHandedOnAsOftenAsTheEventAllowsAndOfferedNoMoreThanIsBounded(t *testing.T) {
	w := newWorld(t)
	w.change(func(t *transfer.Terms) { t.Most = 2 })
	anna, ben, cleo := who("anna"), who("ben"), who("cleo")
	x := w.sell(anna, 1)[0]
	w.mustAccept(w.mustOffer(x, anna, ben), ben)
	back := w.mustOffer(x, ben, anna)
	w.mustAccept(back, anna)
	if now := w.load(x.ID); now.Owner != anna.entrant || now.Epoch != 3 {
		t.Errorf("given back: %+v", now)
	}
	w.audit(anna, ben)
	if _, err := w.s.Offer(t.Context(), offers(x, anna, cleo)); !errors.Is(err, transfer.ErrTooOften) {
		t.Errorf("a third time: %v", err)
	}
	y := w.sell(anna, 1)[0]
	for range transfer.MaxPerTicket {
		if _, err := w.s.Cancel(t.Context(), w.mustOffer(y, anna, cleo).ID, anna.entrant); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.s.Offer(t.Context(), offers(y, anna, cleo)); !errors.Is(err, transfer.ErrTooMany) {
		t.Errorf("one offer too many of a ticket: %v", err)
	}
	z := w.sell(anna, 1)[0]
	w.exec(`INSERT INTO transfers (transfer_id, event_id, ticket_id, epoch, tier, seat, giver, giver_account, giver_email, giver_language, receiver, language, state,
		reason, account_id, owner, body_hash, created_at, expires_at, closed_at)
		SELECT gen_random_uuid(), $1, gen_random_uuid(), 1, 'lower', '', '\x00', $2, '', '', 'x@example.org', '', 'declined', '', NULL, '', '', now(), now(), now()
		FROM generate_series(1, $3::INT8)`, arena, anna.account, transfer.MaxPerDay)
	if _, err := w.s.Offer(t.Context(), offers(z, anna, cleo)); !errors.Is(err, transfer.ErrTooMany) {
		t.Errorf("one offer too many of an account: %v", err)
	}
	w.exec(`UPDATE transfers SET created_at = now() - INTERVAL '25 hours'`)
	w.mustOffer(z, anna, cleo)
}

func TestARefundOfATicketThatWasHandedOnUncountsItsHolder(t *testing.T) {
	w := newWorld(t)
	anna, ben, cleo := who("anna"), who("ben"), who("cleo")
	tickets := w.sell(anna, 4)
	w.mustAccept(w.mustOffer(tickets[0], anna, ben), ben)
	w.mustAccept(w.mustOffer(tickets[0], ben, cleo), cleo)
	w.mustAccept(w.mustOffer(tickets[1], anna, ben), ben)
	w.sell(anna, 2) // there is room again
	w.audit(anna, ben, cleo)
	if err := w.refund(w.load(tickets[0].ID)); err != nil {
		t.Fatal(err)
	}
	w.audit(anna, ben, cleo)
	if err := w.tx(func(ctx context.Context, tx pgx.Tx) error { // a lost dispute puts the rest back on sale
		var hold uuid.UUID
		if err := tx.QueryRow(ctx, `SELECT hold_id FROM orders WHERE order_id = $1`, tickets[0].Order).Scan(&hold); err != nil {
			return err
		}
		ids := []uuid.UUID{tickets[1].ID, tickets[2].ID, tickets[3].ID}
		if _, err := ticket.Void(ctx, tx, ids, "dispute"); err != nil {
			return err
		}
		failed, err := inventory.Unsell(ctx, tx, []uuid.UUID{hold})
		return errors.Join(err, failed[hold])
	}); err != nil {
		t.Fatal(err)
	}
	w.audit(anna, ben, cleo)
	if n := w.number(`SELECT count(*) FROM passed_units`); n != 0 {
		t.Errorf("%d units are remembered that are back on sale", n)
	}
}

func TestADisputeVoidsTheTicketWhoeverHasItAndWonItIsTheHolders(t *testing.T) {
	w := newWorld(t)
	anna, ben := who("anna"), who("ben")
	x := w.sell(anna, 1)[0]
	w.mustAccept(w.mustOffer(x, anna, ben), ben)
	held := w.load(x.ID)
	if err := w.tx(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ticket.Void(ctx, tx, []uuid.UUID{x.ID}, "dispute")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.enter(held); !errors.Is(err, gate.ErrVoid) {
		t.Errorf("while it is disputed: %v", err)
	}
	gone := w.load(x.ID)
	if err := w.tx(func(ctx context.Context, tx pgx.Tx) error {
		return w.issuer().Reinstate(ctx, tx, []ticket.Ticket{gone})
	}); err != nil {
		t.Fatal(err)
	}
	now := w.load(x.ID)
	if now.Owner != ben.entrant || now.Epoch != 3 {
		t.Errorf("won: %+v", now)
	}
	if err := w.enter(now); err != nil {
		t.Errorf("the holder: %v", err)
	}
	w.audit(anna, ben)
}

func TestListsAreOfBothDirectionsAndMaskTheGiver(t *testing.T) {
	w := newWorld(t)
	anna, ben := who("anna"), who("ben")
	tickets := w.sell(anna, 2)
	x := w.mustOffer(tickets[0], anna, ben)
	given, received, err := w.s.Of(t.Context(), transfer.Party{Email: "BEN@example.org", Account: ben.account})
	if err != nil || len(given) != 0 || len(received) != 1 || received[0].ID != x.ID {
		t.Errorf("the receiver: %v, %v, %v", given, received, err)
	}
	for name, p := range map[string]transfer.Party{
		"as an entrant": {Owners: []lottery.Entrant{anna.entrant}}, "as an account": {Email: anna.email(), Account: anna.account},
		"as both": {Email: anna.email(), Account: anna.account, Owners: []lottery.Entrant{anna.entrant}},
	} {
		given, received, err := w.s.Of(t.Context(), p)
		if err != nil || len(given) != 1 || given[0].ID != x.ID || len(received) != 0 {
			t.Errorf("the giver %s: %v, %v, %v", name, given, received, err)
		}
	}
	if given, received, err := w.s.Of(t.Context(), transfer.Party{}); err != nil || len(given)+len(received) != 0 {
		t.Errorf("nobody: %v, %v, %v", given, received, err)
	}
	for email, want := range map[string]string{"anna@example.org": "a…@example.org", "é@x.org": "é…@x.org", "": ""} {
		if got := transfer.Masked(email); got != want {
			t.Errorf("%q is shown as %q, want %q", email, got, want)
		}
	}
}
