package storm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/inventory/history"
	"fairgate/edge/lottery"
	"fairgate/loadtest"
	"fairgate/loadtest/stage"
)

// Of one client.
const (
	shoppersEach = 8  // buyers it speaks for
	batchMost    = 16 // holds in one request
	mineMost     = 400
	// answerWithin is how long it waits; a core that commits and is not heard of then has an unknown outcome.
	answerWithin = 8 * time.Second
)

// general are the tiers by quantity, and the share of requests for each.
var general = []struct {
	tier  string
	share int
	most  int // units of one request
}{{"pit", 25, 3}, {"floor", 30, 4}, {"hill", 25, 8}}

// shopper is a buyer as core's edge listener knows one.
type shopper struct {
	entrant         lottery.Entrant
	session, device string
}

func newShopper(m *loadtest.Mint, n uint64) (shopper, error) {
	minted := m.Shopper(slug, n, time.Now())
	s := shopper{entrant: minted.Entrant}
	for part := range strings.SplitSeq(minted.Cookie, "; ") {
		name, value, _ := strings.Cut(part, "=")
		if name != "fg_device" {
			s.session = value
			continue
		}
		secret, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			return s, fmt.Errorf("read the cookies of a minted session: %w", err)
		}
		device := lottery.HashDevice(secret)
		s.device = hex.EncodeToString(device[:])
	}
	return s, nil
}

// wish is a hold that somebody asks for, once or again.
type wish struct {
	by   *shopper
	key  string
	body json.RawMessage
	op   history.Op
}

// client holds, repeats, releases and looks, one request at a time. It belongs to one goroutine.
type client struct {
	run  *run
	rng  *rand.Rand
	http *http.Client
	core int // the one it asks
	who  []shopper

	held     []wish // holds that it was given and that it has not given back
	openHold []wish // holds whose outcome is unknown
	openEnd  []wish // releases whose outcome is unknown
	keys     int
	name     string
	failures int // requests without a certain answer in a row
}

// itemBody is an item of a request or a hold as the API writes it.
type itemBody struct {
	Tier       string   `json:"tier,omitempty"`
	Allocation string   `json:"allocation,omitempty"`
	Quantity   int      `json:"quantity,omitempty"`
	Seats      []string `json:"seats,omitempty"`
	Commit     int64    `json:"commit,omitempty"`
}

// holdBody is a hold as the API writes it.
type holdBody struct {
	ID       uuid.UUID  `json:"id"`
	State    string     `json:"state"`
	Deadline time.Time  `json:"deadline"`
	Items    []itemBody `json:"items"`
}

// problemBody is a refusal as the API writes it.
type problemBody struct {
	Code string `json:"code"`
}

// live goes on until ctx ends or the storm has had its operations.
func (c *client) live(ctx context.Context) {
	for ctx.Err() == nil && c.run.more() {
		switch dice := c.rng.IntN(100); {
		case len(c.openHold) > 0:
			c.hold(ctx, c.take(&c.openHold))
		case len(c.openEnd) > 0:
			c.release(ctx, c.take(&c.openEnd)[0])
		case dice < 40:
			c.hold(ctx, c.wishes())
		case dice < 88 && len(c.held) > 0:
			n := c.rng.IntN(len(c.held))
			w := c.held[n]
			c.held[n] = c.held[len(c.held)-1]
			c.held = c.held[:len(c.held)-1]
			c.release(ctx, w)
		case dice < 93 && len(c.held) > 0:
			c.look(ctx, c.held[c.rng.IntN(len(c.held))])
		case dice < 94:
			c.count(ctx)
		default:
			c.held = c.held[:len(c.held)/2] // walks away: the rest expires
		}
	}
}

// settle asks again until nothing is open.
func (c *client) settle(ctx context.Context) {
	for ctx.Err() == nil && len(c.openHold)+len(c.openEnd) > 0 {
		if len(c.openHold) > 0 {
			c.hold(ctx, c.take(&c.openHold))
		} else {
			c.release(ctx, c.take(&c.openEnd)[0])
		}
	}
}

