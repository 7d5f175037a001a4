package event_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/event"
)

// rowsOf is the whole content of what Apply writes, without what chance and the clock decide.
func rowsOf(t *testing.T, d *db.DB) map[string][]map[string]any {
	t.Helper()
	tables := map[string][]map[string]any{}
	for table, order := range map[string]string{"events": "slug", "tiers": "event_id, tier", "stock": "event_id, tier, allocation",
		"seats": "event_id, seat", "keys": "scope, purpose", "catalog": "slug"} {
		rows, err := d.Reader.Query(t.Context(), "SELECT * FROM "+table+" ORDER BY "+order)
		if err != nil {
			t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowToMap)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range found {
			for _, column := range []string{"pseudonym_key", "secret", "public", "created_at", "updated_at", "changed_at"} {
				delete(row, column)
			}
		}
		tables[table] = found
	}
	return tables
}

func TestABatchWritesTheSameRowsAsEachEventAlone(t *testing.T) {
	var specs []event.Spec
	for i := range 5 {
		specs = append(specs, edit(t, hall, "id: hall", fmt.Sprintf("id: hall-%d", 5-i)))
	}
	changed := slices.Clone(specs)
	changed[1] = edit(t, hall, "id: hall", "id: hall-4", "row: A-C, seats: 10", "row: A-C, seats: 11", "capacity: 100", "capacity: 101")
	changed = append(changed, edit(t, hall, "id: hall", "id: hall-9"))

	alone, together := dbtest.New(t), dbtest.New(t)
	one, many := event.NewStore(alone, event.Options{}), event.NewStore(together, event.Options{})
	for _, batch := range [][]event.Spec{specs, changed} {
		var want []event.Result
		for _, s := range batch {
			want = append(want, apply(t, one, s))
		}
		got, err := many.ApplyAll(t.Context(), batch)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("the batch answers %+v, %v\neach alone %+v", got, err, want)
		}
		if a, b := rowsOf(t, alone), rowsOf(t, together); !reflect.DeepEqual(a, b) {
			t.Fatalf("alone:\n%v\ntogether:\n%v", a, b)
		}
	}
	if rows := rowsOf(t, together)["keys"]; len(rows) != 4*6 {
		t.Errorf("%d keys", len(rows))
	}
}

func TestABatchIsAppliedAsAWholeOrNotAtAll(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	apply(t, s, edit(t, hall, "id: hall", "id: hall-2"))
	sell(t, d, "standing", "general", 5)
	before := rowsOf(t, d)
	_, err := s.ApplyAll(t.Context(), []event.Spec{
		edit(t, hall, "id: hall", "id: hall-1"),
		edit(t, hall, "id: hall", "id: hall-2", "price: 10", "price: 11"),
	})
	var problems event.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Path != "events[1].tiers[1].price" {
		t.Fatalf("got %v", err)
	}
	if after := rowsOf(t, d); !reflect.DeepEqual(before, after) {
		t.Errorf("a refused batch changed something:\n%v\n%v", before, after)
	}
	for name, batch := range map[string][]event.Spec{
		"empty": nil, "twice": {edit(t, hall), edit(t, hall)}, "long": make([]event.Spec, 501),
	} {
		if _, err := s.ApplyAll(t.Context(), batch); !errors.Is(err, event.ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheCatalogHasWhatBuyersSearch(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	row := func() (m map[string]any, at time.Time) {
		rows, err := d.Reader.Query(t.Context(), "SELECT * FROM catalog")
		if err != nil {
			t.Fatal(err)
		}
		if m, err = pgx.CollectExactlyOneRow(rows, pgx.RowToMap); err != nil {
			t.Fatal(err)
		}
		at = m["changed_at"].(time.Time)
		delete(m, "changed_at")
		delete(m, "event_id")
		return m, at
	}
	apply(t, s, edit(t, hall))
	want := map[string]any{
		"slug": "hall", "state": "active", "name": "Chamber Music", "category": "other", "summary": "", "performers": "", "tags": "",
		"venue": "City Hall", "city": "Graz", "country": "AT", "time_zone": "Europe/Vienna", "starts_at": time.Date(2027, 6, 12, 18, 0, 0, 0, time.UTC),
		"currency": "EUR", "price_min": int64(1200), "price_max": int64(4500), "revision": int64(1),
	}
	first, at := row()
	first["starts_at"] = first["starts_at"].(time.Time).UTC()
	if !reflect.DeepEqual(first, want) {
		t.Errorf("got %v", first)
	}
	apply(t, s, edit(t, hall)) // the same: the row is left alone
	if _, again := row(); !again.Equal(at) {
		t.Error("an unchanged event was written again")
	}
	changed := strings.Replace(hall, "organizer:", "category: concert\nsummary: Late.\nperformers: [Trio, Łukasz Żak]\ntags: [indoors]\norganizer:", 1)
	apply(t, s, edit(t, changed))
	second, later := row()
	if second["category"] != "concert" || second["summary"] != "Late." || second["performers"] != "Trio\nŁukasz Żak" || second["tags"] != "indoors" ||
		second["revision"] != int64(2) || !later.After(at) {
		t.Errorf("got %v at %v", second, later)
	}
}
