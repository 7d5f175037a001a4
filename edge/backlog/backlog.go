// Package backlog is a bounded queue that is fair between keys: requests of one event wait in order of arrival, and the
// events take turns. An event that floods fills what the others leave and no more.
//
// It refuses what does not fit. A key may hold as many places as sharing times those still free, so one alone gets
// nearly all of the queue, several share it evenly, and somebody new always finds room.
//
// Every operation takes constant time and allocates nothing, apart from what a key needs that was idle before; a key
// without waiting requests costs no memory. A Queue is not safe for concurrent use: it belongs under its owner's lock.
package backlog

import "time"

// Key is what requests take turns by: the id of an event.
type Key [16]byte

const (
	// sharing is how many times the free places one key may hold: alone it gets four fifths of the queue, ten keys that
	// flood get a bit less than a tenth each, and a fortieth stays free for everybody else.
	sharing = 4
	// maxSpare is how many lines of keys gone idle are kept for the next ones.
	maxSpare = 256
)

// Queue holds requests of type R until it is their turn. Make it with New.
type Queue[R any] struct {
	limit int
	fair  bool // false: all requests have the same key, which may fill the queue
	len   int
	lines map[Key]*line[R]
	turn  *line[R] // whose turn it is; the lines with requests form a ring
	last  *line[R] // the line used last: requests of one event come together
	spare *line[R] // idle lines, linked by next
	kept  int
}

// line is the requests of one key, oldest first, and its place in the ring.
type line[R any] struct {
	key         Key
	first, last *Place[R]
	len         int
	next, prev  *line[R]
}

// Place is a request's place in a queue. It is part of the request, so that queueing allocates nothing.
type Place[R any] struct {
	request    R
	line       *line[R] // nil: not waiting
	next, prev *Place[R]
}

// Waiting tells whether the request is still in the queue.
func (p *Place[R]) Waiting() bool { return p.line != nil }

// New makes a queue for at most limit requests. Without fair all requests must have the same key.
func New[R any](limit int, fair bool) *Queue[R] {
	return &Queue[R]{limit: limit, fair: fair, lines: make(map[Key]*line[R])}
}

// Len is how many requests wait.
func (q *Queue[R]) Len() int { return q.len }

// LenOf is how many requests of a key wait.
func (q *Queue[R]) LenOf(key Key) int {
	if l := q.find(key); l != nil {
		return l.len
	}
	return 0
}

// Keys is how many keys have requests waiting.
func (q *Queue[R]) Keys() int { return len(q.lines) }

// Push puts a request at the end of its key's line, or returns false when there is no room for it.
func (q *Queue[R]) Push(key Key, p *Place[R], request R) bool {
	if q.len >= q.limit {
		return false
	}
	l := q.find(key)
	if q.fair && l != nil && l.len >= sharing*(q.limit-q.len) {
		return false
	}
	if l == nil {
		l = q.join(key)
	}
	p.request, p.line, p.prev, p.next = request, l, l.last, nil
	if l.last != nil {
		l.last.next = p
	} else {
		l.first = p
	}
	l.last = p
	l.len++
	q.len++
	return true
}

// Pop takes the oldest request of the key whose turn it is.
func (q *Queue[R]) Pop() (R, bool) {
	l := q.turn
	if l == nil {
		var none R
		return none, false
	}
	q.turn = l.next
	p := l.first
	request := p.request
	q.Remove(p)
	return request, true
}

// Peek is what Pop would take.
func (q *Queue[R]) Peek() (R, bool) {
	if q.turn == nil {
		var none R
		return none, false
	}
	return q.turn.first.request, true
}

// Remove takes a request out before its turn. One that does not wait is left alone.
func (q *Queue[R]) Remove(p *Place[R]) {
	l := p.line
	if l == nil {
		return
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		l.last = p.prev
	}
	*p = Place[R]{}
	l.len--
	q.len--
	if l.len == 0 {
		q.leave(l)
	}
}

func (q *Queue[R]) find(key Key) *line[R] {
	if q.last != nil && q.last.key == key {
		return q.last
	}
	l := q.lines[key]
	if l != nil {
		q.last = l
	}
	return l
}

// join gives a key a line, with the last turn of this round.
func (q *Queue[R]) join(key Key) *line[R] {
	l := q.spare
	if l != nil {
		q.spare = l.next
		q.kept--
	} else {
		l = &line[R]{}
	}
	l.key = key
	if q.turn == nil {
		l.next, l.prev = l, l
		q.turn = l
	} else {
		l.next, l.prev = q.turn, q.turn.prev
		l.prev.next, l.next.prev = l, l
	}
	q.lines[key] = l
	q.last = l
	return l
}

// leave takes an empty line out of the ring.
func (q *Queue[R]) leave(l *line[R]) {
	delete(q.lines, l.key)
	if q.last == l {
		q.last = nil
	}
	if l.next == l {
		q.turn = nil
	} else {
		l.prev.next, l.next.prev = l.next, l.prev
		if q.turn == l {
			q.turn = l.next
		}
	}
	*l = line[R]{}
	if q.kept < maxSpare {
		l.next, q.spare = q.spare, l
		q.kept++
	}
}

// Pace measures how fast requests are served, to tell those who find no room when to come back. It is not safe for
// concurrent use either. The zero value knows nothing yet.
type Pace struct {
	perSecond float64
	since     time.Time
	served    int
}

// paceEvery is the time over which requests are counted before the pace is adjusted: long enough for several commits.
const paceEvery = 200 * time.Millisecond

// Bounds of a wait: nobody is told to come back at once, and nobody is sent away for longer than a buyer has patience.
const (
	MinWait = time.Second
	MaxWait = 15 * time.Second
)

// Served notes that n requests were served by now. Time during which nothing waited does not count: call Idle then.
func (p *Pace) Served(n int, now time.Time) {
	if p.since.IsZero() {
		p.since = now
	}
	p.served += n
	if took := now.Sub(p.since); took >= paceEvery {
		rate := float64(p.served) / took.Seconds()
		if p.perSecond == 0 {
			p.perSecond = rate
		}
		p.perSecond += (rate - p.perSecond) / 2
		p.since, p.served = now, 0
	}
}

// Idle notes that nothing waits from now on.
func (p *Pace) Idle() { p.since, p.served = time.Time{}, 0 }

// Delay is how long so many requests wait until they have been served, as far as is known.
func (p *Pace) Delay(waiting int) time.Duration {
	if p.perSecond <= 0 {
		return 0
	}
	return time.Duration(min(float64(waiting)/p.perSecond, MaxWait.Seconds()) * float64(time.Second))
}

// Wait is when it makes sense to ask again if so many requests wait: once they have been served. share is a number from
// 0 to 1, random for each asker: it spreads them over as long again, so that they do not come back together.
func (p *Pace) Wait(waiting int, share float64) time.Duration {
	wait := MinWait
	if p.perSecond > 0 {
		wait = time.Duration(min(float64(waiting)/p.perSecond, MaxWait.Seconds()) * float64(time.Second))
	}
	wait = max(wait, MinWait)
	return min(wait+time.Duration(share*float64(wait)), MaxWait)
}
