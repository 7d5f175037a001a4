package paysim

import (
	"encoding/json"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// paging is what a call for a list says about the page it wants.
type paging struct {
	limit         int
	after         string
	since, before int64 // created, both included
}

// page reads limit, starting_after and created, in all its forms.
func (p *params) page() paging {
	g := paging{limit: int(p.integer("limit", 1, 100, 10)), after: p.text("starting_after"), before: 1<<62 - 1}
	bounds := p.group("created")
	if exact := p.text("created"); exact != "" {
		bounds["gte"], bounds["lte"] = exact, exact
	}
	for op, text := range bounds {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			p.wrong("parameter_invalid_integer", "created", "Invalid integer: "+text)
			continue
		}
		switch op {
		case "gte":
			g.since = max(g.since, n)
		case "gt":
			g.since = max(g.since, n+1)
		case "lt":
			g.before = min(g.before, n-1)
		case "lte":
			g.before = min(g.before, n)
		default:
			p.wrong("parameter_unknown", "created["+op+"]", "Received unknown parameter: created["+op+"]")
		}
	}
	return g
}

// pageJSON is a page of a list. The objects were made JSON while they could not change.
type pageJSON struct {
	Object  string            `json:"object"`
	URL     string            `json:"url"`
	HasMore bool              `json:"has_more"`
	Data    []json.RawMessage `json:"data"`
}

// listed is a list whose entries were made one after the other, their ids by newID, oldest first. keep may be nil.
type listed struct {
	url     string
	what    string // an entry is, in a refusal
	len     int
	id      func(n int) string
	created func(n int) int64
	keep    func(n int) bool
	show    func(n int) any
}

// reply is the page of the list, newest first. Finding where it begins takes the logarithm of the list's length.
func (g paging) reply(l listed) *reply {
	from := l.len
	if g.after != "" {
		at := number(g.after)
		from = sort.Search(l.len, func(n int) bool { return number(l.id(n)) >= at })
		if from == l.len || l.id(from) != g.after {
			return refusal(missing(l.what, g.after))
		}
	}
	from = min(from, sort.Search(l.len, func(n int) bool { return l.created(n) > g.before }))
	page := pageJSON{Object: "list", URL: l.url, Data: []json.RawMessage{}}
	for n := from - 1; n >= 0 && l.created(n) >= g.since; n-- {
		if l.keep != nil && !l.keep(n) {
			continue
		}
		if len(page.Data) == g.limit {
			page.HasMore = true
			break
		}
		page.Data = append(page.Data, encode(l.show(n)))
	}
	return &reply{status: http.StatusOK, other: encode(page)}
}

// ofPayment is something that was made of a payment and can be listed, such as a refund.
type ofPayment interface {
	shower
	listedAs() (id string, created int64)
}

// listOfPayments answers GET /v1/{what}s, newest first: those of the payment that payment_intent or charge names, or all.
func listOfPayments[T ofPayment](s *Server, c *call, what string, of func(*intent) []T, all func() []T) (*reply, bool) {
	p := readParams(c.form)
	intentID, chargeID := p.text("payment_intent"), p.text("charge")
	page := p.page()
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := all()
	if intentID != "" || chargeID != "" {
		i := s.byID[intentID]
		if chargeID != "" {
			i, _ = s.chargeByID(chargeID)
		}
		if i == nil {
			return refusal(missing("payment_intent", intentID+chargeID)), false
		}
		list = of(i)
	}
	return page.reply(listed{
		url: "/v1/" + what + "s", what: what, len: len(list),
		id:      func(n int) string { id, _ := list[n].listedAs(); return id },
		created: func(n int) int64 { _, created := list[n].listedAs(); return created },
		show:    func(n int) any { return list[n].show() },
	}), true
}

// number is the number in an id of newID, which later ids have a greater one of.
func number(id string) uint64 {
	digits := id[max(0, len(id)-8):]
	n := uint64(0)
	for _, c := range []byte(digits) {
		n = n*uint64(len(alphabet)) + uint64(max(0, strings.IndexByte(alphabet, c)))
	}
	return n
}
