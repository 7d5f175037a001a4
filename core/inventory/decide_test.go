package inventory

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"fairgate/core/inventory/seating"
	"fairgate/edge/lottery"
)

// shop is the simplest inventory there could be: it serves one request after the other and knows only who has which unit.
type shop struct {
	capacity map[stockKey]int
	units    map[stockKey][]uuid.UUID // the hold of each unit that is taken
	seatTier map[seatKey]string
	seats    map[seatKey]uuid.UUID // hold of each seat; Nil when free
	holds    map[uuid.UUID]*shopHold
	order    []uuid.UUID // of the holds
	offers   map[uuid.UUID]*Offer
	owned    map[uuid.UUID]int // by quota id
}

type shopHold struct {
	body    [32]byte
	state   State
	due     bool
	event   uuid.UUID
	entrant lottery.Entrant
	general map[string]int
	seats   []string
}

func (s *shop) hold(o *op) error {
	if h, ok := s.holds[o.id]; ok {
		if h.body != o.body {
			return ErrKeyReused
		}
		return nil
	}
	h := &shopHold{body: o.body, state: Active, event: o.event, entrant: o.entrant, general: map[string]int{}}
	wanted := map[string]int{} // by tier
	var chosen []string
	for _, item := range o.items {
		chosen = append(chosen, item.Seats...)
	}
	for _, item := range o.items {
		if item.Best != nil {
			// One after the other, whoever asks first gets the best of what is free, but for what the request names itself.
			key := stockKey{o.event, item.Tier, "general"}
			soFar := 0
			for _, n := range wanted {
				soFar += n
			}
			if !s.room(o, soFar+item.Quantity) {
				return ErrOverLimit
			}
			if s.capacity[key]-len(s.units[key]) < item.Quantity {
				return errGone
			}
			free := seating.NewFree(o.offer.Chart)
			for seat, hold := range s.seats {
				if place, ok := o.offer.Chart.Find(seat.seat); ok && seat.event == o.event && hold == uuid.Nil && !slices.Contains(chosen, seat.seat) {
					free.Put(place)
				}
			}
			pick, err := free.Pick(item.wish(o))
			if err != nil {
				return errGone
			}
			for _, place := range pick.Seats {
				h.seats, chosen = append(h.seats, o.offer.Chart.Name(place)), append(chosen, o.offer.Chart.Name(place))
				wanted[item.Tier]++
			}
			continue
		}
		if len(item.Seats) == 0 {
			tier, ok := o.offer.Tiers[item.Tier]
			if !ok {
				return ErrTierUnknown
			}
			if tier.Kind == Seated {
				return ErrItemsInvalid
			}
			h.general[item.Tier] += item.Quantity
			wanted[item.Tier] += item.Quantity
		}
		for _, seat := range item.Seats {
			tier, ok := s.seatTier[seatKey{o.event, seat}]
			if !ok {
				return ErrSeatUnknown
			}
			h.seats = append(h.seats, seat)
			wanted[tier]++
		}
	}
	total := 0
	for _, n := range wanted {
		total += n
	}
	buyer := newCount(o.event, kindEntrant, o.entrant, 0).id
	if s.owned[buyer]+total > o.offer.Limit {
		return ErrOverLimit
	}
	for tier, n := range wanted {
		key := stockKey{o.event, tier, "general"}
		if len(s.units[key])+n > s.capacity[key] {
			return errGone
		}
	}
	for _, seat := range h.seats {
		if s.seats[seatKey{o.event, seat}] != uuid.Nil {
			return errGone
		}
	}
	for tier, n := range wanted {
		for range n {
			key := stockKey{o.event, tier, "general"}
			s.units[key] = append(s.units[key], o.id)
		}
	}
	for _, seat := range h.seats {
		s.seats[seatKey{o.event, seat}] = o.id
	}
	s.owned[buyer] += total
	s.holds[o.id] = h
	s.order = append(s.order, o.id)
	return nil
}

// room tells whether a buyer may have so many more.
func (s *shop) room(o *op, more int) bool {
	return s.owned[newCount(o.event, kindEntrant, o.entrant, 0).id]+more <= o.offer.Limit
}

// errGone stands for each of sold out, not enough left and seat taken.
var errGone = errors.New("gone")

func gone(err error) error {
	if errors.Is(err, ErrSoldOut) || errors.Is(err, ErrNotEnoughLeft) || errors.Is(err, ErrSeatTaken) ||
		errors.Is(err, ErrApart) || errors.Is(err, ErrSectionSoldOut) {
		return errGone
	}
	return err
}

