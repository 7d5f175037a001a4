package seating

import (
	"errors"
	"fmt"
	"strings"
)

// MaxParty is the largest party that seats are picked for.
const MaxParty = 50

const (
	// maxRefused bounds how many refusals are remembered.
	maxRefused = 100
	// maxAdvice bounds for how many wishes of a trial it is worked out what would have helped: it takes as long as several
	// picks. Whoever comes later gets what was found for the same wish, or no advice.
	maxAdvice = 10
)

// Errors of a wish that can never come true.
var (
	ErrWish    = errors.New("seating: the wish contradicts itself")
	ErrSection = errors.New("seating: no such section")
	ErrTier    = errors.New("seating: no such tier with seats")
)

// Allow is what a buyer puts up with, see the package comment.
type Allow struct{ Orphans, Split, Neighbours bool }

// Words names the relaxations as requests spell them.
func (a Allow) Words() []string {
	var words []string
	for _, one := range []struct {
		set  bool
		word string
	}{{a.Orphans, "orphans"}, {a.Split, "split"}, {a.Neighbours, "neighbours"}} {
		if one.set {
			words = append(words, one.word)
		}
	}
	return words
}

// Wish is what a party wants. At least one of Tier and Section is named.
type Wish struct {
	Tier       string
	Section    string
	Quantity   int // people, those with needs and their companions included
	Accessible int
	Companions int

	// KeepCompanions leaves companions' seats to those with need even if nothing else is left.
	KeepCompanions bool
	Allow          Allow
}

// Pick is a proposal.
type Pick struct {
	Seats []Place // in the order of rows and numbers within each piece
	Used  Allow   // which relaxations it took
}

// Refusal says why nothing was picked.
type Refusal struct {
	Left       int   // seats the party could have had if it needed no company, in the sections it asked for
	Accessible int   // accessible seats among them, for a party that needs some
	Relax      Allow // what would have to be allowed; the zero value when nothing helps, or nobody has worked it out
}

// Error tells it in one line.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("seating: %d seats are free, but not together", r.Left)
	if words := r.Relax.Words(); len(words) > 0 {
		text += "; it would work with " + strings.Join(words, " and ")
	}
	return text
}

// block is adjacent seats in one row.
type block struct {
	row, start, size int
	orphans          int
	distance         int
}

// search is one wish at work.
type search struct {
	f       *Free
	w       Wish
	spare   bool // no ordinary seat of the tier is left: every seat will do
	own     []int
	others  []int // neighbours of the section named
	all     []int // where a party may be split over sections
	sitting int   // people in accessible seats and beside them
}

// Pick proposes the best seats for a party, or refuses with *Refusal. It changes nothing.
func (f *Free) Pick(w Wish) (Pick, error) {
	s, err := f.begin(w)
	if err != nil {
		return Pick{}, err
	}
	if known, ok := f.refused[w]; ok {
		return Pick{}, known
	}
	if s.possible() {
		if blocks, ok := s.ladder(w.Allow); ok {
			return s.pick(blocks), nil
		}
	}
	refusal := s.refusal()
	if len(f.refused) < maxRefused {
		f.refused[w] = refusal
	}
	return Pick{}, refusal
}

func (f *Free) begin(w Wish) (*search, error) {
	if w.Quantity < 1 || w.Quantity > MaxParty || w.Accessible < 0 || w.Companions < 0 ||
		w.Accessible+w.Companions > w.Quantity || w.Accessible == 0 && w.Companions > 0 {
		return nil, fmt.Errorf("%w: %d people, %d in accessible seats with %d companions", ErrWish, w.Quantity, w.Accessible, w.Companions)
	}
	s := &search{f: f, w: w, sitting: w.Accessible + w.Companions}
	c := f.chart
	if w.Section == "" {
		if s.own = c.byTier[w.Tier]; len(s.own) == 0 {
			return nil, fmt.Errorf("%w: %q", ErrTier, w.Tier)
		}
		s.all = s.own
	} else {
		n, ok := c.byID[w.Section]
		if !ok {
			return nil, fmt.Errorf("%w: %q", ErrSection, w.Section)
		}
		if w.Tier != "" && c.sections[n].tier != w.Tier {
			return nil, fmt.Errorf("%w: section %q is of tier %q, not %q", ErrWish, w.Section, c.sections[n].tier, w.Tier)
		}
		s.own, s.others = []int{n}, c.sections[n].neighbours
		s.all = append([]int{n}, s.others...)
	}
	s.spare = w.Accessible == 0 && f.left[c.sections[s.own[0]].tier] == 0
	return s, nil
}

