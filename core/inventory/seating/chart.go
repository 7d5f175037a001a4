package seating

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Use says whom a seat is meant for.
type Use uint8

// The uses of a seat.
const (
	Ordinary   Use = iota
	Accessible     // for somebody who needs the room
	Companion      // beside an accessible seat, for who comes along
)

// Seat is a numbered place of a row.
type Seat struct {
	Number int
	Use    Use
}

// Row is a row of seats, or a table.
type Row struct {
	Label string
	Table bool // sold whole
	Seats []Seat
}

// Focus is the best seat of a section; the zero value means the middle of the first row.
type Focus struct {
	Row  string
	Seat int
}

// Section is a part of the chart with one tier. Rows come in order of distance from the stage.
type Section struct {
	ID         string
	Tier       string
	Focus      Focus
	Away       int      // rows that the section's focal row lies farther from the stage than the best section's
	Neighbours []string // sections of the same tier, the one to try first in front
	Rows       []Row
}

// ErrChart means that a chart contradicts itself.
var ErrChart = errors.New("seating: chart")

// Place is a seat of a chart.
type Place struct{ row, bit int32 }

// Chart is where the seats of an event are.
type Chart struct {
	sections []section
	rows     []row
	byID     map[string]int
	byTier   map[string][]int // sections, in the order of the chart
	byLabel  map[rowName]int
	tables   bool
	comes    bool // some seats are companions'
	words    int  // of all rows' bits
}

type rowName struct {
	section int
	label   string
}

type section struct {
	id, tier    string
	first, last int   // rows
	near        []int // rows, the nearest to the focal point first
	focus       int   // in half seats
	neighbours  []int
}

// row keeps a bit for each seat and one, never set, for each gap between numbers.
type row struct {
	label    string
	section  int
	table    bool
	needs    bool // has accessible seats or companions
	depth    int  // square of the distance in depth, in half seats
	first    int  // index of its first word in the bits of all rows
	words    int
	numbers  []int // by bit; 0 for a gap
	uses     []Use // by bit
	ordinary []uint64
}

// NewChart checks and prepares a chart.
func NewChart(sections []Section) (*Chart, error) {
	c := &Chart{byID: make(map[string]int, len(sections)), byTier: make(map[string][]int), byLabel: make(map[rowName]int)}
	for i, s := range sections {
		if _, twice := c.byID[s.ID]; twice {
			return nil, fmt.Errorf("%w: section %q is given twice", ErrChart, s.ID)
		}
		c.byID[s.ID] = i
		c.byTier[s.Tier] = append(c.byTier[s.Tier], i)
		if err := c.add(i, s); err != nil {
			return nil, err
		}
	}
	for i, s := range sections {
		for _, id := range s.Neighbours {
			n, ok := c.byID[id]
			if !ok || n == i || sections[n].Tier != s.Tier {
				return nil, fmt.Errorf("%w: section %q cannot have the neighbour %q: there is none, or it has another tier", ErrChart, s.ID, id)
			}
			c.sections[i].neighbours = append(c.sections[i].neighbours, n)
		}
	}
	return c, nil
}

func (c *Chart) add(at int, s Section) error {
	made := section{id: s.ID, tier: s.Tier, first: len(c.rows)}
	focal := -1
	for _, r := range s.Rows {
		one, err := c.newRow(at, r)
		if err != nil {
			return fmt.Errorf("section %q: %w", s.ID, err)
		}
		if _, twice := c.byLabel[rowName{at, r.Label}]; twice {
			return fmt.Errorf("%w: section %q has row %q twice", ErrChart, s.ID, r.Label)
		}
		c.byLabel[rowName{at, r.Label}] = len(c.rows)
		if r.Label == s.Focus.Row {
			focal = len(c.rows)
		}
		c.tables = c.tables || r.Table
		for _, seat := range r.Seats {
			c.comes = c.comes || seat.Use == Companion
		}
		c.rows = append(c.rows, one)
	}
	made.last = len(c.rows)
	switch {
	case made.first == made.last:
		return fmt.Errorf("%w: section %q has no rows", ErrChart, s.ID)
	case s.Focus == Focus{}:
		numbers := c.rows[made.first].numbers
		focal, made.focus = made.first, numbers[0]+numbers[len(numbers)-1]
	case focal < 0:
		return fmt.Errorf("%w: section %q has no row %q for its focus", ErrChart, s.ID, s.Focus.Row)
	default:
		made.focus = 2 * s.Focus.Seat
	}
	rowsAway := func(n int) int { return max(n-focal, focal-n) }
	for n := made.first; n < made.last; n++ {
		depth := 4 * (rowsAway(n) + s.Away)
		c.rows[n].depth = depth * depth
		made.near = append(made.near, n)
	}
	slices.SortStableFunc(made.near, func(a, b int) int { return cmp.Compare(rowsAway(a), rowsAway(b)) })
	c.sections = append(c.sections, made)
	return nil
}

