package inventory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/inventory/seating"
	"fairgate/edge/lottery"
)

// ring gives a world two sections of three rows of ten seats of the tier "ring", and a table T of four in section B.
func ring(t testing.TB) *world {
	w := newWorld(t, dbtest.New(t))
	w.offer.Limit = 20
	w.offer.Tiers["ring"] = inventory.TierOffer{Kind: inventory.Seated, PriceMinor: 5000, Allocation: "general"}
	sections := []seating.Section{{ID: "C", Tier: "ring", Neighbours: []string{"D"}}, {ID: "D", Tier: "ring", Away: 1}}
	var names, rows []string
	var numbers []int64
	for i := range sections {
		for _, label := range []string{"1", "2", "3", "T"} {
			row := seating.Row{Label: label, Table: label == "T"}
			last := 10
			if row.Table {
				last = 4
			}
			if row.Table && i == 0 {
				continue
			}
			for n := 1; n <= last; n++ {
				row.Seats = append(row.Seats, seating.Seat{Number: n})
				names, rows, numbers = append(names, sections[i].ID), append(rows, label), append(numbers, int64(n))
			}
			sections[i].Rows = append(sections[i].Rows, row)
		}
	}
	var err error
	if w.offer.Chart, err = seating.NewChart(sections); err != nil {
		t.Fatal(err)
	}
	w.addStock("ring", "general", int64(len(names)))
	w.exec(`INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state)
		SELECT $1, u.section || '/' || u.row_label || '/' || u.number::TEXT, u.section, u.row_label, u.number, 'ring', 'general', 'free'
		FROM unnest($2::TEXT[], $3::TEXT[], $4::INT8[]) AS u (section, row_label, number)`, w.event, names, rows, numbers)
	return w
}

func best(quantity int, section string, allow ...string) inventory.Item {
	return inventory.Item{Tier: "ring", Best: &inventory.Best{Quantity: quantity, Section: section, Allow: seating.Allow{
		Orphans: slices.Contains(allow, "orphans"), Split: slices.Contains(allow, "split"), Neighbours: slices.Contains(allow, "neighbours"),
	}}}
}

func seatsOf(h inventory.Hold) string {
	var all []string
	for _, item := range h.Items {
		all = append(all, item.Seats...)
	}
	return strings.Join(all, " ")
}

func TestTheBestSeatsGoToWhoComesFirst(t *testing.T) {
	w := ring(t)
	s := w.service(inventory.Hooks{})
	for _, want := range []string{"C/1/4 C/1/5 C/1/6 C/1/7", "C/2/4 C/2/5 C/2/6 C/2/7", "D/1/4 D/1/5 D/1/6 D/1/7"} {
		if h := w.mustHold(s, best(4, "")); seatsOf(h) != want {
			t.Errorf("picked %s, not %s", seatsOf(h), want)
		}
	}
	h := w.mustHold(s, general("floor", 2), best(2, "C"), seats("C/1/1"), inventory.Item{Rows: []string{"D/T"}})
	if want := "C/1/8 C/1/9 C/1/1 D/T/1 D/T/2 D/T/3 D/T/4"; h.Units != 9 || h.Amount.Minor != 2*6500+7*5000 {
		t.Errorf("all forms in one hold: %d units, %v, %s, %s", h.Units, h.Amount, seatsOf(h), want)
	}
	w.mustAudit()
}