func (s *shop) close(o *op) error {
	h, ok := s.holds[o.id]
	if !ok || o.do == release && h.entrant != o.entrant {
		return ErrHoldUnknown
	}
	switch {
	case o.do == release && h.state == Released:
		return nil
	case o.do == release && (h.state == Expired || h.due):
		return ErrHoldExpired
	case o.do == release && h.state != Active:
		return ErrHoldClosed
	case o.do == expire && (h.state != Active || !h.due):
		return nil
	}
	h.state = map[action]State{release: Released, expire: Expired}[o.do]
	for key, units := range s.units {
		var rest []uuid.UUID
		for _, id := range units {
			if id != o.id {
				rest = append(rest, id)
			} else {
				s.owned[newCount(h.event, kindEntrant, h.entrant, 0).id]--
			}
		}
		s.units[key] = rest
	}
	for seat, id := range s.seats {
		if id == o.id {
			s.seats[seat] = uuid.Nil
		}
	}
	return nil
}

// rows is what the database would hold for the shop.
func (s *shop) rows() *snapshot {
	rows := &snapshot{
		stock: map[stockKey]stockRow{}, seats: map[seatKey]seatRow{}, quota: map[uuid.UUID]int64{}, holds: map[uuid.UUID]Hold{},
	}
	for key, capacity := range s.capacity {
		rows.stock[key] = stockRow{capacity: int64(capacity), taken: int64(len(s.units[key]))}
	}
	for key, hold := range s.seats {
		rows.seats[key] = seatRow{s.seatTier[key], "general", hold == uuid.Nil}
	}
	for key, n := range s.owned {
		rows.quota[key] = int64(n)
	}
	for id, h := range s.holds {
		hold := Hold{ID: id, Event: h.event, Entrant: h.entrant, State: h.state, BodyHash: h.body}
		for tier, n := range h.general {
			hold.Items = append(hold.Items, Item{Tier: tier, Allocation: "general", Quantity: n})
			hold.Units += n
		}
		bySeat := map[string][]string{}
		for _, seat := range h.seats {
			tier := s.seatTier[seatKey{h.event, seat}]
			bySeat[tier] = append(bySeat[tier], seat)
		}
		for tier, seats := range bySeat {
			hold.Items = append(hold.Items, Item{Tier: tier, Allocation: "general", Quantity: len(seats), Seats: seats})
			hold.Units += len(seats)
		}
		if h.state != Active {
			hold.ClosedAt = time.Unix(1, 0)
		}
		if h.due && h.state == Active {
			hold.State = Expired
		}
		rows.holds[id] = hold
	}
	rows.mirrors = map[uuid.UUID]*mirror{}
	for event, offer := range s.offers {
		m := newMirror(offer.Chart)
		for key, hold := range s.seats {
			if key.event == event {
				m.set("general", key.seat, hold == uuid.Nil)
			}
		}
		rows.mirrors[event] = m
	}
	return rows
}

// free lists what the mirrors call free.
func (s *snapshot) free() map[seatKey]bool {
	free := map[seatKey]bool{}
	for event, m := range s.mirrors {
		for key := range s.seats {
			if place, ok := m.chart.Find(key.seat); ok && key.event == event && m.pool("general").Has(place) {
				free[key] = true
			}
		}
	}
	return free
}

// apply carries out a plan on rows as the statements of write.go would, and reports every guard that would have failed.
func apply(rows *snapshot, p *plan) (wrong []string) {
	for key, change := range p.stock {
		row := rows.stock[key]
		row.taken += change
		if row.taken < 0 || row.taken > row.capacity {
			wrong = append(wrong, fmt.Sprintf("stock %v: %d of %d", key, row.taken, row.capacity))
		}
		rows.stock[key] = row
	}
	for _, move := range p.freed {
		row := rows.seats[move.seatKey]
		if row.free {
			wrong = append(wrong, fmt.Sprintf("seat %v freed twice", move.seatKey))
		}
		row.free = true
		rows.seats[move.seatKey] = row
	}
	for _, move := range p.taken {
		row := rows.seats[move.seatKey]
		if !row.free {
			wrong = append(wrong, fmt.Sprintf("seat %v taken twice", move.seatKey))
		}
		row.free = false
		rows.seats[move.seatKey] = row
	}
	for key, change := range p.quota {
		if _, known := rows.quota[key]; known == change.fresh {
			wrong = append(wrong, fmt.Sprintf("quota %v: known %v, fresh %v", key, known, change.fresh))
		}
		rows.quota[key] += change.units
		if change.units > 0 && rows.quota[key] > change.limit {
			wrong = append(wrong, fmt.Sprintf("quota %v: %d of %d", key, rows.quota[key], change.limit))
		}
	}
	return wrong
}

