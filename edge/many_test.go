package edge

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

func TestManyEdgesAreOneRoomWhileNodesComeAndGo(t *testing.T) {
	for _, edges := range []int{2, 5, 10} {
		t.Run(fmt.Sprintf("%d edges", edges), func(t *testing.T) {
			t.Parallel()
			world := newWorld(t)
			core := world.start()
			world.addEvent("arena", time.Hour)
			nodes := make([]*testNode, edges)
			for i := range nodes {
				// Every clock is off a little, each in its own way.
				nodes[i] = startNodeAt(t, testConfig(t, core), time.Duration(i%3-1)*time.Second)
			}
			for _, n := range nodes {
				n.ready("arena")
			}
			buyers := make([]*buyer, 4*edges)
			places := make([]joinAnswer, len(buyers))
			var joining sync.WaitGroup
			for i := range buyers {
				buyers[i] = newBuyer(t)
				joining.Go(func() { // joins at one, and fetches the receipt at the next
					buyers[i].join(nodes[i%edges], "arena")
					places[i] = buyers[i].joinFully(nodes[(i+1)%edges], "arena")
				})
			}
			joining.Wait()
			// One dies, with whatever it had; another comes; and all buyers of the dead one go on at the others with the place they had.
			nodes[0].stop()
			nodes[0] = startNodeAt(t, testConfig(t, core), 2*time.Second).ready("arena")
			for i, b := range buyers {
				if again := b.joinFully(nodes[(i+2)%edges], "arena"); again.Entrant != places[i].Entrant || again.Window != places[i].Window {
					t.Errorf("buyer %d was %s in window %d and is %s in window %d", i, places[i].Entrant, places[i].Window, again.Entrant, again.Window)
				}
			}
			world.open("arena", everybody)
			nodes[1].stop()
			nodes[1] = startNode(t, testConfig(t, core)).ready("arena")
			for i, b := range buyers {
				b.claim(nodes[(i+1)%edges], "arena")
				b.claim(nodes[(i+3)%edges], "arena") // the same session again
			}
			world.mu.Lock()
			defer world.mu.Unlock()
			if pool := len(world.events["arena"].pool); pool != len(buyers) || len(world.sessions) != len(buyers) {
				t.Errorf("%d buyers are %d entrants with %d sessions", len(buyers), pool, len(world.sessions))
			}
		})
	}
}

func TestAClockOffByASecondIsSilentAndOneOffByAMinuteIsSaidAndNeitherCostsAnybodyTheirWindow(t *testing.T) {
	for _, off := range []time.Duration{time.Second, -time.Second, time.Minute, -time.Minute} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			world := newWorld(t)
			core := world.start()
			world.addEvent("arena", 30*time.Second)
			n := startNodeAt(t, testConfig(t, core), off).ready("arena")
			if got := newBuyer(t).joinFully(n, "arena"); got.Window != 0 {
				t.Errorf("before the sale instant somebody got window %d", got.Window)
			}
			b := newBuyer(t)
			b.joinFully(n, "arena")
			world.open("arena", everybody)
			b.claim(n, "arena")
			wrong := off.Abs() > DefaultConfig().Feed.ClockWarning
			if said := strings.Contains(n.logs.String(), "clock differs"); said != wrong {
				t.Errorf("the log says that the clock differs: %t", said)
			}
			world.mu.Lock()
			defer world.mu.Unlock()
			if told := world.clockAhead; (told + off).Abs() > 500*time.Millisecond {
				t.Errorf("core was told that it is ahead by %s; it is by %s", told, -off)
			}
		})
	}
}

func TestAKeyThatCoreWantsReplacedIsReplacedAndOneThatItRevokedIsNotUsed(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	event := lottery.EventID("arena")
	current := func() uuid.UUID {
		key, _ := n.ring.Current(event, time.Now())
		return key.ID
	}
	first := current()
	world.change(func() { world.keyNotices = []map[string]any{{"key_id": first, "revoked": false}} })
	eventually(t, "another key signs", func() bool { id := current(); return id != first && id != uuid.Nil })
	if !n.ring.Holds(first) {
		t.Error("the key that was replaced is gone before its tokens have ended")
	}
	a, b := newBuyer(t), newBuyer(t)
	a.joinFully(n, "arena")
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	a.claim(n, "arena")

	// Core takes the key for worthless before the node has heard of it.
	second := current()
	world.change(func() { delete(world.keys, second) })
	var codes []string
	eventually(t, "a session with a third key", func() bool {
		r := b.do(n, "POST", "/q/arena/claim", "{}")
		if r.status != 200 {
			codes = append(codes, r.code())
		}
		return r.status == 200
	})
	for _, code := range codes {
		if code != "core_unreachable" {
			t.Errorf("meanwhile the buyer was answered %s", code)
		}
	}
	if len(codes) == 0 || n.ring.Holds(second) {
		t.Errorf("%d waits, and the revoked key is still there: %t", len(codes), n.ring.Holds(second))
	}
}
