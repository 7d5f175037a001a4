package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"fairgate/core/ticket/code"
	"fairgate/edge/queue"
)

// evening is the season's arena with its seats, about half of them taken, one order of two tickets, and one that somebody sells on.
type evening struct {
	season
	geometry map[string]any
	states   []byte
	left     []count
	tickets  [2]uuid.UUID
}

func newEvening() *evening {
	e := &evening{season: newSeason(), tickets: [2]uuid.UUID{uuid.New(), uuid.New()}}
	var sections []any
	seats := 0
	add := func(id, tier string, rows, wide int, extra map[string]any) {
		var lines []any
		for r := range rows {
			line := []any{string(rune('A' + r)), 1, wide}
			if extra != nil && r == rows-1 {
				line = append(line, extra)
			}
			lines = append(lines, line)
		}
		sections = append(sections, map[string]any{"id": id, "tier": tier, "rows": lines})
		e.left = append(e.left, count{id, int64(seats)}) // where it begins, until it is counted
		seats += rows * wide
	}
	reserved := map[string]any{"accessible": []int{1, 3, 5}, "companions": []int{2, 4, 6}}
	for n := range 3 {
		add(fmt.Sprint(101+n), "lower", 14, 22, reserved)
	}
	for n := range 5 {
		add(fmt.Sprint(201+n), "upper", 12, 24, nil)
	}
	e.geometry = map[string]any{"seats": seats, "sections": sections}
	e.states = make([]byte, (seats+3)/4)
	random := rand.New(rand.NewPCG(7, 7))
	for n := range seats {
		if random.IntN(100) < 48 {
			e.states[n/4] |= 2 << (2 * (n % 4))
		}
	}
	for i := range e.left {
		first, last := int(e.left[i].Left), seats
		if i+1 < len(e.left) {
			last = int(e.left[i+1].Left)
		}
		e.left[i].Left = 0
		for n := first; n < last; n++ {
			if e.states[n/4]>>(2*(n%4))&3 == 0 {
				e.left[i].Left++
			}
		}
	}
	e.serve()
	return e
}

func (e *evening) serve() {
	eur := func(minor int64) queue.Money { return queue.Money{Minor: minor, Currency: "EUR"} }
	answer := func(pattern string, body any) {
		e.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { fakeJSON(w, 200, body) })
	}
	answer("GET /v1/events/arena/seats", map[string]any{"id": "none-1", "geometry": fakeGeometry, "states": e.states, "sections": e.left, "tiers": []count{{"floor", 1400}, {"lower", 480}, {"upper", 740}}})
	answer("GET /v1/events/arena/seats/geometry/"+fakeGeometry, e.geometry)
	answer("GET /v1/events/arena/listings", map[string]any{"listings": []any{
		map[string]any{"id": uuid.New(), "price": eur(5600), "asked": eur(5500), "fee": eur(91), "tax": eur(9), "tier": "upper", "seat": "202/C/11", "listed_at": time.Now()}}})
	order, deadline := uuid.New(), time.Now().Add(9*time.Minute)
	answer("GET /v1/holds/", map[string]any{"id": uuid.New(), "event": "arena", "state": "active", "server_time": time.Now(), "deadline": deadline, "amount": eur(20250),
		"items": []any{map[string]any{"tier": "lower", "allocation": "general", "quantity": 2, "seats": []string{"102/C/10", "102/C/11"}}}})
	line := func(seat string) map[string]any {
		return map[string]any{"tier": "lower", "seat": seat, "face": eur(8636), "fee": eur(569), "tax": eur(920)}
	}
	answer("GET /v1/orders/", map[string]any{"id": order, "event": "arena", "state": "ticket_issued", "amount": eur(20250), "tickets": e.tickets, "server_time": time.Now(), "deadline": deadline,
		"lines": []any{line("102/C/10"), line("102/C/11")}, "payment": map[string]any{"attempt": 1, "state": "captured", "failure": ""}, "refund_terms": map[string]any{"keeps_fee": true}})
	e.HandleFunc("GET /v1/tickets/", func(w http.ResponseWriter, r *http.Request) {
		id := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/tickets/"), "/")
		switch {
		case len(id) == 2:
			fakeJSON(w, 200, map[string]any{"cap": eur(11137), "most": eur(11037), "fee": eur(91), "tax": eur(9), "priced": map[string]any{"price": eur(11137), "asked": eur(11037), "you_get": eur(9381), "organizer_share": eur(1104), "seller_fee": eur(552)}})
		case r.Header.Get("Accept") == "image/png":
			picture, err := code.PNG("TICKET " + strings.ToUpper(id[0]))
			if err != nil {
				panic(err)
			}
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(picture)
		case id[0] == e.tickets[0].String():
			fakeJSON(w, 200, map[string]any{"id": id[0], "event": "arena", "order_id": order, "tier": "lower", "seat": "102/C/10", "state": "valid", "code": "CODE", "may": map[string]any{"transfer": true, "resell": true}})
		default:
			fakeJSON(w, 200, map[string]any{"id": id[0], "event": "arena", "order_id": order, "tier": "lower", "seat": "102/C/11", "state": "valid", "hold": "listed", "code": "CODE", "may": map[string]any{}})
		}
	})
	own := map[string]any{"id": uuid.New(), "ticket_id": e.tickets[1], "state": "open", "price": eur(10500), "asked": eur(10400), "you_get": eur(8840), "fee": eur(91), "tax": eur(9)}
	answer("GET /v1/listings", map[string]any{"listings": []any{own}})
	answer("GET /v1/transfers/", map[string]any{"id": uuid.New(), "ticket_id": e.tickets[0], "tier": "lower", "seat": "102/C/10", "state": "offered", "from": "a…@example.org", "expires_at": deadline})
}

