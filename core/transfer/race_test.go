package transfer_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
	"fairgate/core/transfer"
)

// refusals are what may be answered to those who come second, whatever they wanted.
var refusals = []error{
	transfer.ErrOver, transfer.ErrExpired, transfer.ErrOverLimit, ticket.ErrUnknown, ticket.ErrVoid, ticket.ErrOffered, ticket.ErrListed, ticket.ErrEntered,
	gate.ErrSuperseded, gate.ErrVoid, gate.ErrListed, gate.ErrUsed, ticket.ErrMismatch,
}

func refused(err error) bool {
	for _, r := range refusals {
		if errors.Is(err, r) {
			return true
		}
	}
	return false
}

func TestWhateverHappensAtTheSameInstantOneCodeIsGood(t *testing.T) {
	w := newWorld(t)
	other := w.service(w.db) // another core
	anna, ben, cleo := who("anna"), who("ben"), who("cleo")
	w.change(func(t *transfer.Terms) { t.Limit, t.Limits.Account = 1000, 1000 })
	for round := range 6 {
		x := w.sell(anna, 1)[0]
		offer := w.mustOffer(x, anna, ben)
		again := offers(x, anna, cleo)
		acts := map[string]func() error{
			"accept": func() error { _, err := w.s.Accept(t.Context(), offer.ID, ben.receiver()); return err },
			"accept elsewhere": func() error {
				_, err := other.Accept(t.Context(), offer.ID, ben.receiver())
				return err
			},
			"cancel":       func() error { _, err := other.Cancel(t.Context(), offer.ID, anna.entrant); return err },
			"decline":      func() error { _, err := w.s.Decline(t.Context(), offer.ID, ben.receiver()); return err },
			"scan":         func() error { return w.enter(x) },
			"second offer": func() error { _, err := other.Offer(t.Context(), again); return err },
			"list": func() error {
				return w.tx(func(ctx context.Context, tx pgx.Tx) error {
					now, err := ticket.Load(ctx, tx, x.ID)
					if err != nil || now.Owner != anna.entrant {
						return ticket.ErrUnknown
					}
					return ticket.SetAside(ctx, tx, now, ticket.Listed)
				})
			},
		}
		if round%2 == 1 {
			acts["refund"] = func() error { return w.refund(x) }
		}
		var start, done sync.WaitGroup
		var mu sync.Mutex
		ok := map[string]bool{}
		start.Add(1)
		for name, act := range acts {
			done.Go(func() {
				start.Wait()
				err := act()
				mu.Lock()
				defer mu.Unlock()
				if ok[name] = err == nil; err != nil && !refused(err) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		start.Done()
		done.Wait()
		now, ended := w.load(x.ID), w.find(offer.ID)
		accepted := ended.State == transfer.Accepted
		if ok["accept"] != accepted || ok["accept elsewhere"] != accepted { // it is the same account: it is told the same
			t.Errorf("round %d: the offer is %s; %v", round, ended.State, ok)
		}
		if accepted != (now.Owner == ben.entrant) || accepted && (ok["cancel"] || ok["decline"]) || ok["cancel"] && ok["decline"] {
			t.Errorf("round %d: the offer is %s, the ticket of %x; %v", round, ended.State, now.Owner, ok)
		}
		if accepted && ok["scan"] {
			t.Errorf("round %d: it entered with the code of who gave it away", round)
		}
		if ok["scan"] && w.number(`SELECT count(*) FROM entries WHERE ticket_id = $1`, x.ID) != 1 {
			t.Errorf("round %d: it entered, and nobody knows", round)
		}
		w.audit(anna, ben, cleo)
	}
}

func TestManyWhoGiveToOneReceiverDoNotExceedTheReceiversLimit(t *testing.T) {
	w := newWorld(t)
	ben := who("ben")
	var all []transfer.Transfer
	givers := []person{ben}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		giver := who(name)
		givers = append(givers, giver)
		all = append(all, w.mustOffer(w.sell(giver, 1)[0], giver, ben))
	}
	var done sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for _, x := range all {
		done.Go(func() {
			_, err := w.s.Accept(t.Context(), x.ID, ben.receiver())
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got++
			} else if !errors.Is(err, transfer.ErrOverLimit) {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if got != w.terms.Limit {
		t.Errorf("%d were accepted of %d that may be", got, w.terms.Limit)
	}
	w.audit(givers...)
}

// Every step is one commit: a process that dies at it has done all of it or nothing, and whoever asks again gets the same.
func TestAProcessThatDiesHasDoneAStepOrNot(t *testing.T) {
	w := newWorld(t)
	anna, ben := who("anna"), who("ben")
	w.change(func(t *transfer.Terms) { t.Limit, t.Limits.Account = 1000, 1000 })
	steps := map[string]struct {
		take func(s *transfer.Service, x ticket.Ticket, offer transfer.Transfer, q transfer.Offer) error
		done func(now ticket.Ticket, offer transfer.State) bool
	}{
		"offer": {func(s *transfer.Service, _ ticket.Ticket, _ transfer.Transfer, q transfer.Offer) error {
			_, err := s.Offer(context.Background(), q)
			return err
		}, func(now ticket.Ticket, _ transfer.State) bool { return now.Hold == ticket.Offered }},
		"accept": {func(s *transfer.Service, _ ticket.Ticket, offer transfer.Transfer, _ transfer.Offer) error {
			_, err := s.Accept(context.Background(), offer.ID, ben.receiver())
			return err
		}, func(now ticket.Ticket, state transfer.State) bool {
			return state == transfer.Accepted && now.Owner == ben.entrant && now.Epoch == 2
		}},
		"decline": {func(s *transfer.Service, _ ticket.Ticket, offer transfer.Transfer, _ transfer.Offer) error {
			_, err := s.Decline(context.Background(), offer.ID, ben.receiver())
			return err
		}, func(now ticket.Ticket, state transfer.State) bool {
			return state == transfer.Declined && now.Hold == ticket.Free
		}},
		"cancel": {func(s *transfer.Service, _ ticket.Ticket, offer transfer.Transfer, _ transfer.Offer) error {
			_, err := s.Cancel(context.Background(), offer.ID, anna.entrant)
			return err
		}, func(now ticket.Ticket, state transfer.State) bool {
			return state == transfer.Cancelled && now.Hold == ticket.Free
		}},
	}
	for name, step := range steps {
		for _, committed := range []bool{false, true} {
			x := w.sell(anna, 1)[0]
			q := offers(x, anna, ben)
			var offer transfer.Transfer
			if name != "offer" {
				offer = w.mustOffer(x, anna, ben)
			}
			state := func() transfer.State {
				if name == "offer" {
					return ""
				}
				return w.find(offer.ID).State
			}
			dying, died := dbtest.Dying(t, w.db, 1, committed)
			if err := step.take(w.service(dying), x, offer, q); err == nil || !died() {
				t.Errorf("%s did not die at its only commit: %v", name, err)
			}
			if now := w.load(x.ID); step.done(now, state()) != committed {
				t.Errorf("%s, committed %v: the ticket is %+v, the offer %s", name, committed, now, state())
			}
			w.audit(anna, ben)
			if err := step.take(w.s, x, offer, q); err != nil {
				t.Errorf("%s, asked again: %v", name, err)
			}
			if now := w.load(x.ID); !step.done(now, state()) {
				t.Errorf("%s, asked again: the ticket is %+v, the offer %s", name, now, state())
			}
			w.audit(anna, ben)
		}
	}
}

// Random lives of tickets: issue, offer, accept, cancel, list, withdraw, void, reinstate, another seat, scan, sold on. After each step at
// most one code a seat is good, titles verify, and states only grow.
func TestWhateverBecomesOfTicketsTheirStatesOnlyGrow(t *testing.T) {
	w := newWorld(t)
	w.change(func(t *transfer.Terms) { t.Limit, t.Limits.Account, t.Most = 1000, 1000, 1000 })
	people := []person{who("anna"), who("ben"), who("cleo")}
	did := map[string]int{}
	for seed := range uint64(3) {
		l := &life{world: w, random: rand.New(rand.NewPCG(seed, 7)), people: people, seen: map[uuid.UUID]gate.State{}}
		for range 3 {
			l.tickets = append(l.tickets, w.sell(people[0], 1)[0].ID)
		}
		for range 100 {
			name := l.step()
			did[name]++
			w.audit(people...)
			l.grow(name)
			if t.Failed() {
				t.Fatalf("seed %d, after %s", seed, name)
			}
		}
	}
	for _, name := range []string{"offer", "accept", "cancel", "list", "withdraw", "void", "reinstate", "another seat", "scan"} {
		if did[name] == 0 {
			t.Errorf("%s never happened: %v", name, did)
		}
	}
}
