package access

import (
	"encoding/json"
	"testing"
	"time"
)

// counts are those of a state object that buyers see.
type counts struct {
	Joined, Called int
	Windows        []struct{ Entrants int }
	Presale        string
	Next           *struct {
		Presale   string
		JoiningAt time.Time `json:"joining_at"`
	}
}

// told is what a core tells an edge of the event.
func (c *core) told(t *testing.T, e *edge) (n counts) {
	t.Helper()
	u, err := c.Wait(t.Context(), e.id, 0, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(u.Events) == 0 {
		return n // nothing is built yet
	}
	if err := json.Unmarshal(u.Events[0].State, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheCountsThatBuyersSeeAreThoseOfAllEdgesAtEveryCore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.start(testConfig()), w.start(testConfig())
	a.schedule(t, time.Hour)
	one, other := a.enroll(t, slug), b.enroll(t, slug)
	all := func(what string, right func(counts) bool) {
		t.Helper()
		for _, at := range []struct {
			c *core
			e *edge
		}{{a, one}, {b, other}} {
			var n counts
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if n = at.c.told(t, at.e); right(n) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: an edge is told %+v", what, n)
				}
			}
		}
	}
	a.join(t, one, 1, buyers(0, 3))
	b.join(t, other, 1, buyers(3, 4))
	b.join(t, other, 1, buyers(0, 3)) // who changes the edge is one still
	all("joined", func(n counts) bool { return n.Joined == 7 })
	a.open(t)
	all("called", func(n counts) bool { return n.Joined == 7 && n.Called == 7 && n.Windows[0].Entrants == 7 })
}

func TestTheStateObjectNamesItsSaleAndTheNextOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	c := w.start(testConfig())
	c.scheduleAs(t, "fans")
	e := c.enroll(t, slug)
	after := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Second)
	if _, err := c.ScheduleAs(t.Context(), slug, Scheduling{OpensAt: after.Add(time.Hour), JoiningAt: after}); err != nil {
		t.Fatal(err)
	}
	is := func(what string, right func(counts) bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			n := c.told(t, e)
			if right(n) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the state says %+v, %+v", what, n, n.Next)
			}
		}
	}
	is("the presale, and general sale after it", func(n counts) bool {
		return n.Presale == "fans" && n.Next != nil && n.Next.Presale == "" && n.Next.JoiningAt.Equal(after)
	})
	if _, err := c.End(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	is("general sale, and nothing after it", func(n counts) bool { return n.Presale == "" && n.Next == nil })
}
