package reminder_test

import (
	"bytes"
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
	fans  atomic.Int64 // how the presale fans stands
	keys  [][]byte
}

func (w *world) open(d *db.DB) *reminder.Service {
	return reminder.New(reminder.Config{DB: d,
		Sale: func(_ context.Context, _ uuid.UUID, presale string) (reminder.Sale, error) {
			switch presale {
			case "":
				return reminder.Sale(w.sale.Load()), nil
			case "fans":
				return reminder.Sale(w.fans.Load()), nil
			}
			return reminder.Over, nil
		},
		Key: func(context.Context) ([][]byte, error) { return w.keys, nil },
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

func TestPresalesAreRemindedOfEachByItself(t *testing.T) {
	w := &world{t: t, db: dbtest.New(t), event: uuid.New()}
	s := w.open(w.db)
	who := reminder.Asker{Account: uuid.New(), Email: "a@example.org"}
	wanted := []reminder.Occasion{"room_opens:fans", "sale_opens:fans", reminder.RoomOpens}
	if err := s.Set(t.Context(), w.event, who, wanted); err != nil {
		t.Fatal(err)
	}
	for occasion, want := range map[reminder.Occasion]error{"returned:fans": reminder.ErrOccasion, "room_opens:": reminder.ErrOccasion, "room_opens:nobody": reminder.ErrPast} {
		if err := s.Set(t.Context(), w.event, who, []reminder.Occasion{occasion}); !errors.Is(err, want) {
			t.Errorf("%s: %v", occasion, err)
		}
	}
	if list, err := s.Own(t.Context(), w.event, who.Account); err != nil || len(list) != 3 {
		t.Errorf("%v: %v", list, err)
	}
	look := func() {
		t.Helper()
		if err := s.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.fans.Store(int64(reminder.Selling))
	look()
	w.is("the presale opens", w.mails("_opens:fans"), 2)
	w.is("general sale does not", w.mails("room_opens")-w.mails("room_opens:fans"), 0)
	w.fans.Store(int64(reminder.Over)) // between the two sales
	look()
	w.sale.Store(int64(reminder.Waiting))
	look()
	w.is("general sale's room", w.mails("room_opens")-w.mails("room_opens:fans"), 1)
}

func TestTheAddressInAMailWithdrawsItsEventsRemindersAndNoOthers(t *testing.T) {
	w := &world{t: t, db: dbtest.New(t), event: uuid.New(), keys: [][]byte{bytes.Repeat([]byte{1}, 32)}}
	s := w.open(w.db)
	a, b, other := reminder.Asker{Account: uuid.New(), Email: "a@example.org"}, reminder.Asker{Account: uuid.New(), Email: "b@example.org"}, uuid.New()
	for _, who := range []reminder.Asker{a, b} {
		for _, event := range []uuid.UUID{w.event, other} {
			if err := s.Set(t.Context(), event, who, []reminder.Occasion{reminder.SaleOpens, "sale_opens:fans"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	token, err := s.Token(t.Context(), a.Account, w.event)
	if err != nil {
		t.Fatal(err)
	}
	w.keys = append([][]byte{bytes.Repeat([]byte{2}, 32)}, w.keys...) // rotated meanwhile
	for range 2 {
		if event, err := s.Unsubscribe(t.Context(), token); err != nil || event != w.event {
			t.Errorf("unsubscribing from %s: %v", event, err)
		}
	}
	for n, want := range map[reminder.Asker]int{a: 2, b: 4} {
		if list, err := s.Of(t.Context(), n.Account); err != nil || len(list) != want {
			t.Errorf("%s is reminded of %v: %v", n.Email, list, err)
		}
	}
	forged, err := s.Token(t.Context(), a.Account, other)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{"nothing": "", "no token": "hello", "cut": token[:len(token)-2], "another's": token[:len(token)-30] + forged[len(forged)-30:], "too much": token + "AAAA"} {
		if _, err := s.Unsubscribe(t.Context(), bad); !errors.Is(err, reminder.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzUnsubscribing(f *testing.F) {
	s := reminder.New(reminder.Config{Key: func(context.Context) ([][]byte, error) { return [][]byte{bytes.Repeat([]byte{1}, 32)}, nil }})
	token, err := s.Token(f.Context(), uuid.New(), uuid.New())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token[1:])
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if text == token {
			return
		}
		if _, err := s.Unsubscribe(t.Context(), text); !errors.Is(err, reminder.ErrToken) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
