package api

import (
	"slices"
	"time"

	"fairgate/core/access"
	"fairgate/core/event"
)

// States of a sale as pages show it.
const (
	saleComing  = "coming"
	saleJoining = "joining" // its waiting room is open, and it sells nothing yet
	saleOn      = "on"
	saleOver    = "over"
)

// saleJSON is one of the on-sales that an event has one after the other: a presale, or general sale. Times are missing while they are not known.
type saleJSON struct {
	Presale   string    `json:"presale,omitempty"` // empty: general sale
	Name      string    `json:"name,omitempty"`
	Who       string    `json:"who,omitempty"` // of a presale: invitation, registered or word; see event.Presale
	PerBuyer  int       `json:"per_buyer,omitempty"`
	State     string    `json:"state"` // coming, joining, on or over
	JoiningAt *timeJSON `json:"joining_at,omitempty"`
	OpensAt   *timeJSON `json:"opens_at,omitempty"`
	EndsAt    *timeJSON `json:"ends_at,omitempty"`
}

// salesOf lists the on-sales of an event that has presales, in the order of their times; general sale is the last where its own are not known.
func salesOf(spec *event.Spec, calendar *access.Calendar, now time.Time) []saleJSON {
	if len(spec.Presales) == 0 {
		return nil
	}
	type timed struct {
		sale saleJSON
		at   time.Time
	}
	scheduled := map[string]access.Planned{}
	for _, p := range calendar.Next {
		scheduled[p.Presale] = p
	}
	current := calendar.Current.Presale
	if calendar.Phase != "" {
		scheduled[current] = calendar.Current // general sale may come again after general sale: the present one is shown
	}
	one := func(s saleJSON, from, until time.Time) timed {
		p, known := scheduled[s.Presale]
		if known {
			from, until, s.JoiningAt = p.OpensAt, p.EndsAt, timeOf(p.JoiningAt)
		}
		s.OpensAt, s.EndsAt, s.State = timeOf(from), timeOf(until), saleComing
		switch {
		case known && calendar.Phase != "" && s.Presale == current:
			s.State = stateOfSale(calendar.Phase)
		case !until.IsZero() && !now.Before(until), calendar.Passed(s.Presale):
			s.State = saleOver
		}
		return timed{s, from}
	}
	var all []timed
	for _, p := range spec.Presales {
		all = append(all, one(saleJSON{Presale: p.ID, Name: p.Shown(), Who: p.Rights(), PerBuyer: p.PerBuyer}, p.From, p.Until))
	}
	all = append(all, one(saleJSON{}, time.Time{}, time.Time{}))
	slices.SortStableFunc(all, func(a, b timed) int {
		if a.at.IsZero() != b.at.IsZero() {
			if a.at.IsZero() {
				return 1
			}
			return -1
		}
		return a.at.Compare(b.at)
	})
	sales := make([]saleJSON, len(all))
	for i := range all {
		sales[i] = all[i].sale
	}
	return sales
}

func stateOfSale(phase access.Phase) string {
	switch phase {
	case access.Announced:
		return saleComing
	case access.Joining:
		return saleJoining
	case access.Ended:
		return saleOver
	}
	return saleOn
}

// timeOf is a time, or nothing for none.
func timeOf(t time.Time) *timeJSON {
	if t.IsZero() {
		return nil
	}
	shown := timeJSON(t)
	return &shown
}

// perBuyer is how many tickets a buyer may have in the on-sale there is.
func perBuyer(spec *event.Spec, calendar *access.Calendar) int {
	most := spec.Limits.PerBuyer
	for _, p := range spec.Presales {
		if calendar.Phase != "" && calendar.Phase != access.Ended && p.ID == calendar.Current.Presale && p.PerBuyer > 0 {
			most = min(most, p.PerBuyer)
		}
	}
	return most
}
