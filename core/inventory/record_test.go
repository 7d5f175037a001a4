package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/inventory/history"
)

// recordedWorld is a world whose service keeps a history, and what reads it once everything has ended.
func recordedWorld(t *testing.T, w *world) (*inventory.Service, *history.Recorder, func() *history.History) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	r, err := history.Open(history.Config{Path: path, Side: history.Core})
	if err != nil {
		t.Fatal(err)
	}
	s := inventory.New(w.db, inventory.Config{
		Recorder: r, SoldOutTTL: -1, Log: slog.New(slog.DiscardHandler),
		Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) { return w.offer, nil },
	}, inventory.Hooks{})
	return s, r, func() *history.History {
		t.Helper()
		s.Close()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		h, err := history.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

func TestEverythingThatChangesStockIsRecorded(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s, recorder, read := recordedWorld(t, w)
	buyer := w.someone()
	request := w.request(buyer, "k", general("pit", 2), seats("A/1/1"))
	held, err := s.Hold(w.ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(w.ctx, request); err != nil { // told again
		t.Fatal(err)
	}
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", general("pit", 2))); !errors.Is(err, inventory.ErrNotEnoughLeft) {
		t.Fatal(err)
	}
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", seats("A/1/1"))); !errors.Is(err, inventory.ErrSeatTaken) {
		t.Fatal(err)
	}
	sold := w.mustHold(s, general("floor", 1))
	change := func(do func(context.Context, pgx.Tx, []uuid.UUID) (map[uuid.UUID]error, error), fail error) {
		t.Helper()
		err := inventory.InTx(w.ctx, w.db, recorder, func(ctx context.Context, tx pgx.Tx) error {
			refused, err := do(ctx, tx, []uuid.UUID{sold.ID})
			if err == nil && len(refused) > 0 {
				err = fmt.Errorf("%v", refused)
			}
			return errors.Join(err, fail)
		})
		if (err != nil) != (fail != nil) {
			t.Fatal(err)
		}
	}
	change(inventory.Sell, errors.New("not yet")) // never reaches its commit, and so is in no history
	change(inventory.Sell, nil)
	change(inventory.Unsell, nil)
	if _, err := s.Release(w.ctx, held.ID, buyer); err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, c := range read().Calls {
		for _, o := range c.Ops {
			outcome := c.Outcome
			if outcome == "" {
				outcome = o.Outcome
			}
			line := fmt.Sprintf("%s %s%s", o.Do, outcome, o.Code)
			for _, item := range o.Items {
				line += fmt.Sprintf(" %d %s%v@%d", item.Quantity, item.Tier, item.Seats, item.Commit)
			}
			for _, row := range c.Rows {
				if row.Version == 0 || row.Taken < 0 || row.Taken > row.Capacity || row.Event != w.event {
					t.Errorf("%s: row %+v", line, row)
				}
			}
			if c.From > c.To || c.To == 0 || o.Event != w.event {
				t.Errorf("%s: from %d to %d, event %s", line, c.From, c.To, o.Event)
			}
			if o.Do != history.Sell && len(o.Buyer) != 32 {
				t.Errorf("%s: buyer %q", line, o.Buyer)
			}
			got = append(got, line)
		}
	}
	want := []string{
		"hold ok 2 pit[]@1 1 lower[A/1/1]@1",
		"hold ok 2 pit[]@1 1 lower[A/1/1]@1",
		"hold refusednot_enough_left 2 pit[]@0",
		"hold refusedseat_taken 0 [A/1/1]@0",
		"hold ok 1 floor[]@1",
		"sell ok 1 floor[]@1",
		"unsell ok 1 floor[]@2",
		"release ok 2 pit[]@2 1 lower[A/1/1]@2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the history is\n%q\nwant\n%q", got, want)
	}
}
