package inventory

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/edge/backlog"
	"fairgate/edge/lottery"
)

// A refusal that rests on what was read and on the grants of its own batch is true only if nothing was given back between
// the reading and the commit: otherwise nobody was ever there for whom it was sold out.
func TestARefusalThatTheCommitMakesUntrueIsDecidedAgain(t *testing.T) {
	d, event := dbtest.New(t), uuid.New()
	offer := &Offer{Currency: "EUR", Limit: 4, HoldTTL: time.Minute, Tiers: map[string]TierOffer{"floor": {Kind: General, Allocation: "general"}}}
	key := stockKey{event, "floor", "general"}
	ask := func(n byte, quantity int) op {
		buyer := lottery.Entrant{n}
		return op{do: grant, id: HoldID(event, buyer, "k"), event: event, entrant: buyer, offer: offer, items: []Item{{Tier: "floor", Quantity: quantity}}}
	}
	was := &snapshot{stock: map[stockKey]stockRow{key: {capacity: 4, taken: 2}}}
	for name, c := range map[string]struct {
		taken    int64 // at the commit
		ops      []op
		outdated bool
	}{
		"nothing happened in between":               {2, []op{ask(1, 2), ask(2, 1)}, false},
		"one came back":                             {1, []op{ask(1, 2), ask(2, 1)}, true},
		"one came back and two were asked for":      {1, []op{ask(1, 1), ask(2, 3)}, false},
		"enough came back for those who were asked": {0, []op{ask(1, 1), ask(2, 3)}, true},
		"nobody was refused":                        {1, []op{ask(1, 1), ask(2, 1)}, false},
		"refused before anything was granted":       {0, []op{ask(1, 3), ask(2, 1)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.Pool.Exec(t.Context(), `DELETE FROM stock`); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Pool.Exec(t.Context(), `INSERT INTO stock (event_id, tier, allocation, capacity, taken, version)
				VALUES ($1, 'floor', 'general', 4, $2, 0)`, event, c.taken); err != nil {
				t.Fatal(err)
			}
			p := decide(was, c.ops, nil)
			keep := errors.New("not meant to stay")
			err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				if err := p.write(ctx, tx); err != nil {
					return err
				}
				return keep
			})
			if errors.Is(err, ErrOutdated) != c.outdated || !c.outdated && !errors.Is(err, keep) {
				t.Errorf("writing said %v", err)
			}
		})
	}
}

// A hold that the batch closes may count in a row of quota that a stranger's hold counts in too. The row is not new then.
func TestARowOfQuotaThatTheBatchGivesBackToIsNotNew(t *testing.T) {
	event, address := uuid.New(), lottery.Entrant{7}
	offer := &Offer{Currency: "EUR", Limit: 4, HoldTTL: time.Minute, Tiers: map[string]TierOffer{"floor": {Kind: General, Allocation: "general"}}}
	shared := newCount(event, kindAddress, address, 10)
	old := Hold{ID: uuid.New(), Event: event, Entrant: lottery.Entrant{1}, State: Expired, Units: 2,
		Items: []Item{{Tier: "floor", Allocation: "general", Quantity: 2}}, others: others([]count{{}, shared})}
	stranger := op{do: grant, id: uuid.New(), event: event, entrant: lottery.Entrant{2}, offer: offer, items: []Item{{Tier: "floor", Quantity: 1}},
		counts: []count{newCount(event, kindEntrant, lottery.Entrant{2}, 4), shared}}
	was := &snapshot{
		stock: map[stockKey]stockRow{{event, "floor", "general"}: {capacity: 4, taken: 2}},
		holds: map[uuid.UUID]Hold{old.ID: old}, strangers: []int{1},
	}
	p := decide(was, []op{{do: expire, id: old.ID, event: event}, stranger}, nil)
	if p.answers[1].err != nil {
		t.Fatal(p.answers[1].err)
	}
	if !was.rebuffs(&p) {
		t.Errorf("the row would be inserted with %d units", p.quota[shared.id].units)
	}
}

// A crowd that fills an event's share of the queue must not keep out what would give it units.
func TestACrowdDoesNotKeepExpiriesOutOfTheLane(t *testing.T) {
	crowd := backlog.New[*op](10, true)
	event := uuid.New()
	for n := 0; ; n++ {
		o := &op{do: grant, event: event}
		if !crowd.Push(o.turn(), &backlog.Place[*op]{}, o) {
			if n == 0 {
				t.Fatal("nobody got in")
			}
			break
		}
	}
	for _, do := range []action{expire, release} {
		o := &op{do: do, event: event}
		if !crowd.Push(o.turn(), &backlog.Place[*op]{}, o) {
			t.Errorf("action %d found no room", do)
		}
	}
}
