package event_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/event"
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const hall = `id: hall
name: Chamber Music
organizer: city-hall
venue: {name: City Hall, city: Graz, country: AT}
time_zone: Europe/Vienna
starts_at: 2027-06-12T20:00:00+02:00
currency: EUR
tiers:
  - {id: stalls, name: Stalls, kind: seated, price: 40}
  - {id: standing, name: Standing, kind: general, price: 10, capacity: 100}
seating:
  sections:
    - id: left
      tier: stalls
      rows:
        - {row: A-C, seats: 10}
        - {row: D, seats: 10, allocation: house}
allocations:
  - {id: house, tier: stalls}
  - {id: sponsor, tier: standing, quantity: 20}
fees: {per_ticket: 1, percent: 10}
`

// edit replaces pairs of texts, each of which must be there.
func edit(t *testing.T, file string, pairs ...string) event.Spec {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(file, pairs[i]) {
			t.Fatalf("there is no %q to replace", pairs[i])
		}
		file = strings.Replace(file, pairs[i], pairs[i+1], 1)
	}
	s, err := event.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func apply(t *testing.T, s *event.Store, spec event.Spec) event.Result {
	t.Helper()
	r, err := s.Apply(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// stock is "tier/allocation" → [capacity, taken, seats in the seat table].
func stock(t *testing.T, d *db.DB) map[string][3]int64 {
	t.Helper()
	rows, err := d.Pool.Query(t.Context(), `
		SELECT s.tier, s.allocation, s.capacity, s.taken,
		       (SELECT count(*) FROM seats AS x WHERE x.event_id = s.event_id AND x.tier = s.tier AND x.allocation = s.allocation)
		FROM stock AS s`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string][3]int64)
	for rows.Next() {
		var tier, allocation string
		var n [3]int64
		if err := rows.Scan(&tier, &allocation, &n[0], &n[1], &n[2]); err != nil {
			t.Fatal(err)
		}
		all[tier+"/"+allocation] = n
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return all
}

func exec(t *testing.T, d *db.DB, sql string, args ...any) {
	t.Helper()
	if _, err := d.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// sell marks seats as sold and counts them, as inventory would.
func sell(t *testing.T, d *db.DB, tier, allocation string, quantity int, seats ...string) {
	t.Helper()
	exec(t, d, `UPDATE stock SET taken = taken + $1::INT8 WHERE tier = $2 AND allocation = $3`, quantity+len(seats), tier, allocation)
	exec(t, d, `UPDATE seats SET state = 'sold', hold_id = $1 WHERE seat = ANY($2::TEXT[])`, uuid.New(), seats)
}

func TestApplyingCreatesEverythingAnEventNeeds(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	spec := edit(t, hall)
	r := apply(t, s, spec)
	if !r.Changed || r.Revision != 1 || r.Event != "hall" || r.ID != lottery.EventID("hall") {
		t.Errorf("got %+v", r)
	}
	want := map[string][3]int64{"stalls/general": {30, 0, 30}, "stalls/house": {10, 0, 10}, "standing/general": {80, 0, 0}, "standing/sponsor": {20, 0, 0}}
	if got := stock(t, d); !maps.Equal(got, want) {
		t.Errorf("stock is %v, want %v", got, want)
	}
	for _, p := range []event.Purpose{event.PassPurpose, event.ReceiptPurpose, event.TicketPurpose, event.InvitationPurpose} {
		if ring, err := s.Keys(t.Context(), p, event.Scope(r.ID)); err != nil || len(ring) != 1 || ring[0].Number != 1 {
			t.Errorf("%s keys are %v, %v", p, ring, err)
		}
	}
	e, err := s.Load(t.Context(), "hall")
	if err != nil {
		t.Fatal(err)
	}
	if e.ID != r.ID || e.Slug != "hall" || e.State != "active" || e.Spec.Name != "Chamber Music" || len(e.PseudonymKey) != 32 || e.Location.String() != "Europe/Vienna" {
		t.Errorf("loaded %+v", e)
	}
	if p := e.Tiers["stalls"].Price; p.Face.Minor != 4000 || p.Fee.Minor != 500 || p.AllIn.Minor != 4500 {
		t.Errorf("stalls cost %+v", p)
	}
	var face, fee, tax, sort int64
	if err := d.Pool.QueryRow(t.Context(), `SELECT face_minor, fee_minor, tax_minor, sort FROM tiers WHERE tier = 'standing'`).Scan(&face, &fee, &tax, &sort); err != nil ||
		face != 1000 || fee != 200 || tax != 0 || sort != 1 {
		t.Errorf("the table says %d + %d + %d at %d, %v", face, fee, tax, sort, err)
	}
}

func TestApplyingTheArenaTwiceChangesNothing(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	file, err := os.ReadFile("../../configs/events/arena.yaml")
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, edit(t, string(file)))
	before := snapshot(t, d)
	if r := apply(t, s, edit(t, string(file))); r.Changed || r.Revision != 1 || len(r.Changes) != 0 {
		t.Errorf("got %+v", r)
	}
	if after := snapshot(t, d); after != before {
		t.Errorf("from %s\nto   %s", before, after)
	}
}

// snapshot is a digest of all that Apply writes.
func snapshot(t *testing.T, d *db.DB) string {
	t.Helper()
	var all []string
	for table, order := range map[string]string{"events": "event_id", "tiers": "event_id, tier", "stock": "event_id, tier, allocation", "seats": "event_id, seat", "keys": "purpose, scope, number"} {
		var digest string
		if err := d.Pool.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) || ' ' || COALESCE(md5(string_agg(x::TEXT, '|' ORDER BY %s)), '') FROM %s AS x`, order, table)).Scan(&digest); err != nil {
			t.Fatal(err)
		}
		all = append(all, table+" "+digest)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func TestChangesThatBreakNoPromiseAreMadeWhileOthersHoldTickets(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall))
	sell(t, d, "stalls", "general", 0, "left/A/1", "left/B/1")
	sell(t, d, "standing", "general", 50)
	r := apply(t, s, edit(t, hall,
		"name: Chamber Music", "name: Chamber Music, second evening",
		"2027-06-12T20:00:00+02:00", "2027-06-13T20:00:00+02:00",
		"capacity: 100", "capacity: 70",
		"- {row: A-C, seats: 10}", "- {row: A, seats: 12}\n        - {row: B, seats: 5}\n        - {row: E, seats: 10}",
		"- {row: D, seats: 10, allocation: house}", "- {row: D, seats: 1-4}\n        - {row: D, seats: 5-10, allocation: house}",
		"quantity: 20", "quantity: 15",
	))
	want := map[string][3]int64{"stalls/general": {31, 2, 31}, "stalls/house": {6, 0, 6}, "standing/general": {55, 50, 0}, "standing/sponsor": {15, 0, 0}}
	if got := stock(t, d); !maps.Equal(got, want) {
		t.Errorf("stock is %v, want %v", got, want)
	}
	golden := []string{
		"moved: everybody with a ticket is told, and may give it back for 336h0m0s, the fee included",
		"name: Chamber Music → Chamber Music, second evening",
		"seats: 12 added",
		"seats: 15 removed",
		"seats: 4 moved to another tier or allocation",
		"starts_at: 2027-06-12T18:00:00Z → 2027-06-13T18:00:00Z",
		"stock stalls/general: 30 → 31",
		"stock stalls/house: 10 → 6",
		"stock standing/general: 80 → 55",
		"stock standing/sponsor: 20 → 15",
	}
	slices.Sort(r.Changes)
	if r.Revision != 2 || !r.Changed || !slices.Equal(r.Changes, golden) {
		t.Errorf("revision %d with changes\n%s\nwant\n%s", r.Revision, strings.Join(r.Changes, "\n"), strings.Join(golden, "\n"))
	}
	e, err := s.BySlug(t.Context(), "hall")
	if err != nil || e.Revision != 2 || e.Spec.Name != "Chamber Music, second evening" {
		t.Errorf("from memory: %+v, %v", e, err)
	}
}

func TestAnythingGoesWhileNothingIsTaken(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall))
	apply(t, s, edit(t, hall,
		"organizer: city-hall", "organizer: opera-house", "currency: EUR", "currency: JPY",
		"- {id: standing, name: Standing, kind: general, price: 10, capacity: 100}", "- {id: gallery, name: Gallery, kind: general, price: 20, capacity: 5}",
		"tier: standing, quantity: 20", "tier: gallery, quantity: 1",
		"- {id: stalls, name: Stalls, kind: seated, price: 40}", "- {id: stalls, name: Orchestra, kind: seated, price: 50}",
	))
	want := map[string][3]int64{"stalls/general": {30, 0, 30}, "stalls/house": {10, 0, 10}, "gallery/general": {4, 0, 0}, "gallery/sponsor": {1, 0, 0}}
	if got := stock(t, d); !maps.Equal(got, want) {
		t.Errorf("stock is %v, want %v", got, want)
	}
	var tiers int
	if err := d.Pool.QueryRow(t.Context(), `SELECT count(*) FROM tiers`).Scan(&tiers); err != nil || tiers != 2 {
		t.Errorf("there are %d tiers, %v", tiers, err)
	}
	apply(t, s, edit(t, hall))
}

func TestBrokenPromisesAreAllRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs []string
		want  []string // path: message
	}{
		{"price", []string{"price: 40", "price: 41"}, []string{
			"tiers[0].price: price, fees or taxes cannot change (all-in 45.00 EUR → 46.10 EUR) while 2 tickets are held or sold"}},
		{"fees of both tiers", []string{"percent: 10", "percent: 12"}, []string{
			"tiers[0].price: price, fees or taxes cannot change (all-in 45.00 EUR → 45.80 EUR) while 2 tickets are held or sold",
			"tiers[1].price: price, fees or taxes cannot change (all-in 12.00 EUR → 12.20 EUR) while 55 tickets are held or sold"}},
		{"capacity", []string{"capacity: 100", "capacity: 60"}, []string{
			"tiers[1].capacity: general of tier standing cannot go down to 40: 50 are held or sold"}},
		{"set-aside quantity", []string{"quantity: 20", "quantity: 4"}, []string{
			"allocations[1].quantity: sponsor of tier standing cannot go down to 4: 5 are held or sold"}},
		{"allocation removed", []string{"  - {id: sponsor, tier: standing, quantity: 20}\n", ""}, []string{
			"tiers[1]: sponsor of tier standing cannot go down to 0: 5 are held or sold"}},
		{"sold seats removed", []string{"{row: A-C, seats: 10}", "{row: A-C, seats: 2-10}"}, []string{
			"seating: seats left/A/1, left/B/1 cannot be removed: held or sold"}},
		{"sold seats moved", []string{"{row: A-C, seats: 10}", "{row: A-C, seats: 10, allocation: house}"}, []string{
			"seating: seats left/A/1, left/B/1 cannot change tier or allocation: held or sold",
			"tiers[0]: general of tier stalls cannot go down to 0: 2 are held or sold"}},
		{"tier removed", []string{"  - {id: standing, name: Standing, kind: general, price: 10, capacity: 100}\n", "", "  - {id: sponsor, tier: standing, quantity: 20}\n", ""}, []string{
			"tiers: tier standing cannot be removed while 55 of its tickets are held or sold"}},
		{"organizer and currency", []string{"organizer: city-hall", "organizer: opera", "currency: EUR", "currency: USD"}, []string{
			"organizer: cannot change from city-hall while 57 tickets are held or sold",
			"currency: cannot change from EUR while 57 tickets are held or sold",
			"tiers[0].price: price, fees or taxes cannot change (all-in 45.00 EUR → 45.00 USD) while 2 tickets are held or sold",
			"tiers[1].price: price, fees or taxes cannot change (all-in 12.00 EUR → 12.00 USD) while 55 tickets are held or sold"}},
		{"identity", []string{"fees:", "on_sale: {identity: invitation}\nfees:"}, []string{
			"on_sale.identity: cannot change from device while the on-sale is joining"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := dbtest.New(t)
			s := event.NewStore(d, event.Options{})
			r := apply(t, s, edit(t, hall))
			sell(t, d, "stalls", "general", 0, "left/A/1", "left/B/1")
			sell(t, d, "standing", "general", 50)
			sell(t, d, "standing", "sponsor", 5)
			joining(t, d, r.ID)
			before := snapshot(t, d)
			_, err := s.Apply(t.Context(), edit(t, hall, c.pairs...))
			var problems event.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v", err)
			}
			var got []string
			for _, p := range problems {
				if p.Line == 0 || p.Column == 0 {
					t.Errorf("%s has no place in the file", p)
				}
				got = append(got, p.Path+": "+p.Message)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if after := snapshot(t, d); after != before {
				t.Errorf("from %s\nto   %s", before, after)
			}
		})
	}
}

// joining puts an on-sale of the event into the phase in which entrants exist. What else such a row has is the waiting room's matter:
// every other column gets something of its type.
func joining(t *testing.T, d *db.DB, id uuid.UUID) {
	t.Helper()
	rows, err := d.Pool.Query(t.Context(), `SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'draws' AND is_nullable = 'NO'`)
	if err != nil {
		t.Fatal(err)
	}
	fill := map[string]any{"uuid": uuid.Nil, "bigint": 1, "text": "", "bytea": "", "boolean": false, "timestamp with time zone": "2027-01-01T00:00:00Z"}
	row := make(map[string]any)
	var column, kind string
	if _, err := pgx.ForEachRow(rows, []any{&column, &kind}, func() error {
		row[column] = fill[kind]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	row["event_id"], row["phase"] = id, "joining"
	exec(t, d, `INSERT INTO draws SELECT * FROM json_populate_record(NULL::draws, $1::JSON)`, row)
}

func TestStoresApplyingTheSameNewEventMakeOne(t *testing.T) {
	d := dbtest.New(t)
	spec := edit(t, hall)
	results := make([]event.Result, 4)
	var group sync.WaitGroup
	for i := range results {
		s := event.NewStore(d, event.Options{})
		group.Go(func() {
			var err error
			if results[i], err = s.Apply(t.Context(), spec); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	changed := 0
	for _, r := range results {
		if r.Changed {
			changed++
		}
		if r.Revision != 1 {
			t.Errorf("got %+v", r)
		}
	}
	if changed != 1 {
		t.Errorf("%d say that they changed it", changed)
	}
	if got := stock(t, d)["stalls/general"]; got != [3]int64{30, 0, 30} {
		t.Errorf("stalls have %v", got)
	}
}

// Capacity is lowered while buyers take tickets: whoever comes first, never more is taken than there is.
func TestCapacityIsNeverLoweredUnderABuyer(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall))
	var group sync.WaitGroup
	group.Go(func() {
		for range 60 {
			_, err := d.Exec(t.Context(), `UPDATE stock SET taken = taken + 1, version = version + 1 WHERE tier = 'standing' AND allocation = 'general' AND taken < capacity`)
			if err != nil {
				t.Error(err)
			}
		}
	})
	applied, refused := 0, 0
	for capacity := 99; capacity > 24; capacity -= 5 {
		_, err := s.Apply(t.Context(), edit(t, hall, "capacity: 100", fmt.Sprintf("capacity: %d", capacity)))
		var problems event.Problems
		switch {
		case err == nil:
			applied++
		case errors.As(err, &problems):
			refused++
		default:
			t.Error(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	group.Wait()
	if got := stock(t, d)["standing/general"]; got[1] > got[0] || applied == 0 || applied+refused != 15 {
		t.Errorf("capacity and taken are %v after %d changes and %d refusals", got, applied, refused)
	}
}

func TestASpecThatNobodyParsedIsRefused(t *testing.T) {
	var problems event.Problems
	if _, err := event.NewStore(dbtest.New(t), event.Options{}).Apply(t.Context(), event.Spec{}); !errors.As(err, &problems) {
		t.Errorf("got %v", err)
	}
}
