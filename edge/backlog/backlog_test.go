package backlog_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fairgate/edge/backlog"
)

// request is what the tests queue: the n-th of its key.
type request struct {
	place backlog.Place[*request]
	key   byte
	n     int
}

func key(k byte) backlog.Key { return backlog.Key{k} }

func push(q *backlog.Queue[*request], k byte, n int) bool {
	r := &request{key: k, n: n}
	return q.Push(key(k), &r.place, r)
}

func drain(q *backlog.Queue[*request]) (order []byte) {
	for r, ok := q.Pop(); ok; r, ok = q.Pop() {
		order = append(order, r.key)
	}
	return order
}

func TestKeysTakeTurnsAndAFloodFillsTheRest(t *testing.T) {
	q := backlog.New[*request](100, true)
	for n := range 6 {
		push(q, 'h', n)
	}
	for _, k := range []byte("abb") {
		push(q, k, 0)
	}
	if got := string(drain(q)); got != "habhbhhhh" {
		t.Errorf("turns %s, want habhbhhhh", got)
	}
	if q.Len() != 0 || q.Keys() != 0 {
		t.Errorf("%d requests and %d keys are left", q.Len(), q.Keys())
	}
}

func TestAFloodLeavesRoomForOthers(t *testing.T) {
	q := backlog.New[*request](1000, true)
	flood := func(k byte) (n int) {
		for push(q, k, n) {
			n++
		}
		return n
	}
	if got := flood('h'); got != 800 {
		t.Errorf("one alone got %d of 1000 places, want 800", got)
	}
	if got := flood('i'); got < 150 || got > 180 {
		t.Errorf("a second one got %d of the other 200 places", got)
	}
	for k := range byte(20) {
		if !push(q, k, 0) {
			t.Fatalf("quiet key %d found no room behind two that flood", k)
		}
	}
	plain := backlog.New[*request](1000, false)
	n := 0
	for push(plain, 0, n) {
		n++
	}
	if n != 1000 {
		t.Errorf("a queue for one key took %d requests, want all 1000", n)
	}
}

// Whatever happens, the queue agrees with a slow model: lines in order, a turn each, the bound kept.
func TestTheQueueIsWhatASlowModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		q := backlog.New[*request](limit, true)
		lines := map[byte][]*request{}
		var ring []byte // keys with requests, whose turn it is first
		total, next := 0, 0
		drop := func(k byte, at int) {
			lines[k] = slices.Delete(lines[k], at, at+1)
			total--
			if len(lines[k]) == 0 {
				delete(lines, k)
				i := slices.Index(ring, k)
				ring = slices.Delete(ring, i, i+1)
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			k := byte('a' + rapid.IntRange(0, 4).Draw(t, "key"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				fits := total < limit && (len(lines[k]) == 0 || len(lines[k]) < 4*(limit-total))
				r := &request{key: k, n: next}
				if got := q.Push(key(k), &r.place, r); got != fits {
					t.Fatalf("push of %c: %v with %d of %d waiting, %d of its own", k, got, total, limit, len(lines[k]))
				}
				if fits {
					if len(lines[k]) == 0 {
						ring = append(ring, k)
					}
					lines[k] = append(lines[k], r)
					total, next = total+1, next+1
				}
			case 2:
				r, ok := q.Pop()
				if ok != (total > 0) {
					t.Fatalf("pop: %v with %d waiting", ok, total)
				}
				if !ok {
					continue
				}
				turn := ring[0]
				if r != lines[turn][0] || r.place.Waiting() {
					t.Fatalf("popped %c%d, want %c%d", r.key, r.n, turn, lines[turn][0].n)
				}
				ring = append(ring[1:], turn)
				drop(turn, 0)
			default:
				if len(lines[k]) == 0 {
					continue
				}
				at := rapid.IntRange(0, len(lines[k])-1).Draw(t, "at")
				q.Remove(&lines[k][at].place)
				q.Remove(&lines[k][at].place) // once more does nothing
				drop(k, at)
			}
			if q.Len() != total || q.Keys() != len(ring) || q.LenOf(key(k)) != len(lines[k]) {
				t.Fatalf("the queue says %d waiting, %d keys, %d of %c; want %d, %d, %d", q.Len(), q.Keys(), q.LenOf(key(k)), k, total, len(ring), len(lines[k]))
			}
		}
	})
}

func TestQueueingAllocatesNothing(t *testing.T) {
	q := backlog.New[*request](1000, true)
	all := make([]request, 64)
	if n := testing.AllocsPerRun(100, func() {
		for i := range all {
			q.Push(key(byte(i%8)), &all[i].place, &all[i])
		}
		for range all {
			q.Pop()
		}
	}); n != 0 {
		t.Errorf("%v allocations for 64 requests of 8 keys", n)
	}
}

func TestTheWaitFollowsWhatIsQueuedAndHowFastItIsServed(t *testing.T) {
	var p backlog.Pace
	if got := p.Wait(1_000_000, 0); got != backlog.MinWait {
		t.Errorf("without a pace: %s", got)
	}
	at := time.Unix(1000, 0)
	for range 20 {
		p.Served(100, at)
		at = at.Add(100 * time.Millisecond)
	}
	for _, c := range []struct {
		waiting   int
		share     float64
		low, high time.Duration
	}{
		{10, 0, time.Second, time.Second},
		{10, 1, 2 * time.Second, 2 * time.Second},
		{3000, 0, 2500 * time.Millisecond, 3500 * time.Millisecond},
		{3000, 0.5, 4 * time.Second, 5 * time.Second},
		{1_000_000, 1, backlog.MaxWait, backlog.MaxWait},
	} {
		if got := p.Wait(c.waiting, c.share); got < c.low || got > c.high {
			t.Errorf("%d waiting at about 1000/s, share %v: %s, want %s to %s", c.waiting, c.share, got, c.low, c.high)
		}
	}
	p.Idle()
	if got := p.Wait(3000, 0); got < 2500*time.Millisecond {
		t.Errorf("a pause made the pace %s for 3000", got)
	}
}

func BenchmarkQueue(b *testing.B) {
	for name, keys := range map[string]int{"one key": 1, "64 keys": 64} {
		b.Run(name, func(b *testing.B) {
			q := backlog.New[*request](1000, true)
			all := make([]request, 500)
			b.ReportAllocs()
			for range b.N / len(all) {
				for i := range all {
					q.Push(key(byte(i%keys)), &all[i].place, &all[i])
				}
				for range all {
					q.Pop()
				}
			}
		})
	}
}