func (c *Chart) newRow(at int, r Row) (row, error) {
	seats := slices.Clone(r.Seats)
	slices.SortFunc(seats, func(a, b Seat) int { return cmp.Compare(a.Number, b.Number) })
	one := row{label: r.Label, section: at, table: r.Table, first: c.words}
	if len(seats) == 0 {
		return row{}, fmt.Errorf("%w: row %q has no seats", ErrChart, r.Label)
	}
	for i, s := range seats {
		if i > 0 && s.Number == seats[i-1].Number || s.Number < 1 {
			return row{}, fmt.Errorf("%w: row %q has seat %d twice, or it is no number from 1 up", ErrChart, r.Label, s.Number)
		}
		if i > 0 && s.Number != seats[i-1].Number+1 {
			one.numbers, one.uses = append(one.numbers, 0), append(one.uses, Ordinary)
		}
		one.numbers, one.uses = append(one.numbers, s.Number), append(one.uses, s.Use)
		one.needs = one.needs || s.Use != Ordinary
	}
	one.words = (len(one.numbers) + 63) / 64
	one.ordinary = make([]uint64, one.words)
	for bit, use := range one.uses {
		if use == Ordinary && one.numbers[bit] != 0 {
			one.ordinary[bit/64] |= 1 << (bit % 64)
		}
	}
	c.words += one.words
	return one, nil
}

// Find is the place of a seat by its name, section/row/number.
func (c *Chart) Find(name string) (Place, bool) {
	id, rest, _ := strings.Cut(name, "/")
	label, digits, _ := strings.Cut(rest, "/")
	number, err := strconv.Atoi(digits)
	n, ok := c.find(id, label)
	if !ok || err != nil || number < 1 {
		return Place{}, false
	}
	r := &c.rows[n]
	// Numbers rise, and a gap only makes the bit lower than the number says.
	bit := min(number-r.numbers[0], len(r.numbers)-1)
	for ; bit >= 0; bit-- {
		if r.numbers[bit] == number {
			return Place{int32(n), int32(bit)}, strconv.Itoa(number) == digits
		}
		if r.numbers[bit] != 0 && r.numbers[bit] < number {
			break
		}
	}
	return Place{}, false
}

func (c *Chart) find(id, label string) (int, bool) {
	s, ok := c.byID[id]
	if !ok {
		return 0, false
	}
	n, ok := c.byLabel[rowName{s, label}]
	return n, ok
}

// Name is the seat's name, section/row/number.
func (c *Chart) Name(p Place) string {
	r := &c.rows[p.row]
	return c.sections[r.section].id + "/" + r.label + "/" + strconv.Itoa(r.numbers[p.bit])
}

// Tier is the tier of a seat.
func (c *Chart) Tier(p Place) string { return c.sections[c.rows[p.row].section].tier }

// SectionTier is the tier of a section; false when there is none of that name.
func (c *Chart) SectionTier(id string) (string, bool) {
	n, ok := c.byID[id]
	if !ok {
		return "", false
	}
	return c.sections[n].tier, true
}

// Tables tells whether the chart has any.
func (c *Chart) Tables() bool { return c.tables }

// Companions tells whether some seats are for companions.
func (c *Chart) Companions() bool { return c.comes }

// WithNeeds names the accessible seats and the companions'.
func (c *Chart) WithNeeds() []string {
	var names []string
	for n := range c.rows {
		if !c.rows[n].needs {
			continue
		}
		for bit, use := range c.rows[n].uses {
			if use != Ordinary {
				names = append(names, c.Name(Place{int32(n), int32(bit)}))
			}
		}
	}
	return names
}

// Accompanies names the accessible seats that a companion's seat is beside, past other companions' seats.
func (c *Chart) Accompanies(p Place) []string {
	r := &c.rows[p.row]
	var names []string
	for _, step := range []int{-1, 1} {
		bit := int(p.bit) + step
		for bit >= 0 && bit < len(r.uses) && r.uses[bit] == Companion {
			bit += step
		}
		if bit >= 0 && bit < len(r.uses) && r.uses[bit] == Accessible {
			names = append(names, c.Name(Place{p.row, int32(bit)}))
		}
	}
	return names
}

// Use says whom a seat is meant for.
func (c *Chart) Use(p Place) Use { return c.rows[p.row].uses[p.bit] }

// Row names every seat of a row or table, called section/row, in order; false when there is none of that name.
func (c *Chart) Row(name string) ([]string, bool) {
	id, label, _ := strings.Cut(name, "/")
	n, ok := c.find(id, label)
	if !ok {
		return nil, false
	}
	return c.names(n), true
}

// Table names every seat of the table that a seat belongs to; false when it belongs to none.
func (c *Chart) Table(p Place) ([]string, bool) {
	if !c.rows[p.row].table {
		return nil, false
	}
	return c.names(int(p.row)), true
}

func (c *Chart) names(n int) []string {
	var names []string
	for bit, number := range c.rows[n].numbers {
		if number != 0 {
			names = append(names, c.Name(Place{int32(n), int32(bit)}))
		}
	}
	return names
}

// Seats counts the seats of the chart.
func (c *Chart) Seats() int {
	n := 0
	for i := range c.rows {
		for _, number := range c.rows[i].numbers {
			if number != 0 {
				n++
			}
		}
	}
	return n
}
