package lottery

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
)

// verification is one run over a transcript. The draw is done again from leaves, secrets and beacons alone, and the
// published results are held against it.
type verification struct {
	Transcript
	event  uuid.UUID
	sealed []SealedWindow // by number, each once
	pool   map[Entrant]sealedLeaf
	order  []Place // of all entrants of all windows
	checks map[string]*Check
}

// sealedLeaf is where an entrant is, and what they drew.
type sealedLeaf struct {
	Leaf
	place Place
}

// Verify draws again and reports everything that does not agree, with the transcript itself and with what people kept.
func (t Transcript) Verify(kept ...Evidence) Verdict {
	names := []string{
		CheckCommitment, CheckWindows, CheckBeacon, CheckRoots, CheckSeeds, CheckBands, CheckEntrants,
		CheckCursor, CheckCalled, CheckPlaces, CheckSessions, CheckPublished, CheckReceipts,
	}
	verdict := Verdict{Checks: make([]Check, len(names))}
	v := verification{
		Transcript: t,
		event:      EventID(t.Event),
		pool:       make(map[Entrant]sealedLeaf),
		checks:     make(map[string]*Check, len(names)),
	}
	for i, name := range names {
		verdict.Checks[i] = Check{Name: name, Details: []string{}}
		v.checks[name] = &verdict.Checks[i]
	}
	v.windows()
	v.secrets()
	v.beacon()
	v.draw()
	v.cursors()
	v.sessions()
	for _, e := range kept {
		v.published(e)
		v.receipts(e.Receipts)
		v.earlier(e.Earlier)
	}
	return verdict
}

// windows puts the windows in order and finds those missing or told twice.
func (v *verification) windows() {
	c := v.checks[CheckWindows]
	windows := slices.Clone(v.Windows)
	slices.SortStableFunc(windows, func(a, b SealedWindow) int { return cmp.Compare(a.Window, b.Window) })
	if len(windows) == 0 {
		c.expect(false, "no window is sealed: there is nothing to verify")
	}
	next := uint64(0)
	for i, w := range windows {
		if i > 0 && w.Window == windows[i-1].Window {
			c.expect(w.Root == windows[i-1].Root, "window %d has two roots, %s and %s", w.Window, windows[i-1].Root, w.Root)
			c.expect(false, "window %d is told twice", w.Window)
			continue
		}
		c.expect(uint64(w.Window) == next, "windows %d to %d are missing", next, int64(w.Window)-1)
		c.expect(w.Entrants == len(w.Leaves), "window %d says %d entrants and has %d leaves", w.Window, w.Entrants, len(w.Leaves))
		next = uint64(w.Window) + 1
		v.sealed = append(v.sealed, w)
	}
}

// secrets walks the chain from the commitment on, each window's secret down to the last good one before it.
func (v *verification) secrets() {
	c := v.checks[CheckCommitment]
	c.expect(v.Length >= 1 && v.Length <= MaxChain, "the chain is of %d windows, want 1 to %d", v.Length, MaxChain)
	good, at := [32]byte(v.Commitment), int64(-1)
	revealed := make(map[Hex32]uint32, len(v.sealed))
	for _, w := range v.sealed {
		if c.Failed >= maxDetails {
			c.expect(false, "")
			continue // a hostile chain could ask for a walk of its whole length at every window
		}
		if before, twice := revealed[w.Secret]; twice {
			c.expect(false, "window %d reveals the secret of window %d again", w.Window, before)
		}
		revealed[w.Secret] = w.Window
		if int64(w.Window) >= min(int64(v.Length), MaxChain) {
			c.expect(false, "window %d is beyond the chain of %d", w.Window, v.Length)
			continue
		}
		below := descend(v.event, w.Secret, w.Window, at)
		if at < 0 {
			below = Commit(below, v.BeaconName)
		}
		ok := below == good
		c.expect(ok, "the secret of window %d is not the one committed to", w.Window)
		if ok {
			good, at = w.Secret, int64(w.Window)
		}
	}
}

