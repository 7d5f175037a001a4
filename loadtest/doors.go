package loadtest

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The doors: after the sale everybody who has a ticket goes to the gates of the venue, and some try what they should not.

const (
	// doorTries bounds how often a gate asks core for one scan that has no answer yet, always with the scan's own id.
	doorTries = 8
	// doorTimeout bounds one answer.
	doorTimeout = 10 * time.Second
)

// DoorsSeen is what happened at the gates.
type DoorsSeen struct {
	Tickets int // shown as they should be
	Again   int // shown once more after they had entered
	AtOnce  int // shown at two gates at the same instant
	Altered int // shown with one bit of the code changed
	Dead    int // shown with a code from before the ticket changed hands
	Zones   int // sent on to another zone's gate first

	Opened map[string]int // how often a gate opened, by ticket
	Wrong  []string       // what should not have been
}

// door is a gate with its credential.
type door struct{ name, zone, credential string }

// doors plays the chapter. Its methods may be called by many goroutines.
type doors struct {
	run   *Rehearsal
	http  *http.Client
	gates []door

	mu   sync.Mutex
	seen DoorsSeen
}

// Doors sends everybody who has a ticket to the gates and returns when the last one has been there. Without targets.gate, or without
// gates in the plan, nobody goes. What happened is for the audit.
func (r *Rehearsal) Doors(ctx context.Context) error {
	p := r.plan.Doors
	if r.plan.Targets.Gate == "" || len(p.Gates) == 0 {
		return nil
	}
	d := &doors{run: r, http: &http.Client{Timeout: doorTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * p.Queue}}}
	defer d.http.CloseIdleConnections()
	d.seen.Opened = make(map[string]int)
	for _, g := range p.Gates {
		credential, err := r.admin.AddGate(ctx, r.plan.Event, g.Name, g.Zone)
		if err != nil {
			return fmt.Errorf("make gate %s: %w", g.Name, err)
		}
		d.gates = append(d.gates, door{g.Name, g.Zone, credential})
	}
	tickets := r.witness.Tickets()
	dice := rand.New(rand.NewPCG(r.plan.Seed, 0xd00))
	dice.Shuffle(len(tickets), func(i, j int) { tickets[i], tickets[j] = tickets[j], tickets[i] })
	queue := make(chan ticketHolder)
	var gates sync.WaitGroup
	for range p.Queue {
		gates.Go(func() {
			for g := range queue {
				d.arrive(ctx, g)
			}
		})
	}
	for _, t := range tickets {
		g := ticketHolder{SeenTicket: t, first: dice.IntN(len(d.gates)), altered: dice.Float64() < p.Altered, again: dice.Float64() < p.Again, atOnce: dice.Float64() < p.AtOnce, bit: dice.Uint32()}
		select {
		case queue <- g:
		case <-ctx.Done():
		}
	}
	close(queue)
	gates.Wait()
	r.witness.AtDoors(d.seen)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the gates were interrupted: %w", err)
	}
	return nil
}

// ticketHolder is somebody with a ticket, and what they will do.
type ticketHolder struct {
	SeenTicket
	first                  int // gate
	altered, again, atOnce bool
	bit                    uint32 // which one is changed
}

// arrive is one visit.
func (d *doors) arrive(ctx context.Context, g ticketHolder) {
	if g.altered && !g.Gone {
		d.count(func(s *DoorsSeen) { s.Altered++ })
		d.refused(ctx, g, d.gates[g.first], flip(g.Code, g.bit), "code_malformed", "code_forged", "code_other_event")
	}
	for _, dead := range g.Dead {
		d.count(func(s *DoorsSeen) { s.Dead++ })
		d.refused(ctx, g, d.gates[g.first], dead, "ticket_superseded", "ticket_void")
	}
	if g.Gone {
		return
	}
	d.count(func(s *DoorsSeen) { s.Tickets++ })
	at, ok := d.enter(ctx, g)
	if ok && g.again {
		d.count(func(s *DoorsSeen) { s.Again++ })
		d.refused(ctx, g, at, g.Code, "ticket_used", "ticket_inside")
	}
}

// enter goes from gate to gate until one is of the ticket's zone, and answers which that was.
func (d *doors) enter(ctx context.Context, g ticketHolder) (door, bool) {
	for i := range d.gates {
		at := d.gates[(g.first+i)%len(d.gates)]
		code, ok := d.show(ctx, g, at)
		if !ok {
			return at, false
		}
		if code != "zone_other" {
			return at, code == ""
		}
		d.count(func(s *DoorsSeen) { s.Zones++ })
	}
	d.wrong("ticket %s: no gate is of its zone", g.ID)
	return door{}, false
}

