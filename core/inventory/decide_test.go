package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

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
	for _, item := range o.items {
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

// errGone stands for each of sold out, not enough left and seat taken.
var errGone = errors.New("gone")

func gone(err error) error {
	if errors.Is(err, ErrSoldOut) || errors.Is(err, ErrNotEnoughLeft) || errors.Is(err, ErrSeatTaken) {
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
	return rows
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
		for n := range 4 {
			tier := []string{"lower", "upper"}[n/2]
			key := seatKey{event, fmt.Sprint(n)}
			s.seatTier[key], s.seats[key] = tier, uuid.Nil
			s.capacity[stockKey{event, tier, "general"}]++
		}
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
		case 1, 2, 3, 4:
			items = append(items, Item{Tier: "floor", Quantity: rapid.IntRange(1, 3).Draw(t, "quantity")})
		default:
			if n == 0 || len(items[0].Seats) == 0 { // the same seat twice is refused before decide
				seats := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"0", "1", "2", "3", "9"}), 1, 3, rapid.ID[string]).Draw(t, "seats")
				items = append(items, Item{Seats: seats})
			}
		}
	}
	key := fmt.Sprint(rapid.IntRange(0, 5).Draw(t, "key"))
	o := op{do: grant, id: HoldID(event, entrant, key), event: event, entrant: entrant, items: items, offer: s.offers[event]}
	o.counts = []count{newCount(event, kindEntrant, entrant, o.offer.limit())}
	copy(o.body[:], fmt.Sprint(items))
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
			frozen := maps.Clone(rows.stock)
			p := decide(rows, ops, nil)
			if !maps.Equal(frozen, rows.stock) {
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
