package catalog

import (
	"cmp"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"fairgate/core/event"
)

// State is the catalog at one moment. It never changes.
type State struct {
	Version uint64 // grows with every change; microseconds of the newest one, so that two cores' versions can be compared

	base, recent *segment        // recent is what changed since base was built
	gone         *roaring.Bitmap // of base: replaced by recent, cancelled or removed
}

// Page is a part of a list.
type Page struct {
	Listings []*Listing
	Next     string // the cursor of the next page; empty on the last
	Total    int    // of all pages
	Facets   *Facets
	Version  uint64 // of the state that answered
}

// Facets count what a query finds, the most frequent first.
type Facets struct {
	Categories, Cities []Count
}

// Count is how many events have a value.
type Count struct {
	Value  string
	Events int
}

// maxFacet bounds the values of one facet.
const maxFacet = 20

// Events is how many there are.
func (s *State) Events() int {
	return len(s.base.docs) - int(s.gone.GetCardinality()) + len(s.recent.docs)
}

// Search answers a query.
func (s *State) Search(q *Query) Page {
	var counts [2]map[string]int
	if q.Facets {
		counts = [2]map[string]int{{}, {}}
	}
	first, total := s.base.search(q, s.gone, counts)
	more, others := s.recent.search(q, nil, counts)
	page := Page{Listings: merge(first, more, q.Limit+1), Total: total + others, Version: s.Version}
	if len(page.Listings) > q.Limit {
		page.Listings = page.Listings[:q.Limit]
		last := page.Listings[q.Limit-1]
		page.Next = event.Cursor{StartsAt: last.StartsAt, Slug: last.Slug}.String()
	}
	if q.Facets {
		page.Facets = &Facets{Categories: top(counts[0]), Cities: top(counts[1])}
	}
	return page
}

// merge takes the first few of two sorted lists.
func merge(a, b []*Listing, most int) []*Listing {
	if len(b) == 0 {
		return a
	}
	all := append(a, b...)
	slices.SortFunc(all, less)
	return all[:min(len(all), most)]
}

func top(counts map[string]int) []Count {
	all := make([]Count, 0, len(counts))
	for value, n := range counts {
		all = append(all, Count{value, n})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(b.Events-a.Events, strings.Compare(a.Value, b.Value)) })
	return all[:min(len(all), maxFacet)]
}

// search is a segment's part of a page, up to one more than the limit, and of the total. Values are counted unless counts are nil.
func (s *segment) search(q *Query, gone *roaring.Bitmap, counts [2]map[string]int) ([]*Listing, int) {
	low, high := s.span(q)
	if low >= high {
		return nil, 0
	}
	set, all := s.match(q)
	switch {
	case all && gone != nil && !gone.IsEmpty():
		set = roaring.New()
		set.AddRange(uint64(low), uint64(high))
		set.AndNot(gone)
		all = false
	case set != nil && gone != nil && !gone.IsEmpty():
		set = roaring.AndNot(set, gone)
	case !all && set == nil:
		return nil, 0
	}
	v := visit{q: q, s: s, begin: max(low, s.after(q.After)), tally: counts[0] != nil}
	if v.tally {
		for f := range v.seen {
			v.seen[f] = make([]int, len(s.facets[f].names))
		}
	}
	// Without conditions that are looked up event by event, the total is known without walking through everything.
	v.counting = v.tally || q.priced || q.dated
	if !v.counting {
		v.total = high - low
		if !all {
			v.total = int(rankBelow(set, high) - rankBelow(set, low))
		}
		low = v.begin
	}
	if all {
		for i := low; i < high && v.take(i); i++ {
		}
	} else {
		walk := set.Iterator()
		walk.AdvanceIfNeeded(uint32(low))
		for walk.HasNext() {
			if i := int(walk.Next()); i >= high || !v.take(i) {
				break
			}
		}
	}
	for f := range v.seen {
		for id, n := range v.seen[f] {
			if n > 0 {
				counts[f][s.facets[f].names[id]] += n
			}
		}
	}
	return v.found, v.total
}

func rankBelow(set *roaring.Bitmap, number int) uint64 {
	if number == 0 {
		return 0
	}
	return set.Rank(uint32(number - 1))
}

// span is the range of numbers that a query's dates allow. Dates are those of the venue, up to 14 hours before and 12 behind UTC; the
// days at the edges are looked at one by one.
func (s *segment) span(q *Query) (low, high int) {
	low, high = s.from(q.from), len(s.docs)
	if !q.to.IsZero() {
		high = s.from(q.to)
	}
	return low, high
}

// visit is one walk through the events that match.
type visit struct {
	q     *Query
	s     *segment
	begin int // the first number of the page

	counting, tally bool
	found           []*Listing
	total           int
	seen            [2][]int // by facet and number of its value
}

// take looks at one event, in order, and tells whether to go on.
func (v *visit) take(i int) bool {
	q, s := v.q, v.s
	if q.dated && (s.days[i] < q.fromDay || s.days[i] > q.toDay) {
		return true
	}
	if q.priced && (s.currency[i] != q.currency || s.high[i] < q.priceMin || s.low[i] > q.priceMax) {
		return true
	}
	if v.counting {
		v.total++
	}
	if v.tally {
		for f := range v.seen {
			v.seen[f][s.facets[f].of[i]]++
		}
	}
	if i >= v.begin && len(v.found) <= q.Limit {
		v.found = append(v.found, s.docs[i])
	}
	return v.counting || len(v.found) <= q.Limit
}
