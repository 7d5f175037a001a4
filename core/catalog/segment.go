package catalog

import (
	"slices"
	"sort"
	"strings"
	"time"
	"unique"

	"github.com/RoaringBitmap/roaring/v2"

	"fairgate/core/event"
)

// segment is an index of some events. It is never changed.
type segment struct {
	docs     []*Listing // in the order of lists; what follows speaks of their numbers
	starts   []int64    // microseconds
	days     []int32
	low      []int64
	high     []int64
	currency []string

	terms    []string // all words, sorted
	postings []*roaring.Bitmap

	fields [fieldCount]map[string]*roaring.Bitmap // by folded name
	facets [2]facetColumn
}

// The fields that are matched as a whole.
const (
	cityField = iota
	countryField
	venueField
	categoryField
	fieldCount
)

// facetColumn numbers the values of a field, to count them fast.
type facetColumn struct {
	names []string
	of    []uint32 // by event
}

// build makes a segment of events in any order.
func build(docs []*Listing) *segment {
	slices.SortFunc(docs, less)
	n := len(docs)
	s := &segment{
		docs: docs, starts: make([]int64, n), days: make([]int32, n), low: make([]int64, n), high: make([]int64, n), currency: make([]string, n),
	}
	posted := make(map[unique.Handle[string]][]uint32, n/4)
	var named [fieldCount]map[string][]uint32
	for f := range named {
		named[f] = make(map[string][]uint32)
	}
	folded := make(map[string]string) // names repeat a lot
	foldOnce := func(name string) string {
		f, ok := folded[name]
		if !ok {
			f = foldName(name)
			folded[name] = f
		}
		return f
	}
	for i, l := range docs {
		at := uint32(i)
		s.starts[i], s.days[i], s.low[i], s.high[i], s.currency[i] = l.StartsAt.UnixMicro(), l.day, l.PriceMin, l.PriceMax, l.Currency
		for _, w := range l.words {
			posted[w] = append(posted[w], at)
		}
		for f, name := range [fieldCount]string{l.City, l.Country, l.Venue, l.Category} {
			name = foldOnce(name)
			named[f][name] = append(named[f][name], at)
		}
	}
	s.terms = make([]string, 0, len(posted))
	handles := make(map[string]unique.Handle[string], len(posted))
	for h := range posted {
		s.terms = append(s.terms, h.Value())
		handles[h.Value()] = h
	}
	slices.Sort(s.terms)
	s.postings = make([]*roaring.Bitmap, len(s.terms))
	for i, term := range s.terms {
		s.postings[i] = roaring.BitmapOf(posted[handles[term]]...)
	}
	for f := range named {
		s.fields[f] = make(map[string]*roaring.Bitmap, len(named[f]))
		for name, numbers := range named[f] {
			s.fields[f][name] = roaring.BitmapOf(numbers...)
		}
	}
	s.facets[0] = column(docs, func(l *Listing) string { return l.Category })
	s.facets[1] = column(docs, func(l *Listing) string { return l.City })
	return s
}

func column(docs []*Listing, name func(*Listing) string) facetColumn {
	c := facetColumn{of: make([]uint32, len(docs))}
	known := make(map[string]uint32)
	for i, l := range docs {
		id, ok := known[name(l)]
		if !ok {
			id = uint32(len(c.names))
			c.names = append(c.names, name(l))
			known[name(l)] = id
		}
		c.of[i] = id
	}
	return c
}

// find is the number of an event that the segment was built with; ok is false when it was not.
func (s *segment) find(l *Listing) (uint32, bool) {
	i, ok := slices.BinarySearchFunc(s.docs, l, less)
	return uint32(i), ok && s.docs[i].ID == l.ID
}

// after is the number of the first event behind a cursor.
func (s *segment) after(c event.Cursor) int {
	at := c.StartsAt.UnixMicro()
	return sort.Search(len(s.docs), func(i int) bool {
		return s.starts[i] > at || s.starts[i] == at && s.docs[i].Slug > c.Slug
	})
}

// from is the number of the first event that starts then or later.
func (s *segment) from(at time.Time) int {
	micros := at.UnixMicro()
	return sort.Search(len(s.starts), func(i int) bool { return s.starts[i] >= micros })
}

// word is the set of events with a word, nil when there is none.
func (s *segment) word(w string) *roaring.Bitmap {
	i, ok := slices.BinarySearch(s.terms, w)
	if !ok {
		return nil
	}
	return s.postings[i]
}

// prefix is the set of events with a word that begins so.
func (s *segment) prefix(p string) *roaring.Bitmap {
	low, _ := slices.BinarySearch(s.terms, p)
	high := low + sort.Search(len(s.terms)-low, func(i int) bool { return !strings.HasPrefix(s.terms[low+i], p) })
	switch high - low {
	case 0:
		return nil
	case 1:
		return s.postings[low]
	}
	return roaring.FastOr(s.postings[low:high]...)
}

// match is the set of events that have all words, names and the category of a query; all is true when it asks for none.
func (s *segment) match(q *Query) (set *roaring.Bitmap, all bool) {
	var sets []*roaring.Bitmap
	for i, w := range q.words {
		one := s.word(w)
		if i == len(q.words)-1 {
			one = s.prefix(w)
		}
		if one == nil {
			return nil, false
		}
		sets = append(sets, one)
	}
	for f, name := range [fieldCount]string{q.city, q.country, q.venue, q.category} {
		if name == "" {
			continue
		}
		one := s.fields[f][name]
		if one == nil {
			return nil, false
		}
		sets = append(sets, one)
	}
	switch len(sets) {
	case 0:
		return nil, true
	case 1:
		return sets[0], false
	}
	return roaring.FastAnd(sets...), false
}