// ladder goes down the steps of the package comment as far as allowed.
func (s *search) ladder(allow Allow) ([]block, bool) {
	steps := []func(sections []int) ([]block, bool){func(in []int) ([]block, bool) { return s.together(in, true) }}
	if allow.Orphans {
		steps = append(steps, func(in []int) ([]block, bool) { return s.together(in, false) })
	}
	if allow.Split {
		steps = append(steps, func(in []int) ([]block, bool) { return s.split(in, !allow.Orphans) })
	}
	for _, step := range steps {
		if found, ok := step(s.own); ok {
			return found, true
		}
	}
	if !allow.Neighbours {
		return nil, false
	}
	for _, step := range steps {
		for _, n := range s.others {
			if found, ok := step([]int{n}); ok {
				return found, true
			}
		}
	}
	if !allow.Split || len(s.all) < 2 {
		return nil, false
	}
	found, _, ok := s.divide(s.all, !allow.Orphans)
	return found, ok
}

// split is the section that serves the party best in pieces.
func (s *search) split(sections []int, strict bool) ([]block, bool) {
	var best []block
	var least effort
	for _, n := range sections {
		if found, cost, ok := s.divide([]int{n}, strict); ok && (best == nil || cost.less(least)) {
			best, least = found, cost
		}
	}
	return best, best != nil
}

// pick names the seats of blocks and what they took.
func (s *search) pick(blocks []block) Pick {
	p := Pick{Seats: make([]Place, 0, s.w.Quantity), Used: Allow{Split: len(blocks) > 1}}
	own := make(map[int]bool, len(s.own))
	for _, n := range s.own {
		own[n] = true
	}
	first := s.f.chart.rows[blocks[0].row].section
	for _, b := range blocks {
		in := s.f.chart.rows[b.row].section
		p.Used.Orphans = p.Used.Orphans || b.orphans > 0
		p.Used.Neighbours = p.Used.Neighbours || !own[in] || in != first
		for i := range b.size {
			p.Seats = append(p.Seats, Place{int32(b.row), int32(b.start + i)})
		}
	}
	return p
}

// refusal counts what there is and finds what would have helped.
func (s *search) refusal() *Refusal {
	r := &Refusal{}
	r.Left, r.Accessible = s.count(s.own)
	left, accessible := s.count(s.all)
	if left < s.w.Quantity || accessible < s.w.Accessible {
		return r
	}
	r.Relax = s.advice()
	return r
}

// advice is the least that would have to be allowed.
func (s *search) advice() (found Allow) {
	if known, ok := s.f.advice[s.w]; ok && s.f.marked {
		return known
	}
	if s.f.marked {
		if len(s.f.advice) >= maxAdvice {
			return Allow{}
		}
		defer func() { s.f.advice[s.w] = found }()
	}
	given := s.w.Allow
	for _, more := range []Allow{
		{Orphans: true}, {Split: true}, {Orphans: true, Split: true}, {Neighbours: true}, {Orphans: true, Neighbours: true},
		{Split: true, Neighbours: true}, {Orphans: true, Split: true, Neighbours: true},
	} {
		allow := Allow{given.Orphans || more.Orphans, given.Split || more.Split, given.Neighbours || more.Neighbours}
		if allow == given || more.Orphans && given.Orphans || more.Split && given.Split || more.Neighbours && given.Neighbours {
			continue
		}
		if _, ok := s.ladder(allow); ok {
			return more
		}
	}
	return Allow{}
}

// possible is a quick look whether there can be seats enough at all.
func (s *search) possible() bool {
	in := s.own
	if s.w.Allow.Neighbours {
		in = s.all
	}
	left, accessible := s.count(in)
	return left >= s.w.Quantity && accessible >= s.w.Accessible
}

// count is how many seats the party could use at all, and how many of them are accessible.
func (s *search) count(sections []int) (left, accessible int) {
	if s.w.Accessible == 0 && !s.spare && len(sections) == len(s.f.chart.byTier[s.f.chart.sections[sections[0]].tier]) {
		return s.f.left[s.f.chart.sections[sections[0]].tier], 0 // all sections of the tier
	}
	for _, n := range sections {
		for i := s.f.chart.sections[n].first; i < s.f.chart.sections[n].last; i++ {
			r := &s.f.chart.rows[i]
			if r.table || s.f.rows[i].seats == 0 {
				continue
			}
			if !r.needs {
				left += int(s.f.rows[i].seats)
				continue
			}
			all := s.f.of(s.f.all, i)
			for bit, use := range r.uses {
				switch {
				case !has(all, bit):
				case use == Ordinary || s.spare && (use == Accessible || !s.w.KeepCompanions):
					left++
				case s.w.Accessible > 0 && use == Accessible:
					left++
					accessible++
				case s.w.Companions > 0 && use == Companion:
					left++
				}
			}
		}
	}
	return left, accessible
}