// take removes up to a batch of wishes from a list.
func (c *client) take(list *[]wish) []wish {
	n := 1
	if list == &c.openHold {
		n = min(len(*list), batchMost)
	}
	taken := append([]wish(nil), (*list)[:n]...)
	*list = append((*list)[:0], (*list)[n:]...)
	return taken
}

// wishes are a batch of new holds, and some that were asked for before.
func (c *client) wishes() []wish {
	var all []wish
	for range 1 + c.rng.IntN(batchMost) {
		if len(c.held) > 0 && c.rng.IntN(8) == 0 {
			all = append(all, c.held[c.rng.IntN(len(c.held))])
			continue
		}
		all = append(all, c.wish())
	}
	return all
}

func (c *client) wish() wish {
	c.keys++
	w := wish{by: &c.who[c.rng.IntN(len(c.who))], key: fmt.Sprintf("%s-%d", c.name, c.keys)}
	items := []itemBody{c.item()}
	if c.rng.IntN(12) == 0 { // both kinds in one hold
		items = append(items, c.seats())
	}
	w.body, _ = json.Marshal(map[string]any{"event": slug, "items": items}) // plain values cannot fail
	event := lottery.EventID(slug)
	w.op = history.Op{Do: history.Hold, Event: event, Hold: inventory.HoldID(event, w.by.entrant, w.key), Buyer: hex.EncodeToString(w.by.entrant[:])}
	for _, i := range items {
		w.op.Items = append(w.op.Items, history.Item{Tier: i.Tier, Quantity: i.Quantity, Seats: i.Seats})
	}
	return w
}

func (c *client) item() itemBody {
	dice := c.rng.IntN(100)
	for _, g := range general {
		if dice -= g.share; dice < 0 {
			return itemBody{Tier: g.tier, Quantity: 1 + c.rng.IntN(g.most)}
		}
	}
	return c.seats()
}

// seats are one to three neighbours.
func (c *client) seats() itemBody {
	row, n := string(rune('A'+c.rng.IntN(6))), 1+c.rng.IntN(3)
	first := 1 + c.rng.IntN(12-n)
	var i itemBody
	for s := range n {
		i.Seats = append(i.Seats, fmt.Sprintf("101/%s/%d", row, first+s))
	}
	return i
}

// hold asks core for a batch of holds.
func (c *client) hold(ctx context.Context, wishes []wish) {
	type item struct {
		Event   string          `json:"event"`
		Session string          `json:"session"`
		Device  string          `json:"device"`
		Key     string          `json:"key"`
		Client  string          `json:"client"`
		Body    json.RawMessage `json:"body"`
	}
	items, ops := make([]item, len(wishes)), make([]history.Op, len(wishes))
	for i, w := range wishes {
		items[i] = item{Event: slug, Session: w.by.session, Device: w.by.device, Key: w.key, Client: "127.0.0.1", Body: w.body}
		ops[i] = w.op
	}
	body, _ := json.Marshal(map[string]any{"items": items}) // plain values cannot fail
	var answer struct {
		Results []struct {
			Status  int         `json:"status"`
			Body    holdBody    `json:"body"`
			Problem problemBody `json:"problem"`
		} `json:"results"`
	}
	n := c.run.clients.Invoke(history.Call{Ops: ops})
	status := c.ask(ctx, http.MethodPost, "/edge/v1/holds:batch", body, nil, &answer)
	told := make([]history.Op, len(wishes))
	for i, w := range wishes {
		told[i] = history.Op{Do: history.Hold, Outcome: history.Unknown}
		if status == http.StatusOK && i < len(answer.Results) {
			r := &answer.Results[i]
			told[i] = c.judge(history.Hold, r.Status, r.Problem.Code, &r.Body)
		}
		switch told[i].Outcome {
		case history.Unknown:
			c.openHold = append(c.openHold, w)
		case history.OK:
			if told[i].State == "active" && len(c.held) < mineMost {
				c.held = append(c.held, w)
			}
		}
	}
	c.run.clients.Return(n, "", told...)
	c.run.note(told)
	c.pause(ctx, status, told)
}

