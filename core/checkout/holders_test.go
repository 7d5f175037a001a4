package checkout

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
	"fairgate/edge/lottery"
)

// signedUp makes an account whose entrant in the shop's event is who.
func (s *shop) signedUp(who lottery.Entrant, email string) {
	s.t.Helper()
	id := uuid.New()
	s.exec(`INSERT INTO accounts (account_id, email, email_written, secret, language, epoch, created_at) VALUES ($1, $2, $2, $3, 'de', 1, now())`, id, email, id[:])
	s.exec(`INSERT INTO account_entrants (account_id, event_id, entrant, since) VALUES ($1, $2, $3, now())`, id, s.event, who[:])
}

// gives hands a ticket on, as package transfer does.
func (s *shop) gives(n *node, o Order, item int, to lottery.Entrant) uuid.UUID {
	s.t.Helper()
	id := ticket.TicketID(o.ID, item)
	if err := s.db.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		x, err := ticket.Load(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := inventory.Pass(ctx, tx, inventory.Passing{Unit: x.ID, Hold: o.Hold, To: to, Limit: 4}); err != nil {
			return err
		}
		if err := n.issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: x, Owner: to}}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO transfers (transfer_id, event_id, ticket_id, epoch, tier, seat, giver, giver_email, giver_language, receiver, language, state, reason, owner, body_hash, created_at, expires_at, closed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, '', '', 'receiver', '', 'accepted', '', $8, $8, now(), now(), now())`, uuid.New(), s.event, x.ID, int64(x.Epoch), x.Tier, x.Seat, x.Owner[:], to[:]); err != nil {
			return err
		}
		_, err = title.Append(ctx, tx, title.Step{Ticket: x.ID, Epoch: x.Epoch + 1, From: x.Owner, To: to, How: title.Transfer})
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// news are the mails to holders: what of which ticket to whom, and that nothing of whoever paid is in them.
func (s *shop) news() (told []string) {
	s.t.Helper()
	rows, err := s.db.Reader.Query(context.Background(), `SELECT recipient, language, subject_id, data FROM mails WHERE kind = 'ticket_news' ORDER BY created_at, data, subject_id`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var to, language, data string
		var id uuid.UUID
		if err := rows.Scan(&to, &language, &id, &data); err != nil {
			s.t.Fatal(err)
		}
		if strings.Contains(data, "@") || strings.Contains(data, "minor") || language != "de" {
			s.t.Errorf("a mail in %s has %s", language, data)
		}
		_, what, _ := strings.Cut(data, `"what":"`)
		what, _, _ = strings.Cut(what, `"`)
		told = append(told, what+" "+id.String()+" "+to)
	}
	return told
}