// A seat that stands twice in a request would never fit what is written, and the whole batch be tried again and again.
func TestASeatNamedTwiceIsRefusedHoweverItIsNamed(t *testing.T) {
	w := ring(t)
	w.offer.Limit = 0
	s := w.service(inventory.Hooks{})
	rows := func(names ...string) inventory.Item { return inventory.Item{Rows: names} }
	many := make([]inventory.Item, 40)
	for i := range many {
		many[i] = rows(slices.Repeat([]string{"C/1"}, 20)...)
	}
	for name, c := range map[string]struct {
		items []inventory.Item
		want  error
	}{
		"a row twice in an item":     {[]inventory.Item{rows("C/1", "C/1")}, inventory.ErrItemsInvalid},
		"a row in two items":         {[]inventory.Item{rows("C/1"), rows("C/1")}, inventory.ErrItemsInvalid},
		"a row and one of its seats": {[]inventory.Item{rows("C/1"), seats("C/1/3")}, inventory.ErrItemsInvalid},
		"a table twice":              {[]inventory.Item{rows("D/T"), general("floor", 1), rows("D/T")}, inventory.ErrItemsInvalid},
		"more than can be asked for": {many, inventory.ErrOverLimit},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", c.items...)); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	w.mustAudit()
}

func TestARepeatedRequestFindsItsHoldAlthoughTheLimitWasLowered(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	r := w.request(w.someone(), "k", general("floor", 4))
	first, err := s.Hold(w.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	w.offer.Limit = 2
	if again, err := s.Hold(w.ctx, r); err != nil || again.ID != first.ID {
		t.Errorf("hold %s, %v, want %s", again.ID, err, first.ID)
	}
	var over *inventory.OverLimit
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", general("floor", 3))); !errors.As(err, &over) || over.Limit != 2 {
		t.Errorf("three of two: %v", err)
	}
}

func TestARequestForTheBestSeatsIsOneHoldHoweverOftenItComes(t *testing.T) {
	w := ring(t)
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	r := w.request(w.someone(), "k", best(3, "C"))
	r.BodyHash = [32]byte{1}
	var mu sync.Mutex
	got := map[string]int{}
	var running sync.WaitGroup
	for i := range 20 {
		running.Go(func() {
			if i%4 == 3 { // others take what was best meanwhile
				w.mustHold(cores[i%2], best(1, "C", "orphans"))
				return
			}
			h, err := cores[i%2].Hold(w.ctx, r)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			got[seatsOf(h)]++
			mu.Unlock()
		})
	}
	running.Wait()
	if len(got) != 1 {
		t.Errorf("one request got %v", got)
	}
	w.mustAudit()
}

func TestSeveralCoresPickEverySeatOnce(t *testing.T) {
	w := ring(t)
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	var mu sync.Mutex
	taken := map[string]bool{}
	apart := 0
	var running sync.WaitGroup
	for i := range 45 {
		running.Go(func() {
			h, err := cores[i%3].Hold(w.ctx, w.request(w.someone(), "k", best(2, "", "orphans")))
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, inventory.ErrApart) || errors.Is(err, inventory.ErrSoldOut) {
				apart++
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			two := strings.Fields(seatsOf(h))
			for _, seat := range two {
				if taken[seat] {
					t.Errorf("seat %s was picked twice", seat)
				}
				taken[seat] = true
			}
			a, b := strings.Split(two[0], "/"), strings.Split(two[1], "/")
			if len(two) != 2 || a[0] != b[0] || a[1] != b[1] || fmt.Sprint(b[2]) == fmt.Sprint(a[2]) {
				t.Errorf("picked %v for two who want to sit together", two)
			}
		})
	}
	running.Wait()
	if len(taken) != 60 || apart != 15 { // in pairs without orphans everything but the table goes
		t.Errorf("%d of 60 seats were picked, %d parties refused", len(taken), apart)
	}
	w.mustAudit()
}

func TestAPickFollowsWhatHappensElsewhere(t *testing.T) {
	w := ring(t)
	here, there := w.service(inventory.Hooks{}), w.service(inventory.Hooks{})
	first := w.mustHold(here, best(2, "C"))
	if seatsOf(first) != "C/1/5 C/1/6" {
		t.Fatalf("picked %s", seatsOf(first))
	}
	row := []string{"C/1/1", "C/1/2", "C/1/3", "C/1/4", "C/1/7", "C/1/8", "C/1/9", "C/1/10"}
	other := w.mustHold(there, seats(row...))
	if h := w.mustHold(here, best(2, "C")); seatsOf(h) != "C/2/5 C/2/6" {
		t.Errorf("with row 1 gone picked %s", seatsOf(h))
	}
	if failed := w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Release(w.ctx, tx, ids(other, first)) }); len(failed) > 0 {
		t.Fatal(failed)
	}
	if h := w.mustHold(here, best(2, "C")); seatsOf(h) != "C/1/5 C/1/6" {
		t.Errorf("with row 1 back picked %s", seatsOf(h))
	}
	// Something that does not write the seat log, such as an event file, changes seats and the version of their row.
	w.exec(`UPDATE seats SET allocation = 'house' WHERE event_id = $1 AND section = 'C' AND row_label IN ('1', '2') AND state = 'free'`, w.event)
	w.exec(`UPDATE stock SET capacity = capacity - 16, version = version + 1 WHERE event_id = $1 AND tier = 'ring' AND allocation = 'general'`, w.event)
	if h := w.mustHold(here, best(2, "C")); seatsOf(h) != "C/3/5 C/3/6" {
		t.Errorf("with rows 1 and 2 set aside picked %s", seatsOf(h))
	}
}

