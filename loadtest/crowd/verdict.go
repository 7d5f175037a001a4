package crowd

import (
	"fmt"
	"time"

	"fairgate/edge/lottery"
)

// Verdict is the answer to one question.
type Verdict struct {
	Name    string `json:"name"`
	Passed  bool   `json:"passed"`
	Checked int    `json:"checked"`
	Wrong   int    `json:"wrong"`
	Detail  string `json:"detail"`
}

// Result is what became of the crowd.
type Result struct {
	Buyers       int       `json:"buyers"`
	Connections  int       `json:"connections"`
	Calls        int64     `json:"calls"`
	Receipted    int64     `json:"receipted"`
	Drawn        int64     `json:"drawn"`
	Admitted     int64     `json:"admitted"`
	Waits        int64     `json:"waits"` // answers that asked to come again
	Join         Latency   `json:"join"`
	Receipt      Latency   `json:"receipt"` // from the arrival
	Poll         Latency   `json:"poll"`
	Claim        Latency   `json:"claim"`
	StormJoin    Latency   `json:"storm_join"`
	StormReceipt Latency   `json:"storm_receipt"`
	StormWaits   int64     `json:"storm_waits"`
	Storm        string    `json:"storm"` // in words
	Problems     []Problem `json:"problems"`
	Verdicts     []Verdict `json:"verdicts"`
	Passed       bool      `json:"passed"`
}

// Judge sums up and holds what the crowd was told against the transcript of the draw.
func (c *Crowd) Judge(transcript lottery.Transcript) Result {
	m := &c.meters
	r := Result{
		Buyers: len(c.members), Connections: min(c.plan.Connections, len(c.members)), Calls: c.calls.Load(), Receipted: c.receipted.Load(),
		Drawn: c.drawn.Load(), Admitted: c.admitted.Load(), Waits: m.waits.Load(), Join: m.join.sum(), Receipt: m.receipt.sum(), Poll: m.poll.sum(),
		Claim: m.claim.sum(), StormJoin: m.stormJoin.sum(), StormReceipt: m.stormReceipt.sum(), StormWaits: m.stormWaits.Load(), Problems: c.errs.list(),
		Storm: fmt.Sprintf("%d people within %s after %.0f a second: %.0f a second", c.plan.storm(), c.plan.StormFor, c.plan.Normal, c.plan.Storm),
	}
	r.Verdicts = []Verdict{
		c.allReceipted(), c.allDrawn(transcript), c.nobodyLost(), c.drawVerifies(transcript), c.noErrors(false, "no error", "of the crowd"),
		c.noErrors(true, "an honest wait", "of the storm"), c.quick(r.Poll),
	}
	r.Passed = true
	for _, v := range r.Verdicts {
		r.Passed = r.Passed && v.Passed
	}
	return r
}

// allReceipted: everybody has a receipt, and no two of them are one entrant.
func (c *Crowd) allReceipted() Verdict {
	v := Verdict{Name: "all receipted", Checked: len(c.members)}
	entrants := make(map[lottery.Entrant]struct{}, len(c.members))
	for i := range c.members {
		m := &c.members[i]
		_, twice := entrants[m.entrant]
		if len(m.receipt) == 0 || twice {
			v.Wrong++
		}
		entrants[m.entrant] = struct{}{}
	}
	return v.say("people with a receipt of their own")
}

// allDrawn: everybody is in the published pool, where their receipt says.
func (c *Crowd) allDrawn(t lottery.Transcript) Verdict {
	v := Verdict{Name: "all drawn", Checked: len(c.members)}
	type place struct {
		window uint32
		band   lottery.Band
	}
	drawn := make(map[lottery.Entrant]place, len(c.members))
	for _, w := range t.Windows {
		for _, l := range w.Leaves {
			drawn[l.Entrant] = place{w.Window, l.Band}
		}
	}
	for i := range c.members {
		m := &c.members[i]
		if got, ok := drawn[m.entrant]; !ok || got != (place{m.place.Window, m.place.Band}) {
			v.Wrong++
		}
	}
	return v.say("people in the sealed pool, in the window of their receipt")
}

// nobodyLost: everybody went on waiting until the end, saw the draw and worked out their own place, or was let in.
func (c *Crowd) nobodyLost() Verdict {
	v := Verdict{Name: "none lost", Checked: len(c.members)}
	for i := range c.members {
		if m := &c.members[i]; !m.drawn || m.stage == lost {
			v.Wrong++
		}
	}
	return v.say("people who know their place in the draw")
}

// drawVerifies: anybody can draw again; nobody was let in before their turn.
func (c *Crowd) drawVerifies(t lottery.Transcript) Verdict {
	kept := c.states.seen
	for i := range c.members {
		if r := c.members[i].receipt; len(r) > 0 {
			kept.Receipts = append(kept.Receipts, r)
		}
	}
	verdict := t.Verify(kept)
	v := Verdict{Name: "draw verified"}
	first := ""
	for _, check := range verdict.Checks {
		v.Checked, v.Wrong = v.Checked+check.Checked, v.Wrong+check.Failed
		if check.Failed > 0 && first == "" && len(check.Details) > 0 {
			first = check.Name + ": " + check.Details[0]
		}
	}
	if !verdict.OK() && v.Wrong == 0 {
		v.Wrong, first = 1, "there is no sealed window"
	}
	v = v.say("receipts, roots, seeds, turns and sessions")
	if first != "" {
		v.Detail += "; " + first
	}
	return v
}

// noErrors: whoever was not served was told to come again, and when.
func (c *Crowd) noErrors(storm bool, name, of string) Verdict {
	m := &c.meters
	v := Verdict{Name: name, Checked: int(m.join.sum().Count + m.poll.sum().Count + m.claim.sum().Count)}
	if storm {
		v.Checked = int(m.stormJoin.sum().Count)
	}
	for _, p := range c.errs.list() {
		if p.Storm == storm {
			v.Wrong += int(p.Count)
		}
	}
	return v.say("answers " + of + " that were what was asked for, or a wait with its end")
}

// quick: polls were answered in time.
func (c *Crowd) quick(poll Latency) Verdict {
	v := Verdict{Name: "polls are quick", Checked: int(poll.Count)}
	if limit := float64(c.plan.P99) / float64(time.Millisecond); poll.P99 > limit {
		v.Wrong = 1
	}
	v.Passed = v.Checked > 0 && v.Wrong == 0
	v.Detail = fmt.Sprintf("p99 %.1f ms of %d polls; at most %s", poll.P99, poll.Count, c.plan.P99)
	return v
}

func (v Verdict) say(what string) Verdict {
	v.Passed = v.Checked > 0 && v.Wrong == 0
	v.Detail = fmt.Sprintf("%d of %d %s", v.Checked-min(v.Wrong, v.Checked), v.Checked, what)
	return v
}