func TestEverybodyCanUseThePagesWhereOneChoosesAndOwns(t *testing.T) {
	ctx, said := startBrowser(t)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	world := newWorld(t)
	world.shop = newEvening()
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 300 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	base := "http://" + n.Addr().String()
	step := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			shown, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
			t.Fatalf("%s: %v; the page shows:\n%s", what, err, shown)
		}
	}
	remember := func(what map[string]string) {
		t.Helper()
		text, err := json.Marshal(what)
		if err != nil {
			t.Fatal(err)
		}
		step("remember", runs(fmt.Sprintf(`(localStorage.setItem('fairgate:arena', JSON.stringify({ ...JSON.parse(localStorage.getItem('fairgate:arena') || '{}'), ...%s })), '')`, text)))
	}
	step("the event", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), runs(`(delete window.EventSource, '')`), chromedp.Click("#view form button"))
	eventually(t, "the browser has joined", func() bool {
		world.mu.Lock()
		defer world.mu.Unlock()
		return len(event.pool) == 1
	})
	world.open("arena", everybody)
	step("the shop", chromedp.WaitVisible(".map canvas"))
	look(ctx, t, "seats")
	step("near", runs(`(document.querySelector('.map-button').click(), document.querySelector('.map-button').click(), document.querySelector('.map-stage').scrollIntoView({ block: 'center' }), '')`))
	look(ctx, t, "seats-near")
	step("the list", inList)
	step("a seat", runs(`(document.querySelector('.seat:not([disabled])').click(), '')`))
	look(ctx, t, "seats-list")
	remember(map[string]string{"hold": uuid.NewString()})
	step("a hold", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible("#email"))
	look(ctx, t, "hold")
	remember(map[string]string{"hold": "", "order": uuid.NewString()})
	step("tickets", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible(".ticket img"), runs(`(document.querySelectorAll('.owner > details').forEach((d) => { d.open = true; }), '')`), chromedp.WaitVisible(".owner .facts dd"))
	look(ctx, t, "tickets")
	step("an offer", chromedp.Navigate(base+"/e/arena?transfer="+uuid.NewString()), chromedp.WaitVisible("#view .actions button"))
	look(ctx, t, "received")
	said.mu.Lock()
	defer said.mu.Unlock()
	for _, text := range said.list {
		t.Errorf("the browser complains: %s", text)
	}
}
