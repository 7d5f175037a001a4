package passes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

func (w *world) phones() (n int) {
	w.t.Helper()
	if err := w.d.Pool.QueryRow(w.t.Context(), `SELECT count(*) FROM apple_registrations`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestThePhonesOfAnAccountAreForgottenWithItAndNobodyElses(t *testing.T) {
	w := newWorld(t)
	account := uuid.New()
	if _, err := w.d.Pool.Exec(t.Context(), `INSERT INTO account_entrants (account_id, event_id, entrant, since) VALUES ($1, $2, $3, now())`,
		account, testEvent, ann[:]); err != nil {
		t.Fatal(err)
	}
	kept, given := w.ticket(), w.ticket()
	w.register(phone, w.save(kept, Apple), push1)
	w.register(phone, w.save(given, Apple), push1)
	w.hand(given.ID, ben)
	bens := w.save(w.load(given.ID), Apple)
	w.register(phone+"-ben", bens, push2)
	if err := Forget(t.Context(), w.d, uuid.New()); err != nil || w.phones() != 3 {
		t.Errorf("another account: %v, %d phones are left", err, w.phones())
	}
	for range 2 {
		if err := Forget(t.Context(), w.d, account); err != nil || w.phones() != 1 {
			t.Errorf("%v, %d phones are left", err, w.phones())
		}
	}
	w.hand(given.ID, ann)
	w.told()
	if a, b := w.apns.Pushes(push1), w.apns.Pushes(push2); a != 0 || b != 1 {
		t.Errorf("%d pushes to who is forgotten, %d to the other one", a, b)
	}
}

func TestPhonesAreForgottenWhenTheEventHasBeenOverForSomeDays(t *testing.T) {
	w := newWorld(t)
	s := w.save(w.ticket(), Apple)
	if _, err := w.d.Pool.Exec(t.Context(), `INSERT INTO apple_registrations (device_id, ticket_id, name_epoch, push_token, registered_at)
		SELECT 'phone-' || n, $1, $2, 'aaaaaaaaaaaaaaaa', now() FROM generate_series(1, $3) AS n`, s.Ticket, int64(s.Named), sweepRows+1); err != nil {
		t.Fatal(err)
	}
	strange := w.save(w.ticket(), Apple)
	w.register(phone, strange, push1)
	other := lottery.EventID("nowhere")
	if _, err := w.d.Pool.Exec(t.Context(), `UPDATE tickets SET event_id = $1 WHERE ticket_id = $2`, other, strange.Ticket); err != nil {
		t.Fatal(err)
	}
	now, err := w.d.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closes, missing := now.Add(-71*time.Hour), errors.New("no such event")
	sweeper := NewSweeper(SweeperConfig{DB: w.d, After: 72 * time.Hour, ClosesAt: func(_ context.Context, event uuid.UUID) (time.Time, error) {
		if event == other {
			return time.Time{}, missing
		}
		return closes, nil
	}})
	if n, err := sweeper.Sweep(t.Context()); n != 0 || !errors.Is(err, missing) || !strings.Contains(fmt.Sprint(err), other.String()) || w.phones() != sweepRows+2 {
		t.Errorf("before its time: %d, %v, %d phones are left", n, err, w.phones())
	}
	closes = closes.Add(-2 * time.Hour)
	if n, err := sweeper.Sweep(t.Context()); n != sweepRows+1 || !errors.Is(err, missing) || w.phones() != 1 {
		t.Errorf("afterwards: %d, %v, %d phones are left", n, err, w.phones())
	}
	if s, _, err := w.Find(t.Context(), s.Ticket, s.Named, Apple); err != nil || s.Wallet != Apple {
		t.Errorf("the pass is gone with its phones: %v", err)
	}
}
