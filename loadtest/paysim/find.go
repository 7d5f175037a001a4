package paysim

import (
	"net/http"
	"regexp"
)

// metadataPayment is the metadata key that is indexed.
const metadataPayment = "payment_id"

// maxScan bounds the intents that a search without an index looks at, newest first.
const maxScan = 10_000

// list shows intents, newest first.
func (s *Server) list(c *call) (*reply, bool) {
	p := readParams(c.form)
	g := p.page()
	limit, after, since, before := g.limit, g.after, g.since, g.before
	charge := p.expands("data.latest_charge")
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	page := listJSON{Object: "list", URL: "/v1/payment_intents", Data: []*intentJSON{}}
	var shown []snapshot
	s.mu.Lock()
	from := len(s.intents) - 1
	if after != "" {
		i := s.byID[after]
		if i == nil {
			s.mu.Unlock()
			return refusal(missing("payment_intent", after)), false
		}
		from = i.no - 1
	}
	for n := from; n >= 0; n-- {
		i := s.intents[n]
		if i.created < since {
			break
		}
		if i.created > before {
			continue
		}
		if len(shown) == limit {
			page.HasMore = true
			break
		}
		shown = append(shown, i.snapshot())
	}
	s.mu.Unlock()
	for _, one := range shown {
		page.Data = append(page.Data, one.expanded(false, charge))
	}
	return &reply{status: http.StatusOK, other: encode(page)}, true
}

// clause is the one form of query that searches here understand.
var clause = regexp.MustCompile(`^\s*metadata\[["']([^"']+)["']\]\s*:\s*["']([^"']*)["']\s*$`)

// search finds intents by metadata, newest first. Like Stripe's it lags behind; unlike Stripe's it has one page.
func (s *Server) search(c *call) (*reply, bool) {
	p := readParams(c.form)
	query := p.required("query")
	limit := int(p.integer("limit", 1, 100, 10))
	p.text("page")
	parts := clause.FindStringSubmatch(query)
	if query != "" && parts == nil {
		p.wrong("", "query", "We were unable to parse your search query.")
	}
	charge := p.expands("data.latest_charge")
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	key, value := parts[1], parts[2]
	newest := s.clock.now().Add(-s.cfg.SearchLag).Unix()
	var shown []snapshot
	s.mu.Lock()
	candidates := s.intents
	if key == metadataPayment {
		candidates = s.byPayment[value]
	}
	for n := len(candidates) - 1; n >= max(0, len(candidates)-maxScan) && len(shown) < limit; n-- {
		i := candidates[n]
		if i.value(key) == value && (s.cfg.SearchLag == 0 || i.created <= newest) {
			shown = append(shown, i.snapshot())
		}
	}
	s.mu.Unlock()
	page := listJSON{Object: "search_result", URL: "/v1/payment_intents/search", Data: []*intentJSON{}}
	for _, one := range shown {
		page.Data = append(page.Data, one.expanded(false, charge))
	}
	return &reply{status: http.StatusOK, other: encode(page)}, true
}
