package loadtest

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/inventory/history"
	"fairgate/edge/lottery"
)

// Record has the rehearsal keep a history of what honest buyers ask of the inventory and are told, by their own clock,
// for `ticketctl prove`. Call it before Run; the recorder stays the caller's. Bots are left out: they ask with what they
// have stolen.
func (r *Rehearsal) Record(to *history.Recorder) { r.history = to }

// deed is a request about a hold, as the history names it.
type deed struct {
	to *history.Recorder
	op history.Op
	n  int64 // of the call
}

// recorded begins a call of the history if the request is one that a history keeps; the zero deed keeps nothing.
func (v *visitor) recorded(c call) deed {
	if v.run.history == nil || !v.isBuyer() {
		return deed{}
	}
	event := lottery.EventID(v.run.plan.Event)
	d := deed{to: v.run.history, op: history.Op{Event: event, Buyer: hex.EncodeToString(v.entrant[:])}}
	switch c.op {
	case OpHold:
		d.op.Do, d.op.Hold = history.Hold, inventory.HoldID(event, v.entrant, c.key)
		for _, i := range c.items {
			d.op.Items = append(d.op.Items, history.Item{Tier: i.Tier, Quantity: i.Quantity, Seats: i.Seats})
		}
	case OpRelease:
		d.op.Do, d.op.Hold = history.Release, c.hold
	default:
		return deed{}
	}
	d.n = d.to.Invoke(history.Call{Ops: []history.Op{d.op}})
	return d
}

// answered ends the call. What is not certain to have changed nothing is unknown.
func (d *deed) answered(a answer) {
	if d.to == nil {
		return
	}
	told := history.Op{Outcome: history.Unknown, Code: a.code}
	var h struct {
		State      string         `json:"state"`
		Deadline   time.Time      `json:"deadline"`
		ServerTime time.Time      `json:"server_time"`
		Items      []history.Item `json:"items"`
	}
	switch {
	case a.err != nil || a.status >= 500:
	case a.status == http.StatusTooManyRequests, a.status == http.StatusTooEarly:
		told.Outcome = history.Undone
	case a.status >= 400:
		told.Outcome = history.Refused
	case json.Unmarshal(a.body, &h) == nil && h.State != "":
		told = history.Op{Outcome: history.OK, State: h.State, Items: h.Items, Deadline: h.Deadline.UnixMicro(), AsOf: h.ServerTime.UnixMicro()}
	}
	d.to.Return(d.n, "", told)
}

// bought notes that a hold was sold, at some moment since from.
func (v *visitor) bought(hold string, from int64) {
	id, err := uuid.Parse(hold)
	if v.run.history == nil || !v.isBuyer() || err != nil {
		return
	}
	v.run.history.Answered(history.Call{From: from, Ops: []history.Op{{
		Do: history.Sell, Event: lottery.EventID(v.run.plan.Event), Hold: id, Buyer: hex.EncodeToString(v.entrant[:]), Outcome: history.OK, State: "sold",
	}}})
}
