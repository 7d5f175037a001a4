package proof

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory/history"
)

// DefaultStaleness is how old core's memory of "sold out" may be (inventory.Config.SoldOutTTL).
const DefaultStaleness = time.Second

// maxDetails is how many violations of one kind are described.
const maxDetails = 10

// forever is the response time of an operation that was not answered.
const forever = math.MaxInt64

// Options are the bounds of a proof. The zero value has defaults.
type Options struct {
	Staleness time.Duration // how old "sold out" may be when a client hears it; default DefaultStaleness
	Slices    time.Duration // most time for porcupine on slices of stock rows; default 10 s
	Seats     time.Duration // most time for porcupine on the seats; default 60 s
	Visualize string        // where a page goes that shows what is wrong; "" for none
}

// Check is one question and its answer.
type Check struct {
	Name      string   `json:"name"`
	Asks      string   `json:"asks"`
	Checked   int64    `json:"checked"`
	Wrong     int64    `json:"wrong"`
	Undecided int64    `json:"undecided,omitempty"` // porcupine ran out of time
	Details   []string `json:"details,omitempty"`
}

// Verdict is the outcome of a proof.
type Verdict struct {
	Operations int64   `json:"operations"`
	Commits    int64   `json:"commits"`
	Holds      int64   `json:"holds"`
	Rows       int64   `json:"rows"`
	Seats      int64   `json:"seats"`
	Unknown    int64   `json:"unknown"`  // attempts and requests without a known outcome
	Happened   int64   `json:"happened"` // of core's attempts among them: proved to have been committed
	Not        int64   `json:"did_not_happen"`
	Open       int64   `json:"open"`    // neither
	Assumed    int64   `json:"assumed"` // of those that happened: one of several that fit
	Unjudged   int64   `json:"unjudged_refusals"`
	Checks     []Check `json:"checks"`
	Passed     bool    `json:"passed"`
	Visualized string  `json:"visualized,omitempty"`
}

// Prove checks a history. The error is about the page that was to be written; what is wrong with the history is in the verdict.
func Prove(h *history.History, o Options) (*Verdict, error) {
	if o.Staleness <= 0 {
		o.Staleness = DefaultStaleness
	}
	if o.Slices <= 0 {
		o.Slices = 10 * time.Second
	}
	if o.Seats <= 0 {
		o.Seats = time.Minute
	}
	p := &prover{o: o, rows: make(map[rowKey]*row), holds: make(map[uuid.UUID]*hold), seatRow: make(map[seatKey]*row), seats: make(map[seatKey][]event)}
	p.v.Checks = make([]Check, 0, 16) // checks are pointed to while more are added
	p.collect(h)
	p.resolve()
	p.tighten()
	p.checkRows()
	p.checkOrder()
	p.checkHolds()
	p.checkAnswers()
	p.checkRefusals()
	p.checkCounts()
	p.checkSeats()
	p.checkSlices()
	p.v.Rows, p.v.Holds, p.v.Seats = int64(len(p.rows)), int64(len(p.holds)), int64(len(p.seats))
	p.v.Passed = p.v.Operations > 0 && p.checked > 0
	for _, c := range p.v.Checks {
		p.v.Passed = p.v.Passed && c.Wrong == 0
	}
	if p.v.Passed || o.Visualize == "" {
		return &p.v, nil
	}
	return &p.v, p.visualize(o.Visualize)
}

// Failures lists what is wrong, at most a few of each kind.
func (v *Verdict) Failures() []string {
	var all []string
	for _, c := range v.Checks {
		for _, d := range c.Details {
			all = append(all, c.Name+": "+d)
		}
	}
	if v.Operations == 0 {
		all = append(all, "there is nothing in the history")
	}
	return all
}

type rowKey struct {
	event            uuid.UUID
	tier, allocation string
}

func (k rowKey) String() string {
	if k.allocation == "" || k.allocation == "general" {
		return fmt.Sprintf("tier %s of event %s", k.tier, k.event)
	}
	return fmt.Sprintf("tier %s (%s) of event %s", k.tier, k.allocation, k.event)
}

type seatKey struct {
	event uuid.UUID
	seat  string
}