// drawShop makes two small events with something to fight for.
func drawShop(t *rapid.T) *shop {
	s := &shop{
		capacity: map[stockKey]int{}, units: map[stockKey][]uuid.UUID{}, seatTier: map[seatKey]string{}, seats: map[seatKey]uuid.UUID{},
		holds: map[uuid.UUID]*shopHold{}, offers: map[uuid.UUID]*Offer{}, owned: map[uuid.UUID]int{},
	}
	for e := range byte(2) {
		event := uuid.UUID{e + 1}
		s.offers[event] = &Offer{Currency: "EUR", Limit: rapid.IntRange(1, 6).Draw(t, "limit"), HoldTTL: time.Minute, Tiers: map[string]TierOffer{
			"floor": {Kind: General, PriceMinor: 10, Allocation: "general"},
			"lower": {Kind: Seated, PriceMinor: 20, Allocation: "general"},
			"upper": {Kind: Seated, PriceMinor: 30, Allocation: "general"},
		}}
		s.capacity[stockKey{event, "floor", "general"}] = rapid.IntRange(0, 6).Draw(t, "capacity")
		var sections []seating.Section
		for _, tier := range []string{"lower", "upper"} {
			section := seating.Section{ID: tier[:1], Tier: tier}
			for _, label := range []string{"1", "2"} {
				row := seating.Row{Label: label}
				for number := 1; number <= 3; number++ {
					key := seatKey{event, fmt.Sprintf("%s/%s/%d", section.ID, label, number)}
					s.seatTier[key], s.seats[key] = tier, uuid.Nil
					s.capacity[stockKey{event, tier, "general"}]++
					row.Seats = append(row.Seats, seating.Seat{Number: number})
				}
				section.Rows = append(section.Rows, row)
			}
			sections = append(sections, section)
		}
		chart, err := seating.NewChart(sections)
		if err != nil {
			t.Fatal(err)
		}
		s.offers[event].Chart = chart
	}
	return s
}

// drawOp makes a request that nearly always makes sense.
func drawOp(t *rapid.T, s *shop, known []uuid.UUID) op {
	event := uuid.UUID{byte(rapid.IntRange(1, 2).Draw(t, "event"))}
	entrant := lottery.Entrant{byte(rapid.IntRange(0, 3).Draw(t, "entrant"))}
	if len(known) > 0 && rapid.IntRange(0, 2).Draw(t, "close") == 0 {
		id := rapid.SampledFrom(known).Draw(t, "hold")
		h := s.holds[id]
		if rapid.IntRange(0, 4).Draw(t, "own") > 0 {
			entrant = h.entrant
		}
		return op{do: rapid.SampledFrom([]action{release, expire}).Draw(t, "how"), id: id, event: h.event, entrant: entrant}
	}
	var items []Item
	for n := range rapid.IntRange(1, 2).Draw(t, "items") {
		switch rapid.IntRange(0, 9).Draw(t, "item") {
		case 0:
			items = append(items, Item{Tier: rapid.SampledFrom([]string{"lower", "balcony"}).Draw(t, "tier"), Quantity: 1})
		case 1, 2:
			w := &Best{Quantity: rapid.IntRange(1, 3).Draw(t, "party"), Allow: seating.Allow{
				Orphans: rapid.Bool().Draw(t, "orphans"), Split: rapid.Bool().Draw(t, "split")}}
			tier := rapid.SampledFrom([]string{"lower", "upper"}).Draw(t, "of tier")
			if rapid.Bool().Draw(t, "by section") {
				w.Section = tier[:1]
			}
			items = append(items, Item{Tier: tier, Quantity: w.Quantity, Best: w})
		case 3, 4, 5:
			items = append(items, Item{Tier: "floor", Quantity: rapid.IntRange(1, 3).Draw(t, "quantity")})
		default:
			if n == 0 || len(items) == 0 || len(items[0].Seats) == 0 { // the same seat twice is refused before decide
				seats := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"l/1/1", "l/1/2", "l/2/2", "u/1/1", "u/2/3", "9"}), 1, 3, rapid.ID[string]).Draw(t, "seats")
				items = append(items, Item{Seats: seats})
			}
		}
	}
	key := fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "key"))
	o := op{do: grant, id: HoldID(event, entrant, key), event: event, entrant: entrant, items: items, offer: s.offers[event]}
	o.counts = []count{newCount(event, kindEntrant, entrant, o.offer.limit())}
	text, sum := strings.Builder{}, sha256.New()
	for _, item := range items {
		fmt.Fprintf(&text, "%s %d %v %+v;", item.Tier, item.Quantity, item.Seats, item.Best)
	}
	sum.Write([]byte(text.String()))
	copy(o.body[:], sum.Sum(nil))
	return o
}