// show shows a good code at a gate, or at two gates of one zone at the same instant. It answers "" when exactly one opened.
func (d *doors) show(ctx context.Context, g ticketHolder, at door) (string, bool) {
	twin := slices.IndexFunc(d.gates, func(o door) bool { return o.zone == at.zone && o.name != at.name })
	if !g.atOnce || twin < 0 {
		code, ok := d.scan(ctx, at, g.Code)
		if ok && code == "" {
			d.count(func(s *DoorsSeen) { s.Opened[g.ID]++ })
		} else if ok && code != "zone_other" {
			d.wrong("ticket %s at gate %s: %s", g.ID, at.name, code)
		}
		return code, ok
	}
	var codes [2]string
	var ok [2]bool
	var both sync.WaitGroup
	for i, one := range []door{at, d.gates[twin]} {
		both.Go(func() { codes[i], ok[i] = d.scan(ctx, one, g.Code) })
	}
	both.Wait()
	if !ok[0] || !ok[1] || codes[0] == "zone_other" && codes[1] == "zone_other" {
		return codes[0], ok[0] && ok[1]
	}
	d.count(func(s *DoorsSeen) { s.AtOnce++ })
	for i, code := range codes {
		switch {
		case code == "":
			d.count(func(s *DoorsSeen) { s.Opened[g.ID]++ })
		case code != "ticket_used" && code != "ticket_inside" || codes[1-i] != "":
			d.wrong("ticket %s, shown at two gates at once: %s", g.ID, code)
		}
	}
	return "", true
}

// refused shows a code that must not open, for one of the given reasons.
func (d *doors) refused(ctx context.Context, g ticketHolder, at door, shown string, reasons ...string) {
	code, ok := d.scan(ctx, at, shown)
	switch {
	case !ok || slices.Contains(reasons, code):
	case code == "":
		d.count(func(s *DoorsSeen) { s.Opened[g.ID]++ })
		d.wrong("ticket %s: gate %s opened where it should have said %s", g.ID, at.name, strings.Join(reasons, " or "))
	default:
		d.wrong("ticket %s: gate %s said %s, not %s", g.ID, at.name, code, strings.Join(reasons, " or "))
	}
}

// scan asks core as a gate does: "" when the gate opens, else the reason. False when there is no answer, which is wrong by itself.
func (d *doors) scan(ctx context.Context, at door, shown string) (string, bool) {
	body, err := json.Marshal(map[string]string{"id": uuid.NewString(), "code": shown, "direction": "in"})
	if err != nil {
		panic(err) // three texts
	}
	last := ""
	for try := 1; try <= doorTries; try++ {
		code, told, err := d.post(ctx, at, body)
		switch {
		case err != nil:
			last = err.Error()
		case told:
			return code, true
		default:
			last = code
		}
		if !d.run.sleep(ctx, time.Duration(try*try)*50*time.Millisecond) {
			return "", false
		}
	}
	d.wrong("gate %s has no answer: %s", at.name, last)
	return "", false
}

// post sends a scan once. told is false when core says "later".
func (d *doors) post(ctx context.Context, at door, body []byte) (code string, told bool, err error) {
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(d.run.plan.Targets.Gate, "/")+"/gate/v1/scans", strings.NewReader(string(body)))
	if err != nil {
		return "", false, err
	}
	req.Header.Set("Authorization", "Bearer "+at.credential)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.http.Do(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	var answer struct {
		Code string `json:"code"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", false, fmt.Errorf("read a gate's answer: %w", err)
	}
	d.run.rec.Latency(OpScan, began, time.Now())
	switch {
	case resp.StatusCode == http.StatusOK:
		return "", true, nil
	case answer.Code == "":
		return "", false, fmt.Errorf("status %d without a reason", resp.StatusCode)
	}
	return answer.Code, resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode < 500, nil
}

func (d *doors) count(f func(*DoorsSeen)) {
	d.mu.Lock()
	f(&d.seen)
	d.mu.Unlock()
}

func (d *doors) wrong(format string, args ...any) {
	d.count(func(s *DoorsSeen) { s.Wrong = append(s.Wrong, fmt.Sprintf(format, args...)) })
}

// flip changes one bit of what a code says.
func flip(code string, bit uint32) string {
	text := base32.StdEncoding.WithPadding(base32.NoPadding)
	main, rest, _ := strings.Cut(code, ".")
	raw, err := text.DecodeString(main)
	if err != nil || len(raw) == 0 {
		return "X" + code
	}
	raw[bit/8%uint32(len(raw))] ^= 1 << (bit % 8)
	if main = text.EncodeToString(raw); rest != "" {
		main += "." + rest
	}
	return main
}