// A seat that the mirror believes free although it is not costs another reading, never a wrong answer.
func TestAMirrorThatIsWrongIsFoundOut(t *testing.T) {
	w := ring(t)
	s := w.service(inventory.Hooks{})
	w.mustHold(s, best(2, "C"))
	w.exec(`UPDATE seats SET state = 'blocked' WHERE event_id = $1 AND seat = 'C/1/3'`, w.event) // the row's version stays
	if h := w.mustHold(s, best(2, "C")); seatsOf(h) != "C/1/7 C/1/8" {
		t.Errorf("picked %s", seatsOf(h))
	}
	w.mustAudit()
}

func TestWhoCannotBeSeatedIsToldWhatWouldHelp(t *testing.T) {
	w := ring(t)
	s := w.service(inventory.Hooks{})
	ask := func(items ...inventory.Item) error {
		_, err := s.Hold(w.ctx, w.request(w.someone(), "k", items...))
		return err
	}
	for _, row := range []string{"C/1", "C/2"} {
		w.mustHold(s, inventory.Item{Rows: []string{row}})
	}
	w.mustHold(s, seats("C/3/4", "C/3/8"))
	// Row 3 has runs of 3, 3 and 2 seats left.
	for _, c := range []struct {
		item  inventory.Item
		want  error
		relax string
	}{
		{best(2, "C"), nil, ""},
		{best(2, "C", "orphans", "split"), nil, ""},
		{best(8, "C", "orphans"), inventory.ErrApart, "neighbours"},
		{inventory.Item{Best: &inventory.Best{Quantity: 2, Section: "Z"}}, inventory.ErrSectionUnknown, ""},
		{inventory.Item{Tier: "lower", Best: &inventory.Best{Quantity: 2, Section: "C"}}, inventory.ErrItemsInvalid, ""},
		{inventory.Item{Tier: "floor", Best: &inventory.Best{Quantity: 2}}, inventory.ErrTierUnknown, ""},
		{inventory.Item{Tier: "attic", Best: &inventory.Best{Quantity: 2}}, inventory.ErrTierUnknown, ""},
		{inventory.Item{Best: &inventory.Best{Quantity: 2}}, inventory.ErrItemsInvalid, ""},
		{inventory.Item{Tier: "ring", Quantity: 2, Best: &inventory.Best{Quantity: 2}}, inventory.ErrItemsInvalid, ""},
		{best(0, "C"), inventory.ErrQuantityInvalid, ""},
		{inventory.Item{Tier: "ring", Best: &inventory.Best{Quantity: 2, Companions: 1}}, inventory.ErrQuantityInvalid, ""},
		{best(21, "D"), inventory.ErrOverLimit, ""},
		{best(11, "D"), inventory.ErrApart, "split"},
		{inventory.Item{Rows: []string{"C/9"}}, inventory.ErrRowUnknown, ""},
		{inventory.Item{Rows: []string{"C/1"}}, inventory.ErrSeatTaken, ""},
		{seats("D/T/1", "D/T/2"), inventory.ErrTableWhole, ""},
		{seats("D/T/1", "D/T/2", "D/T/3", "D/T/4"), nil, ""},
	} {
		err := ask(c.item)
		var apart *inventory.Apart
		if !errors.Is(err, c.want) || errors.As(err, &apart) && strings.Join(apart.Relax, " ") != c.relax {
			t.Errorf("%+v %+v: %v, want %v %s", c.item, c.item.Best, err, c.want, c.relax)
		}
	}
	w.mustHold(s, best(4, "C", "orphans", "split"))
	if err := ask(best(1, "C")); !errors.Is(err, inventory.ErrSectionSoldOut) {
		t.Errorf("with nothing left in C: %v", err)
	}
	if h := w.mustHold(s, best(2, "C", "neighbours")); seatsOf(h) != "D/1/5 D/1/6" {
		t.Errorf("next door picked %s", seatsOf(h))
	}
	w.exec(`UPDATE stock SET taken = capacity, version = version + 1 WHERE event_id = $1 AND tier = 'ring'`, w.event)
	if err := ask(best(1, "D")); !errors.Is(err, inventory.ErrSoldOut) {
		t.Errorf("with the stock gone: %v", err)
	}
}

