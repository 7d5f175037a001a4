package reminder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/notify"
	"fairgate/core/reminder"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type world struct {
	t     *testing.T
	db    *db.DB
	event uuid.UUID
	sale  atomic.Int64
}

func (w *world) open(d *db.DB) *reminder.Service {
	return reminder.New(reminder.Config{DB: d,
		Sale: func(context.Context, uuid.UUID) (reminder.Sale, error) { return reminder.Sale(w.sale.Load()), nil },
		Send: func(ctx context.Context, tx pgx.Tx, mails []reminder.Mail) error {
			var all []notify.Message
			for _, m := range mails {
				all = append(all, notify.Message{Key: m.Key, Kind: notify.KindReminder, To: m.To, Language: m.Language, Subject: m.Event, Data: map[string]string{"occasion": string(m.Occasion)}})
			}
			return notify.QueueAll(ctx, tx, all)
		}})
}

func (w *world) mails(occasion reminder.Occasion) (n int) {
	w.t.Helper()
	err := w.db.Pool.QueryRow(w.t.Context(), `SELECT count(*) FROM mails WHERE kind = 'reminder' AND data LIKE '%' || $1 || '%'`, string(occasion)).Scan(&n)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) is(what string, got, want int) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %d mails, want %d", what, got, want)
	}
}

func TestEverybodyIsRemindedOnceOfWhatTheyAskedFor(t *testing.T) {
	w := &world{t: t, db: dbtest.New(t), event: uuid.New()}
	s, other := w.open(w.db), w.open(w.db)
	who := make([]reminder.Asker, 7)
	for i := range who {
		who[i] = reminder.Asker{Account: uuid.New(), Email: fmt.Sprintf("b%d@example.org", i), Language: "de"}
		for range 2 { // asked twice is asked once
			if err := s.Set(t.Context(), w.event, who[i], []reminder.Occasion{reminder.RoomOpens, reminder.SaleOpens}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Set(t.Context(), w.event, who[0], []reminder.Occasion{reminder.SaleOpens}); err != nil { // not of the room, after all
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), w.event, who[1], nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]reminder.EventReminder{{{w.event, reminder.SaleOpens}}, nil, {{w.event, reminder.RoomOpens}, {w.event, reminder.SaleOpens}}} {
		if got, err := s.Of(t.Context(), who[i].Account); err != nil || !slices.Equal(got, want) {
			t.Errorf("account %d will be reminded of %v, %v instead of %v", i, got, err, want)
		}
	}
	look := func() {
		var both sync.WaitGroup
		for _, one := range []*reminder.Service{s, other} {
			both.Go(func() {
				if err := one.Look(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	look()
	w.is("before anything", w.mails("_opens"), 0)
	w.sale.Store(int64(reminder.Waiting))
	look()
	look()
	w.is("the room opens", w.mails(reminder.RoomOpens), 5)
	w.is("and the sale not", w.mails(reminder.SaleOpens), 0)
	w.sale.Store(int64(reminder.Selling))
	look()
	w.is("the sale opens", w.mails(reminder.SaleOpens), 6)
	if err := s.Set(t.Context(), w.event, who[2], []reminder.Occasion{reminder.SaleOpens}); !errors.Is(err, reminder.ErrPast) {
		t.Errorf("of what is so already: %v", err)
	}
	w.sale.Store(int64(reminder.SoldOut))
	if err := s.Set(t.Context(), w.event, who[2], []reminder.Occasion{reminder.Returned}); err != nil {
		t.Fatal(err)
	}
	look()
	w.is("sold out", w.mails(reminder.Returned), 0)
	w.sale.Store(int64(reminder.Selling))
	look()
	w.is("tickets are back", w.mails(reminder.Returned), 1)
	var kept int
	if err := w.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM reminders WHERE email <> ''`).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("%d addresses are kept: %v", kept, err)
	}
	if err := s.Set(t.Context(), w.event, who[2], []reminder.Occasion{"rain"}); !errors.Is(err, reminder.ErrOccasion) {
		t.Errorf("of rain: %v", err)
	}
}

func TestAReminderIsSentOnceWhereverAProcessDies(t *testing.T) {
	for _, done := range []bool{false, true} {
		w := &world{t: t, db: dbtest.New(t), event: uuid.New()}
		s := w.open(w.db)
		if err := s.Set(t.Context(), w.event, reminder.Asker{Account: uuid.New(), Email: "a@example.org"}, []reminder.Occasion{reminder.SaleOpens}); err != nil {
			t.Fatal(err)
		}
		w.sale.Store(int64(reminder.Selling))
		dying, died := dbtest.Dying(t, w.db, 1, done)
		if err := w.open(dying).Look(t.Context()); err == nil || !died() {
			t.Errorf("did not die at its only commit: %v", err)
		}
		if err := s.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.is(fmt.Sprintf("died, committed %v", done), w.mails(reminder.SaleOpens), 1)
	}
}

func TestWhatWillNotComeAnyMoreIsForgotten(t *testing.T) {
	w := &world{t: t, db: dbtest.New(t), event: uuid.New()}
	s := w.open(w.db)
	who := reminder.Asker{Account: uuid.New(), Email: "a@example.org"}
	if err := s.Set(t.Context(), w.event, who, []reminder.Occasion{reminder.SaleOpens}); err != nil {
		t.Fatal(err)
	}
	w.sale.Store(int64(reminder.Over))
	if err := s.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Own(t.Context(), w.event, who.Account); err != nil || len(list) != 0 || w.mails(reminder.SaleOpens) != 0 {
		t.Errorf("still reminded of %v: %v", list, err)
	}
}
