package edge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// told takes over what a stream sends.
func (l *listener) told(texts [][]byte) {
	l.t.Helper()
	for _, text := range texts {
		var kind, id, data string
		for line := range strings.Lines(string(text)) {
			field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch field {
			case "event":
				kind = value
			case "id":
				id = value
			case "data":
				data = value
			}
		}
		l.take(kind, id, data)
	}
}

// Core's answers come in any order, twice, late, from a core that has died since, or not at all. Whoever reads, from
// wherever, has the truth in the end, and is told nothing twice.
func TestWhateverComesOfCoreStreamsEndAtTheTruth(t *testing.T) {
	t.Parallel()
	resumed, fresh := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		const seats = 12
		truth := fakeSeats{total: seats, states: make([]byte, 3), ring: rapid.IntRange(0, 4).Draw(rt, "ring")}
		epoch := "a"
		w := newShowing("arena", uuid.Nil, "open", time.Now())
		var late []eventNews
		ask := func(id string) *eventNews {
			text := truth.news(epoch, "arena", id)
			if text == "" {
				return nil
			}
			var n eventNews
			if err := json.Unmarshal([]byte(text), &n); err != nil {
				rt.Fatal(err)
			}
			return &n
		}
		take := func(n *eventNews) {
			if n == nil {
				return
			}
			if err := w.take(n); err != nil {
				rt.Fatal(err)
			}
		}
		listeners := []*listener{{t: t}}
		places := []place{{}}
		read := func(i int) {
			texts, _ := w.after(&places[i])
			listeners[i].told(texts)
			if got := listeners[i].id; got != "" && got != places[i].epoch+fmt.Sprintf("-%d", places[i].seq) {
				rt.Fatalf("a stream at %v has told %s", places[i], got)
			}
		}
		steps := []string{"move", "move", "move", "ask", "ask", "ask", "read", "read", "come back", "come back", "come", "forget an answer", "late"}
		if rapid.Bool().Draw(rt, "trouble") {
			steps = append(steps, "core dies", "gap")
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.SampledFrom(steps).Draw(rt, "step") {
			case "move":
				n := rapid.IntRange(0, seats-1).Draw(rt, "seat")
				state := (int(truth.states[n/4]>>(2*(n%4))&3) + rapid.IntRange(1, 3).Draw(rt, "state")) % 4
				truth.states[n/4] = truth.states[n/4]&^(3<<(2*(n%4))) | byte(state)<<(2*(n%4))
				truth.log = append(truth.log, fmt.Sprintf(`{%q:[%d],"sections":[{"id":"A","left":%d}],"tiers":[{"id":"lower","left":%d}]}`,
					[]string{"free", "held", "sold", "closed"}[state], n, truth.left(), truth.left()))
			case "ask":
				take(ask(w.seen()))
			case "forget an answer":
				if n := ask(w.seen()); n != nil {
					late = append(late, *n)
				}
			case "late":
				if len(late) > 0 {
					take(&late[rapid.IntRange(0, len(late)-1).Draw(rt, "which")])
				}
			case "read":
				read(rapid.IntRange(0, len(listeners)-1).Draw(rt, "who"))
			case "come":
				listeners, places = append(listeners, &listener{t: t}), append(places, place{})
			case "come back": // at this edge, or from another one that is a little ahead
				from := listeners[rapid.IntRange(0, len(listeners)-1).Draw(rt, "who")]
				if from.id != "" {
					other := &listener{t: t, id: from.id, states: slices.Clone(from.states), left: map[string]int64{"A": from.left["A"], "lower": from.left["lower"]}}
					listeners, places = append(listeners, other), append(places, placeOf(from.id))
				}
			case "core dies":
				epoch += "a"
			case "gap":
				w.mu.Lock()
				w.forget()
				w.mu.Unlock()
			}
		}
		truth.log = append(truth.log, `{"held":[]}`) // something that is not known yet
		for range 3 {
			take(ask(w.seen()))
		}
		for i, l := range listeners {
			read(i)
			if !slices.Equal(l.states, truth.states) || l.left["A"] != int64(truth.left()) {
				rt.Fatalf("stream %d: %x and %d left instead of %x and %d; it was told %v", i, l.states, l.left["A"], truth.states, truth.left(), l.events)
			}
			if l.repeats > 0 {
				rt.Fatalf("stream %d was told %d things twice: %v", i, l.repeats, l.events)
			}
			if slices.Contains(l.events, "snapshot") {
				fresh++
			} else {
				resumed++
			}
		}
	})
	t.Logf("%d streams had a snapshot, %d went on without", fresh, resumed)
	if fresh == 0 || resumed == 0 {
		t.Error("one of the two ways was never taken")
	}
}

func TestNewsThatDoNotFollowAreRefusedAndAskedForAnew(t *testing.T) {
	t.Parallel()
	news := func(text string) *eventNews {
		var n eventNews
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		return &n
	}
	first := `{"event":"arena","epoch":"a","seq":5,"geometry":"g","snapshot":{"id":"a-5","geometry":"g","states":"AAA=","sections":[],"tiers":[]},"deltas":[]}`
	for what, text := range map[string]string{
		"a gap":             `{"epoch":"a","seq":7,"deltas":[{"seq":7,"data":{"held":[1]}}]}`,
		"an unknown seat":   `{"epoch":"a","seq":6,"deltas":[{"seq":6,"data":{"held":[99]}}]}`,
		"no JSON":           `{"epoch":"a","seq":6,"deltas":[{"seq":6,"data":[]}]}`,
		"another id inside": strings.Replace(first, `"seq":5`, `"seq":6`, 1),
		"a broken snapshot": strings.Replace(strings.Replace(first, "AAA=", "A", 1), `"epoch":"a"`, `"epoch":"b"`, 1),
	} {
		w := newShowing("arena", uuid.Nil, "open", time.Now())
		if err := w.take(news(first)); err != nil || w.seen() != "a-5" {
			t.Fatalf("%s: %v", w.seen(), err)
		}
		if err := w.take(news(text)); err == nil {
			t.Errorf("%s is taken over", what)
		}
	}
}
