package paysim

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Bounds of a list of disputes that PayPal sets.
const (
	ppListBack    = 180 * 24 * time.Hour // how far back a list can be asked for
	ppListDefault = 10
	ppListMost    = 50
)

// ppListDisputes lists disputes as summaries, those opened last first. A page is named by how many were before it, as PayPal's are
// by page and perhaps by next_page_token, which tells nobody what it is: a dispute that comes into the list meanwhile shifts what is
// behind it, so that some are listed twice.
func (s *Server) ppListDisputes(c *ppCall) (*ppReply, func() *ppReply) {
	q := c.r.URL.Query()
	within, ok := s.ppListed(q)
	size, from, sized := ppPageOf(q)
	if !ok || !sized {
		return ppInvalid("INVALID_PARAMETER_VALUE"), nil
	}
	items, more, skip := []any{}, false, from
	for n := len(s.pp.disputed) - 1; n >= 0 && !more; n-- {
		d := s.pp.disputed[n]
		switch {
		case !within(d):
		case skip > 0:
			skip--
		case len(items) == size:
			more = true
		default:
			items = append(items, d.summary())
		}
	}
	link := func(rel string, q url.Values) any {
		return map[string]any{"href": c.base + c.r.URL.Path + "?" + q.Encode(), "rel": rel, "method": "GET"}
	}
	links := []any{link("self", q)}
	if more {
		next := url.Values{}
		for key, values := range q {
			next[key] = values
		}
		next.Del("page")
		next.Set("next_page_token", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from+size))))
		links = append(links, link("next", next))
	}
	return &ppReply{http.StatusOK, map[string]any{"items": items, "links": links}}, nil
}

// ppPageOf reads which page is asked for, and of what size.
func ppPageOf(q url.Values) (size, from int, ok bool) {
	size, page := ppListDefault, 1
	for name, into := range map[string]*int{"page_size": &size, "page": &page} {
		if text := q.Get(name); text != "" {
			var err error
			if *into, err = strconv.Atoi(text); err != nil || *into < 1 || *into > ppListMost {
				return 0, 0, false
			}
		}
	}
	from = (page - 1) * size
	if token := q.Get("next_page_token"); token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return 0, 0, false
		}
		if from, err = strconv.Atoi(string(text)); err != nil || from < 0 {
			return 0, 0, false
		}
	}
	return size, from, true
}

// ppListed reads what a list is to be of. A parameter that is not known here is refused, rather than left out of account.
func (s *Server) ppListed(q url.Values) (within func(*ppDispute) bool, ok bool) {
	now := s.clock.now()
	bounds := map[string]time.Time{}
	for name := range q {
		switch name {
		case "page_size", "page", "next_page_token", "disputed_transaction_id":
		case "start_time", "create_time_after", "create_time_before", "update_time_after", "update_time_before":
			at, err := time.Parse(time.RFC3339, q.Get(name))
			if err != nil || now.Sub(at) > ppListBack {
				return nil, false
			}
			bounds[name] = at
		default:
			return nil, false
		}
	}
	capture := q.Get("disputed_transaction_id")
	if _, both := bounds["start_time"]; both && capture != "" {
		return nil, false
	}
	return func(d *ppDispute) bool {
		created, updated := d.created.Truncate(time.Second), d.updated.Truncate(time.Second) // as they are shown
		for name, at := range bounds {
			out := false
			switch name {
			case "start_time", "create_time_after":
				out = created.Before(at)
			case "create_time_before":
				out = created.After(at)
			case "update_time_after":
				out = updated.Before(at)
			case "update_time_before":
				out = updated.After(at)
			}
			if out {
				return false
			}
		}
		return now.Sub(updated) <= ppListBack && (capture == "" || capture == d.capture.id)
	}, true
}

// summary is the dispute as lists have it: neither its payment nor its outcome.
func (d *ppDispute) summary() map[string]any {
	whole := d.json()
	j := map[string]any{}
	for _, field := range []string{"dispute_id", "create_time", "update_time", "reason", "status", "dispute_state", "dispute_life_cycle_stage",
		"dispute_channel", "dispute_amount", "seller_response_due_date", "links"} {
		if value, shown := whole[field]; shown {
			j[field] = value
		}
	}
	return j
}
