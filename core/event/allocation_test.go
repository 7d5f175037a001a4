package event_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/event"
	"fairgate/core/inventory"
)

// What was released stays released whatever is applied after it, unless the file itself moves the seats.
func TestApplyingAFileDoesNotUndoARelease(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	r := apply(t, s, edit(t, hall))
	stocks := inventory.New(d, inventory.Config{Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) {
		return inventory.Offer{Tiers: map[string]inventory.TierOffer{"stalls": {Kind: inventory.Seated}, "standing": {Kind: inventory.General}}}, nil
	}}, inventory.Hooks{})
	defer stocks.Close()
	release := func(allocation string, quantity int64) {
		t.Helper()
		done, err := stocks.ReleaseAllocation(t.Context(), inventory.ReleaseOrder{Event: r.ID, Allocation: allocation, Quantity: quantity, ID: uuid.New(), Actor: "test"})
		if err != nil || len(done) != 1 || quantity > 0 && done[0].Units != quantity {
			t.Fatalf("released %+v, %v", done, err)
		}
	}
	check := func(when string, want map[string][3]int64) {
		t.Helper()
		if got := stock(t, d); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	release("house", 4)
	release("sponsor", 15)
	after := map[string][3]int64{"stalls/general": {34, 0, 34}, "stalls/house": {6, 0, 6}, "standing/general": {95, 0, 0}, "standing/sponsor": {5, 0, 0}}
	check("released", after)
	if again := apply(t, s, edit(t, hall)); again.Changed {
		t.Error("the same file changed something")
	}
	check("the same file again", after)
	apply(t, s, edit(t, hall, "Chamber Music", "Chamber Music II", "{row: A-C, seats: 10}", "{row: A-C, seats: 11}", "capacity: 100", "capacity: 120"))
	after["stalls/general"], after["standing/general"] = [3]int64{37, 0, 37}, [3]int64{115, 0, 0}
	check("another file", after)
	_, err := s.Apply(t.Context(), edit(t, hall, "quantity: 20", "quantity: 10"))
	if problems := (event.Problems{}); !errors.As(err, &problems) || !strings.Contains(err.Error(), "15 were released to general sale") {
		t.Errorf("less than was released: %v", err)
	}
	// The file gives row D to nobody: its seats are where the file says, released or not.
	apply(t, s, edit(t, hall, "{row: D, seats: 10, allocation: house}", "{row: D, seats: 10}", "  - {id: house, tier: stalls}\n", ""))
	check("without the house", map[string][3]int64{"stalls/general": {40, 0, 40}, "standing/general": {95, 0, 0}, "standing/sponsor": {5, 0, 0}})
	apply(t, s, edit(t, hall))
	check("with the house again", map[string][3]int64{"stalls/general": {30, 0, 30}, "stalls/house": {10, 0, 10}, "standing/general": {95, 0, 0}, "standing/sponsor": {5, 0, 0}})
}