// earlier holds the secrets against those that other on-sales have revealed: whoever knew one knew the order in advance.
func (v *verification) earlier(transcripts []Transcript) {
	c := v.checks[CheckCommitment]
	for _, t := range transcripts {
		if t.Event == v.Event && t.Generation == v.Generation {
			continue // the same on-sale, maybe at another time
		}
		known := make(map[Hex32]bool, len(t.Windows))
		for _, w := range t.Windows {
			known[w.Secret] = true
		}
		for _, w := range v.sealed {
			c.expect(!known[w.Secret], "window %d reveals a secret again that sale %d of %s has revealed", w.Window, t.Generation, t.Event)
		}
	}
}

// beacon finds values that were not named in advance, or not the same for all windows.
func (v *verification) beacon() {
	c := v.checks[CheckBeacon]
	for _, w := range v.sealed {
		if v.BeaconName == "" {
			c.expect(len(w.Beacon) == 0, "window %d has a beacon in its seed, and none was named in advance", w.Window)
			continue
		}
		c.expect(ValidBeaconValue(w.Beacon), "window %d has a beacon of %d bytes in its seed, %q was named in advance", w.Window, len(w.Beacon), v.BeaconName)
		c.expect(bytes.Equal(w.Beacon, v.sealed[0].Beacon), "window %d has another beacon in its seed than window 0", w.Window)
	}
}

// draw does the draw of every window again.
func (v *verification) draw() {
	roots, seeds, bands, entrants := v.checks[CheckRoots], v.checks[CheckSeeds], v.checks[CheckBands], v.checks[CheckEntrants]
	for _, w := range v.sealed {
		root := Root(w.Leaves)
		roots.expect(w.Root == root, "entrants of window %d were inserted, removed or demoted after the seal: its root is %s, its leaves have %s", w.Window, w.Root, Hex32(root))
		seed := Seed(v.event, w.Window, w.Secret, w.Root, w.Beacon)
		seeds.expect(w.Seed == seed, "the seed of window %d was swapped: it is %s, its secret, root and beacon make %s", w.Window, w.Seed, Hex32(seed))
		for _, d := range Order(seed, w.Window, w.Leaves) {
			bands.expect((d.Band == 0) == (d.Reason == ReasonNone) && d.Reason < reasons,
				"entrant %s of window %d is in band %d for reason %d", d.Entrant, w.Window, d.Band, d.Reason)
			first, twice := v.pool[d.Entrant]
			entrants.expect(!twice, "entrant %s is in window %d and again in window %d", d.Entrant, first.place.Window, w.Window)
			if !twice {
				v.pool[d.Entrant] = sealedLeaf{Leaf: d.Leaf, place: d.Place()}
			}
			v.order = append(v.order, d.Place())
		}
	}
}

// cursors follows the cursor and counts whom each position had called. A log with a piece cut out, or its end, is found
// where a session of the missing time is beyond the position before.
func (v *verification) cursors() {
	moved, called := v.checks[CheckCursor], v.checks[CheckCalled]
	for i, c := range v.Cursors {
		if i > 0 {
			before := v.Cursors[i-1]
			moved.expect(c.Place().Compare(before.Place()) >= 0, "position %d is before position %d", i, i-1)
			moved.expect(!c.At.Before(before.At), "position %d is of an earlier time than position %d", i, i-1)
		}
		_, sealed := v.find(c.Window)
		moved.expect(sealed, "position %d is in window %d, which is not sealed", i, c.Window)
		n, _ := slices.BinarySearchFunc(v.order, c.Place(), func(p, cursor Place) int {
			if p.Compare(cursor) <= 0 {
				return -1
			}
			return 1
		})
		called.expect(n == c.Called, "position %d says it had called %d, it had called %d", i, c.Called, n)
	}
}