func TestABatchIsDecidedAsIfEachRequestHadComeAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawShop(t)
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			known := slices.Clone(s.order)
			for _, id := range known {
				s.holds[id].due = s.holds[id].due || rapid.IntRange(0, 3).Draw(t, "due") == 0
			}
			rows := s.rows()
			ops := make([]op, rapid.IntRange(1, 12).Draw(t, "ops"))
			for i := range ops {
				ops[i] = drawOp(t, s, known)
			}
			frozen, free := maps.Clone(rows.stock), rows.free()
			p := decide(rows, ops, nil)
			if !maps.Equal(frozen, rows.stock) || !maps.Equal(free, rows.free()) {
				t.Fatal("decide changed what it was given")
			}
			for i := range ops {
				var want error
				if ops[i].do == grant {
					want = s.hold(&ops[i])
				} else {
					want = s.close(&ops[i])
				}
				if got := p.answers[i].err; !errors.Is(gone(got), want) {
					t.Fatalf("op %d %+v: %v, want %v", i, ops[i], got, want)
				}
			}
			p.answer()
			for i := range ops {
				if h := p.answers[i].hold; p.answers[i].err == nil && h.ID != ops[i].id {
					t.Fatalf("op %d got hold %v", i, h.ID)
				}
			}
			for _, line := range apply(rows, &p) {
				t.Error(line)
			}
			after := s.rows()
			if !maps.Equal(rows.stock, after.stock) || !maps.Equal(rows.seats, after.seats) {
				t.Fatalf("rows\n%v\n%v\nshould be\n%v\n%v", rows.stock, rows.seats, after.stock, after.seats)
			}
			for key, n := range after.quota {
				if rows.quota[key] != n {
					t.Fatalf("quota %v is %d, should be %d", key, rows.quota[key], n)
				}
			}
		}
	})
}

func TestItemsAreStoredAsPlainJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Item {
			return Item{
				Tier: rapid.String().Draw(t, "tier"), Allocation: rapid.String().Draw(t, "allocation"),
				Quantity: rapid.Int().Draw(t, "quantity"), Seats: rapid.SliceOf(rapid.String()).Draw(t, "seats"),
			}
		})).Draw(t, "items")
		want, err := json.Marshal(items)
		if err != nil {
			t.Fatal(err)
		}
		if got := encodeItems(items); got != string(want) {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func TestSoldOutIsRememberedForATimeAndOnlyForWhatIsFull(t *testing.T) {
	m := soldOut{ttl: time.Second, seen: map[stockKey]time.Time{}}
	event := uuid.UUID{1}
	floor, pit := stockKey{event, "floor", "general"}, stockKey{event, "pit", "general"}
	offer := &Offer{Limit: 4, Tiers: map[string]TierOffer{
		"floor": {Kind: General, Allocation: "general"}, "pit": {Kind: General, Allocation: "general"}, "lower": {Kind: Seated, Allocation: "general"},
	}}
	ask := func(items ...Item) *op { return &op{event: event, offer: offer, items: items} }
	now := time.Unix(1000, 0)
	m.learn(&snapshot{stock: map[stockKey]stockRow{floor: {capacity: 10, taken: 8}, pit: {capacity: 3, taken: 2}}}, &plan{stock: map[stockKey]int64{floor: 2}}, now)
	tests := []struct {
		name string
		o    *op
		at   time.Duration
		want bool
	}{
		{"the full tier", ask(Item{Tier: "floor", Quantity: 1}), 0, true},
		{"together with another", ask(Item{Tier: "pit", Quantity: 1}, Item{Tier: "floor", Quantity: 1}), 0, true},
		{"a tier with units left", ask(Item{Tier: "pit", Quantity: 1}), 0, false},
		{"another allocation", ask(Item{Tier: "floor", Allocation: "house", Quantity: 1}), 0, false},
		{"more than the limit", ask(Item{Tier: "floor", Quantity: 5}), 0, false},
		{"together with an unknown tier", ask(Item{Tier: "floor", Quantity: 1}, Item{Tier: "balcony", Quantity: 1}), 0, false},
		{"together with seats", ask(Item{Tier: "floor", Quantity: 1}, Item{Seats: []string{"1"}}), 0, false},
		{"just in time", ask(Item{Tier: "floor", Quantity: 1}), time.Second - 1, true},
		{"too late", ask(Item{Tier: "floor", Quantity: 1}), time.Second, false},
	}
	for _, test := range tests {
		if got := m.refuses(test.o, now.Add(test.at)); got != test.want {
			t.Errorf("%s: refused %v", test.name, got)
		}
	}
	m.learn(&snapshot{}, &plan{stock: map[stockKey]int64{floor: -1}}, now)
	if m.refuses(ask(Item{Tier: "floor", Quantity: 1}), now) {
		t.Error("a release did not clear it")
	}
}