func (s *shop) told(want ...string) {
	s.t.Helper()
	if got := strings.Join(s.news(), "\n"); got != strings.Join(want, "\n") {
		s.t.Errorf("told:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestWhoWasHandedATicketIsToldWhatBecomesOfIt(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	receiver := lottery.Entrant{7}
	s.signedUp(receiver, "ben@example.org")
	s.signedUp(buyer, "payer@example.org") // who has an order with an address of its own is written to there
	s.exists("active")
	o := s.sold(n, buyer, seated("A/1/1", "A/1/2"), floor(1))
	id, other := s.gives(n, o, 0, receiver), s.gives(n, o, 1, receiver)
	var want []string
	if _, err := s.move(n, id, "A/1/4"); err != nil {
		t.Fatal(err)
	}
	want = append(want, "moved "+id.String()+" ben@example.org")
	s.told(want...)
	if mails := s.count(`SELECT count(*) FROM mails WHERE kind = 'ticket_moved'`); mails != 0 {
		t.Errorf("%d mails about somebody else's seat went to who paid", mails)
	}

	s.moves(2)
	for s.count(`SELECT count(*) FROM event_changes WHERE told_at IS NULL`) > 0 {
		if _, err := n.tellAll(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	both := []string{"changed " + id.String() + " ben@example.org", "changed " + other.String() + " ben@example.org"}
	if id.String() > other.String() {
		both[0], both[1] = both[1], both[0]
	}
	s.told(append(want, both...)...)
	want = append(want, both...)

	for range 2 { // asked again it is the same refund, and the same mail
		if _, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Tickets: []uuid.UUID{id, ticket.TicketID(o.ID, 2)}, Reason: "asked", Actor: "operator"}); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, "refunded "+id.String()+" ben@example.org")
	s.told(want...)

	s.off.Store(true)
	s.keptOff = 1
	if _, err := n.RefundEvent(ctx, s.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	s.told(append(want, "cancelled "+other.String()+" ben@example.org")...)
}

func TestABuyerOfAResaleIsToldOfTheEventTheirOwnWay(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	m.exists("active")
	first := m.sold(m.node, seller, floor(1))
	o := m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 5000), second)
	m.moves(2)
	for m.count(`SELECT count(*) FROM event_changes WHERE told_at IS NULL`) > 0 {
		if _, err := m.tellAll(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	m.off.Store(true)
	if _, err := m.RefundEvent(ctx, m.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, o.ID, Refunded)
	for _, kind := range []string{"event_changed", "event_cancelled", "refunded"} {
		m.eventually("the buyer is told: "+kind, func() bool {
			return m.count(`SELECT count(*) FROM mails WHERE kind = $1 AND subject_id = $2`, kind, o.ID) == 1
		})
	}
}

// An order without an address whose buyer is signed in: they are told at their account's.
func TestASignedInBuyerWithoutAnAddressIsToldAtTheirAccounts(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	s.signedUp(buyer, "ann@example.org")
	o := s.sold(n, buyer, floor(1))
	s.exec(`UPDATE orders SET email = '' WHERE order_id = $1`, o.ID)
	if _, err := n.Refund(context.Background(), RefundRequest{Order: o.ID, Key: "k", Reason: "asked", Actor: "operator"}); err != nil {
		t.Fatal(err)
	}
	s.told("refunded " + ticket.TicketID(o.ID, 0).String() + " ann@example.org")
	if _, err := n.tellAll(context.Background(), time.Hour); err != nil {
		t.Fatal(err)
	}
}

// A bank that takes back what somebody else paid, and what it decides, is news to whoever has the ticket; who paid knows, and has an address.
func TestWhoWasHandedATicketIsToldWhatADisputeMakesOfIt(t *testing.T) {
	holder := lottery.Entrant{7}
	for name, c := range map[string]struct {
		says []payment.DisputeState
		lost int64 // of the amount; 0 is all of it
		want []string
	}{
		"that it is disputed":         {[]payment.DisputeState{payment.DisputeOpen, payment.DisputeOpen, payment.DisputeReview}, 0, []string{"disputed"}},
		"nothing of a mere inquiry":   {[]payment.DisputeState{payment.DisputeInquiry}, 0, nil},
		"that it is lost":             {[]payment.DisputeState{payment.DisputeOpen, payment.DisputeLost, payment.DisputeLost}, 0, []string{"disputed", "lost"}},
		"that it is lost in part":     {[]payment.DisputeState{payment.DisputeOpen, payment.DisputeLost}, 1000, []string{"disputed", "lost"}},
		"once what is lost at once":   {[]payment.DisputeState{payment.DisputeLost, payment.DisputeOpen}, 0, []string{"lost"}},
		"that it is won":              {[]payment.DisputeState{payment.DisputeOpen, payment.DisputeWon, payment.DisputeWon}, 0, []string{"disputed", "restored"}},
		"nothing of what is won late": {[]payment.DisputeState{payment.DisputeWon}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, _, o := disputable(t, floor(2))
			s.signedUp(buyer, "payer@example.org")
			s.signedUp(holder, "ben@example.org")
			id := s.gives(n, o, 1, holder)
			var want []string
			for _, what := range c.want {
				want = append(want, what+" "+id.String()+" ben@example.org")
			}
			for _, state := range c.says {
				news := claim(o, state)
				if state == payment.DisputeLost && c.lost > 0 {
					news.Lost = eur(c.lost)
				}
				s.says(n, news)
			}
			s.told(want...)
		})
	}
}

// A ticket that is valid again is another one to its holder: what is disputed next is told again.
func TestWhoWasHandedATicketIsToldOfEachDispute(t *testing.T) {
	s, n, _, o := disputable(t, floor(1))
	s.signedUp(lottery.Entrant{7}, "ben@example.org")
	id := s.gives(n, o, 0, lottery.Entrant{7})
	next := claim(o, payment.DisputeOpen)
	next.Ref = "dp_2"
	s.says(n, claim(o, payment.DisputeOpen), claim(o, payment.DisputeWon), next)
	next.State = payment.DisputeLost
	s.says(n, next)
	var want []string
	for _, what := range []string{"disputed", "restored", "disputed", "lost"} {
		want = append(want, what+" "+id.String()+" ben@example.org")
	}
	s.told(want...)
}
