package history

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Do is what an op does.
type Do string

// What can be done. Look and Count change nothing: they read a hold and a stock row.
const (
	Hold    Do = "hold"
	Release Do = "release"
	Expire  Do = "expire"
	Sell    Do = "sell"
	Unsell  Do = "unsell"
	Return  Do = "return" // of a sold hold: its items are the units that it gives back
	Take    Do = "take"   // of a sold hold: its items are the units that it gets for those that it returns in the same call
	Look    Do = "look"
	Count   Do = "count"
)

// Outcome is what became of a call or an op.
type Outcome string

// The outcomes. Undone is certain to have changed nothing, Unknown may have changed everything.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	Undone  Outcome = "undone"
	Unknown Outcome = "unknown"
)

// Side says who kept a history.
type Side string

// The sides.
const (
	Core   Side = "core"
	Client Side = "client"
)

// Row is a stock row as a commit left it, or as a Count found it. Version is 0 where the reader was not told it.
type Row struct {
	Event      uuid.UUID `json:"event"`
	Tier       string    `json:"tier"`
	Allocation string    `json:"allocation,omitempty"`
	Version    int64     `json:"version,omitempty"`
	Taken      int64     `json:"taken"`
	Capacity   int64     `json:"capacity"`
}

// Item is units of one tier. Commit is the version of the stock row after the commit that granted them, 0 when unknown.
type Item struct {
	Tier       string   `json:"tier,omitempty"`
	Allocation string   `json:"allocation,omitempty"`
	Quantity   int      `json:"quantity,omitempty"`
	Seats      []string `json:"seats,omitempty"`
	Commit     int64    `json:"commit,omitempty"`
}

// Op is one operation. Items are those of the hold where it is known, else those asked for.
type Op struct {
	Do    Do        `json:"do,omitempty"`
	Event uuid.UUID `json:"event,omitzero"`
	Hold  uuid.UUID `json:"hold,omitzero"`
	Buyer string    `json:"buyer,omitempty"` // entrant in hex, a pseudonym
	Body  string    `json:"body,omitempty"`  // hash of the request in hex: the same key stands for one body
	Items []Item    `json:"items,omitempty"`
	Row   *Row      `json:"row,omitempty"` // of a Count

	Outcome  Outcome `json:"outcome,omitempty"`
	Code     string  `json:"code,omitempty"`     // why it was refused
	State    string  `json:"state,omitempty"`    // of the hold, as answered
	Deadline int64   `json:"deadline,omitempty"` // of the hold, µs since 1970 by the database's clock
	AsOf     int64   `json:"as_of,omitempty"`    // when that was so, by the same clock
	Memory   bool    `json:"memory,omitempty"`   // a refusal that may come from memory
}

// Call is what was attempted together.
type Call struct {
	N       int64   // number in its process
	From    int64   // ns
	To      int64   // ns; 0 without an answer
	Outcome Outcome // of all ops, or empty when each has its own
	At      int64   // of a transaction in core: its time, µs since 1970 by the database's clock
	Rows    []Row
	Ops     []Op

	Process string
	Side    Side
	File    string
	Line    int // of its beginning
}

// line is any line of a file. Which one follows from what is set: history for a header, from for a beginning, to for an end.
type line struct {
	History int    `json:"history,omitempty"`
	Process string `json:"process,omitempty"`
	Side    Side   `json:"side,omitempty"`
	Clock   string `json:"clock,omitempty"`
	Started string `json:"started,omitempty"`

	Call    int64   `json:"call,omitempty"`
	From    int64   `json:"from,omitempty"`
	To      int64   `json:"to,omitempty"`
	At      int64   `json:"at,omitempty"`
	Outcome Outcome `json:"outcome,omitempty"`
	Rows    []Row   `json:"rows,omitempty"`
	Ops     []Op    `json:"ops,omitempty"`
}

// format is the version of the format.
const format = 1

// check finds what is wrong with an op as it stands in a file.
func (o *Op) check() error {
	switch o.Do {
	case Hold, Release, Expire, Sell, Unsell, Return, Take, Look:
		if o.Hold == uuid.Nil {
			return fmt.Errorf("%s without a hold", o.Do)
		}
	case Count:
		if o.Row == nil {
			return errors.New("count without a row")
		}
	default:
		return fmt.Errorf("do is %q", o.Do)
	}
	if o.Event == uuid.Nil {
		return fmt.Errorf("%s without an event", o.Do)
	}
	for _, item := range o.Items {
		if item.Quantity < 0 || item.Commit < 0 || item.Quantity == 0 && len(item.Seats) == 0 && item.Commit > 0 {
			return fmt.Errorf("%d units of tier %q at commit %d", item.Quantity, item.Tier, item.Commit)
		}
	}
	return o.Outcome.check(true)
}

func (o Outcome) check(empty bool) error {
	switch o {
	case OK, Refused, Undone, Unknown:
		return nil
	case "":
		if empty {
			return nil
		}
	}
	return fmt.Errorf("outcome is %q", o)
}
