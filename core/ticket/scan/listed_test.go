package scan_test

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
)

// aside sets a ticket aside and gives it back as it is then.
func (w *world) aside(t ticket.Ticket, what ticket.Hold) ticket.Ticket {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return ticket.SetAside(ctx, tx, t, what) })
	return w.load(t)
}

func (w *world) load(t ticket.Ticket) ticket.Ticket {
	w.t.Helper()
	now, err := ticket.Load(w.t.Context(), w.db.Pool, t.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return now
}

func (w *world) pack(since time.Time) *gate.Pack {
	w.t.Helper()
	sealed, err := w.s.Pack(w.t.Context(), arena, since)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := gate.Open(sealed, packKey.Public().(ed25519.PublicKey))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestAListedTicketOpensNoGateAndItsCodeIsDeadForGood(t *testing.T) {
	w := newWorld(t, gate.Once)
	tickets := w.issue(2)
	was, whole := tickets[0], w.pack(time.Time{})
	listed := w.aside(was, ticket.Listed)
	north := at("north", "floor")
	w.scan(north, was.Code, gate.In, gate.ErrListed)
	delta := w.pack(whole.AsOf)
	updated, err := whole.Apply(delta)
	if err != nil {
		t.Fatal(err)
	}
	if s := updated.State(was.ID); s != gate.StateOf(1, true) {
		t.Errorf("a gate off line has it in state %d", s)
	}
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.issuer().PutBack(ctx, tx, listed) })
	now := w.load(was)
	w.scan(north, was.Code, gate.In, gate.ErrSuperseded)
	next, err := updated.Apply(w.pack(updated.AsOf))
	if err != nil {
		t.Fatal(err)
	}
	if s := next.State(was.ID); s != gate.StateOf(2, false) || s.Check(1) == nil || s.Check(2) != nil || updated.State(was.ID).Check(2) != nil {
		t.Errorf("after the listing it is in state %d", s)
	}
	w.scan(north, now.Code, gate.In, nil)
	offered := w.aside(tickets[1], ticket.Offered)
	w.scan(north, offered.Code, gate.In, nil) // its owner's until somebody accepts
}

func TestAPassOffLineWhileTheTicketWasListedIsFound(t *testing.T) {
	w := newWorld(t, gate.Once)
	listed := w.aside(w.issue(1)[0], ticket.Listed)
	record := gate.Record{ID: listed.ID, Event: arena, Gate: "north", Zone: "floor", At: time.Now().Add(time.Minute), Direction: gate.In, Code: listed.Code}
	w.gates(record)
	report, err := w.s.Merge(t.Context(), arena, []gate.Record{record})
	if err != nil || len(report.Findings) != 1 || report.Findings[0].What != "void" {
		t.Errorf("%+v, %v", report, err)
	}
}