// sessions holds every session against the pool and against the cursor of its time.
func (v *verification) sessions() {
	places, sessions := v.checks[CheckPlaces], v.checks[CheckSessions]
	seen := make(map[Entrant]bool, len(v.Sessions))
	for _, s := range v.Sessions {
		sessions.expect(!seen[s.Entrant], "entrant %s got two sessions", s.Entrant)
		seen[s.Entrant] = true
		l, found := v.pool[s.Entrant]
		sessions.expect(found, "entrant %s got a session and is in no pool", s.Entrant)
		if !found {
			continue
		}
		places.expect(s.Place() == l.place, "entrant %s got a session for another place than they drew: for %s, and drew %s", s.Entrant, s.Place(), l.place)
		// How many positions the cursor had had by then: the last of them is where it stood.
		n, _ := slices.BinarySearchFunc(v.Cursors, s.IssuedAt, func(c CursorMove, at time.Time) int {
			if c.At.After(at) {
				return 1
			}
			return -1
		})
		sessions.expect(n > 0 && l.place.Compare(v.Cursors[n-1].Place()) <= 0,
			"entrant %s (%s) was admitted out of order, or the log of the cursor is truncated: they got a session at %s, when the cursor had not reached them", s.Entrant, l.place, s.IssuedAt.UTC().Format(time.RFC3339Nano))
	}
}

// published holds the transcript against what was seen before the sale and during it.
func (v *verification) published(e Evidence) {
	c := v.checks[CheckPublished]
	if e.Commitment != nil {
		c.expect(v.Commitment == *e.Commitment, "the commitment seen was %s, the transcript has %s", e.Commitment, v.Commitment)
	}
	for _, seen := range e.Windows {
		i, found := v.find(seen.Window)
		c.expect(found, "window %d was seen sealed and is not in the transcript", seen.Window)
		if !found {
			continue
		}
		w := &v.sealed[i]
		c.expect(w.Root == seen.Root, "window %d has two roots: %s was seen, the transcript has %s", seen.Window, seen.Root, w.Root)
		if seen.Seed != (Hex32{}) {
			c.expect(w.Seed == seen.Seed, "the seed of window %d was swapped: %s was seen, the transcript has %s", seen.Window, seen.Seed, w.Seed)
		}
	}
	for _, seen := range e.Cursors {
		logged := slices.ContainsFunc(v.Cursors, func(m CursorMove) bool { return m.Called == seen.Called && m.Place() == seen.Place })
		c.expect(logged, "the log of the cursor is truncated or altered: it was seen at %s with %d called, which the transcript does not have",
			seen.Place, seen.Called)
	}
	if e.Beacon != nil && len(v.sealed) > 0 {
		b := v.checks[CheckBeacon]
		b.expect(bytes.Equal(e.Beacon, v.sealed[0].Beacon), "the beacon read was %q, the transcript has %q", e.Beacon, []byte(v.sealed[0].Beacon))
	}
}

// receipts holds receipts against the pool. One for a window that is not sealed yet proves nothing so far and is left out.
func (v *verification) receipts(receipts [][]byte) {
	c := v.checks[CheckReceipts]
	for i, b := range receipts {
		r, err := ParseReceipt(b)
		if err == nil {
			r, err = VerifyReceipt(b, v.Keys.Find(r.KeyNo))
		}
		switch {
		case err != nil:
			c.expect(false, "receipt %d is altered, or not core's: %v", i, err)
			continue
		case r.Event != v.event || r.Generation != v.Generation:
			c.expect(false, "receipt %d is of another on-sale", i)
			continue
		case len(v.sealed) == 0 || r.Window > v.sealed[len(v.sealed)-1].Window:
			continue
		}
		l, found := v.pool[r.Entrant]
		c.expect(found, "entrant %s was removed: they have a receipt for window %d and are in no pool", r.Entrant, r.Window)
		if found {
			c.expect(l.place.Window == r.Window && l.Band == r.Band && l.Reason == r.Reason,
				"entrant %s was moved or demoted: they have a receipt for window %d, band %d, reason %s and are in window %d, band %d, reason %s",
				r.Entrant, r.Window, r.Band, r.Reason, l.place.Window, l.Band, l.Reason)
		}
	}
}

// find is the index of the sealed window of that number.
func (v *verification) find(window uint32) (int, bool) {
	return slices.BinarySearchFunc(v.sealed, window, func(w SealedWindow, no uint32) int { return cmp.Compare(w.Window, no) })
}