// row is the history of a stock row. State 0 is before the first commit, state i+1 after commit i.
type row struct {
	key     rowKey
	partial bool // nothing of core's is known of it
	commits []*commit
	slot    map[int64][]*commit // attempts by the version that they would have
	known   int64               // greatest version that is certain to exist
	open    []*commit           // attempts that may have happened

	base, baseVersion int64     // taken and version before the first commit
	capacity          int64     // as it was last
	taken             []int64   // by state: units taken
	capacities        []int64   // by commit
	left              []int64   // of state i at 2i what was left; between two what was while the commit was decided
	lowest            [][]int64 // least of 2^n of these
	earliest, latest  []int64   // by commit: when it can have been
}

// at is a row as a commit left it.
type at struct {
	row                      *row
	version, taken, capacity int64
}

type fate int

const (
	open    fate = iota // may have happened
	certain             // its process said so
	proven              // something else did
	refuted
	undone // its process said so
)

// commit is a transaction, or an attempt of one.
type commit struct {
	call     *history.Call
	from, to int64
	rows     []at
	fate     fate
	assumed  bool
	state    map[*row]int // index in the row's commits
}

func (c *commit) happened() bool { return c.fate == certain || c.fate == proven }

func (c *commit) version(r *row) int64 {
	for _, a := range c.rows {
		if a.row == r {
			return a.version
		}
	}
	return 0
}

// name is a commit in words, with where it stands.
func (c *commit) name() string { return where(c.call) }

func where(c *history.Call) string { return fmt.Sprintf("%s:%d", c.File, c.Line) }

// deed is one op of a commit.
type deed struct {
	in *commit
	op *history.Op
}

// said is an answer.
type said struct {
	call *history.Call
	op   *history.Op
}

// hold is everything about a hold.
type hold struct {
	id                    uuid.UUID
	grants, closes, sells []deed
	returns               []deed // parts of the sold hold that were given back
	takes                 []deed // what it got for them, where seats were changed
	told                  []said // ok answers that showed it
	released              []said // acknowledged releases
	asked, askedRelease   int64  // first time a recorded client asked; 0 for never
	commits               []history.Item
}

// happenedOnly leaves the deeds whose commits happened.
func happenedOnly(all []deed) []deed {
	return slices.DeleteFunc(slices.Clone(all), func(d deed) bool { return !d.in.happened() })
}

// prover is a proof at work.
type prover struct {
	o        Options
	v        Verdict
	checked  int64
	rows     map[rowKey]*row
	holds    map[uuid.UUID]*hold
	attempts []*commit
	refusals []said
	counts   []said
	seatRow  map[seatKey]*row // the row in which a seat was seen
	seats    map[seatKey][]event
	suspects []suspect
}

// suspect is what a page would show.
type suspect struct {
	row  *row
	near int64 // version
	seat seatKey
	why  string
}

// check makes room for a question.
func (p *prover) check(name, asks string) *Check {
	p.v.Checks = append(p.v.Checks, Check{Name: name, Asks: asks})
	return &p.v.Checks[len(p.v.Checks)-1]
}

func (c *Check) wrong(format string, args ...any) {
	c.Wrong++
	if len(c.Details) < maxDetails {
		c.Details = append(c.Details, fmt.Sprintf(format, args...))
	}
}

func (p *prover) suspect(s suspect) {
	if len(p.suspects) < maxDetails {
		p.suspects = append(p.suspects, s)
	}
}

func (p *prover) row(k rowKey) *row {
	r := p.rows[k]
	if r == nil {
		r = &row{key: k, partial: true, slot: make(map[int64][]*commit), capacity: -1}
		p.rows[k] = r
	}
	return r
}

func (p *prover) hold(id uuid.UUID) *hold {
	h := p.holds[id]
	if h == nil {
		h = &hold{id: id}
		p.holds[id] = h
	}
	return h
}

// sortedRows are the rows in the order of their names, so that two runs say the same.
func (p *prover) sortedRows() []*row {
	rows := make([]*row, 0, len(p.rows))
	for _, r := range p.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.key.String(), b.key.String()) })
	return rows
}