// single makes one request about one hold.
func (c *client) single(ctx context.Context, do history.Do, method string, w wish) history.Op {
	op := history.Op{Do: do, Event: w.op.Event, Hold: w.op.Hold, Buyer: w.op.Buyer}
	var answer struct {
		holdBody
		problemBody
	}
	n := c.run.clients.Invoke(history.Call{Ops: []history.Op{op}})
	status := c.ask(ctx, method, "/v1/holds/"+w.op.Hold.String(), nil, w.by, &answer)
	told := c.judge(do, status, answer.Code, &answer.holdBody)
	c.run.clients.Return(n, "", told)
	c.run.note([]history.Op{told})
	c.pause(ctx, status, []history.Op{told})
	return told
}

func (c *client) release(ctx context.Context, w wish) {
	if c.single(ctx, history.Release, http.MethodDelete, w).Outcome == history.Unknown {
		c.openEnd = append(c.openEnd, w)
	}
}

func (c *client) look(ctx context.Context, w wish) { c.single(ctx, history.Look, http.MethodGet, w) }

// count asks what is left.
func (c *client) count(ctx context.Context) {
	var answer struct {
		Tiers []struct {
			ID   string `json:"id"`
			Left int64  `json:"left"`
		} `json:"tiers"`
	}
	event := lottery.EventID(slug)
	from := history.Now()
	if c.ask(ctx, http.MethodGet, "/v1/events/"+slug, nil, nil, &answer) != http.StatusOK {
		return
	}
	call := history.Call{From: from}
	for _, t := range answer.Tiers {
		if capacity, known := c.run.capacity[t.ID]; known {
			call.Ops = append(call.Ops, history.Op{Do: history.Count, Event: event, Outcome: history.OK,
				Row: &history.Row{Event: event, Tier: t.ID, Allocation: "general", Taken: capacity - t.Left, Capacity: capacity}})
		}
	}
	if len(call.Ops) > 0 {
		c.run.clients.Answered(call)
		c.run.note(call.Ops)
	}
}

// judge is what an answer says of an operation. What is not certain to have changed nothing is unknown.
func (c *client) judge(do history.Do, status int, code string, h *holdBody) history.Op {
	o := history.Op{Do: do, Outcome: history.Unknown, Code: code}
	switch {
	case status == http.StatusTooManyRequests:
		o.Outcome = history.Undone
	case status >= 200 && status < 300 && h.State != "":
		o.Outcome, o.State, o.Deadline = history.OK, h.State, h.Deadline.UnixMicro()
		for _, i := range h.Items {
			o.Items = append(o.Items, history.Item(i))
		}
	case status >= 400 && status < 500 && code != "":
		o.Outcome = history.Refused
	}
	return o
}

// ask makes a request of the core at hand. The status is 0 when no answer came.
func (c *client) ask(ctx context.Context, method, path string, body []byte, as *shopper, into any) int {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.run.theatre.edge[c.core]+path, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+c.run.secret)
	if as != nil {
		req.Header.Set("Fairgate-Session", as.session)
		req.Header.Set("Fairgate-Device", as.device)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil || json.Unmarshal(text, into) != nil {
		return 0
	}
	return resp.StatusCode
}

// pause changes to the other core when this one does not answer, and takes a breath that grows with every failure.
func (c *client) pause(ctx context.Context, status int, told []history.Op) {
	for _, o := range told {
		if o.Outcome == history.Unknown {
			status = 0 // one of a batch
		}
	}
	if status != 0 && status < 500 {
		c.failures = 0
		return
	}
	c.core = (c.core + 1) % len(c.run.theatre.edge)
	stage.Sleep(ctx, time.Duration(10+c.rng.IntN(20<<min(c.failures, 5)))*time.Millisecond)
	c.failures++
}

// tally counts answers.
type tally struct {
	ops      atomic.Int64
	outcomes [4]atomic.Int64 // ok, refused, undone, unknown
}