func TestAPresaleDrawsOnItsAllocationWhileItIsOpen(t *testing.T) {
	w := ring(t)
	s := w.service(inventory.Hooks{})
	w.addStock("floor", "fans", 5)
	now := time.Now()
	w.offer.Windows = map[string]inventory.Window{
		"fans":  {Name: "fans", Allocation: "fans", From: now.Add(-time.Hour), Until: now.Add(time.Hour), Limit: 2},
		"early": {Name: "early", Allocation: "fans", From: now.Add(time.Hour), Until: now.Add(2 * time.Hour)},
		"late":  {Name: "late", Allocation: "fans", From: now.Add(-2 * time.Hour), Until: now.Add(-time.Hour)},
	}
	through := func(window string, buyer int, key string, items ...inventory.Item) (inventory.Hold, error) {
		r := w.request(someoneNamed(buyer), key, items...)
		r.Window = window
		return s.Hold(w.ctx, r)
	}
	first, err := through("fans", 1, "a", general("floor", 2))
	if err != nil || first.Items[0].Allocation != "fans" || first.Items[0].Window != "fans" {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, c := range []struct {
		window string
		buyer  int
		n      int
		want   error
	}{
		{"fans", 1, 1, inventory.ErrOverLimit}, {"fans", 2, 3, inventory.ErrOverLimit}, {"fans", 2, 2, nil}, {"fans", 3, 2, inventory.ErrNotEnoughLeft},
		{"early", 4, 1, inventory.ErrWindowEarly}, {"late", 4, 1, inventory.ErrWindowOver}, {"never", 4, 1, inventory.ErrWindowUnknown},
		{"", 1, 3, nil}, // general sale has its own limit
	} {
		if _, err := through(c.window, c.buyer, fmt.Sprint("b", c.buyer, c.n), general("floor", c.n)); !errors.Is(err, c.want) {
			t.Errorf("%d for buyer %d through %q: %v, want %v", c.n, c.buyer, c.window, err, c.want)
		}
	}
	if taken := w.taken(s); taken["floor/fans"] != 4 || taken["floor/general"] != 3 {
		t.Errorf("taken: %v", taken)
	}
	// The window ends; what it granted stays.
	w.offer.Windows["fans"] = inventory.Window{Name: "fans", Allocation: "fans", From: now.Add(-time.Hour), Until: now.Add(-time.Minute)}
	if again, err := through("fans", 1, "a", general("floor", 2)); err != nil || again.ID != first.ID || again.State != inventory.Active {
		t.Errorf("the same request later: %+v, %v", again, err)
	}
	if _, err := through("fans", 9, "a", general("floor", 1)); !errors.Is(err, inventory.ErrWindowOver) {
		t.Errorf("another request later: %v", err)
	}
	if failed := w.sell(first.ID); len(failed) > 0 {
		t.Error(failed)
	}
	w.mustAudit()
}

// A window may close between the reading and the writing of a batch. The time of the writing counts, for each request.
func TestAWindowClosesInTheMiddleOfABatch(t *testing.T) {
	w := ring(t)
	s := w.service(inventory.Hooks{})
	w.addStock("floor", "fans", 1000)
	now, err := w.db.Now(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	until := now.Add(300 * time.Millisecond)
	w.offer.Windows = map[string]inventory.Window{"fans": {Name: "fans", Allocation: "fans", From: now.Add(-time.Hour), Until: until}}
	granted := 0
	for n := 0; ; n++ {
		r := w.request(w.someone(), "k", general("floor", 1))
		r.Window = "fans"
		h, err := s.Hold(w.ctx, r)
		if errors.Is(err, inventory.ErrWindowOver) {
			break
		}
		if err != nil || !h.CreatedAt.Before(until) {
			t.Fatalf("granted at %s, until %s: %v", h.CreatedAt, until, err)
		}
		granted++
	}
	if granted == 0 || w.taken(s)["floor/fans"] != int64(granted) {
		t.Errorf("%d granted, %d taken", granted, w.taken(s)["floor/fans"])
	}
	w.mustAudit()
}

func ids(holds ...inventory.Hold) []uuid.UUID {
	var all []uuid.UUID
	for _, h := range holds {
		all = append(all, h.ID)
	}
	return all
}

func someoneNamed(n int) lottery.Entrant { return lottery.Entrant{1, 2, 3, byte(n)} }
