package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fairgate/core/catalog"
)

// For how long caches may show what they have without asking again. Both answers have live figures in them: the phase of a sale, what
// is left. The edge keeps to the same times and adds nothing to them, by the Age header.
const (
	listMaxAge  = 2 * time.Second
	eventMaxAge = time.Second
)

type countJSON struct {
	Value  string `json:"value"`
	Events int    `json:"events"`
}

type facetsJSON struct {
	Categories []countJSON `json:"categories"`
	Cities     []countJSON `json:"cities"`
}

type pageJSON struct {
	Events []eventJSON `json:"events"`
	Next   string      `json:"next"`
	Total  int         `json:"total"`
	Facets *facetsJSON `json:"facets,omitempty"`
}

// searchEvents lists the events to come that match, by start. catalog.ParseQuery explains the parameters; a wrong or unknown one is
// refused, all of them at once.
//
//	GET /v1/events?q=&city=&country=&venue=&category=&from=&to=&currency=&price_min=&price_max=&after=&limit=&facets=
//	200 {"events": [{"id", "name", "category", "summary", "starts_at", "time_zone", "currency", "venue": {"name", "city", "country"},
//	     "on_sale": {"phase", "opens_at"} or null, "price_range": {"from": {"minor", "currency"}, "to": …}}, …],
//	     "next": the cursor of the next page, empty on the last,
//	     "total": of all pages,
//	     "facets": {"categories": [{"value", "events"}, …], "cities": …} if asked for: the 20 most frequent of all that match}
//	304 when If-None-Match names the ETag
//	503 catalog_loading just after core's start
//
// A change of an event shows within about a second (catalog.Config.Refresh); on_sale is right to a tick.
func (s *Server) searchEvents(w http.ResponseWriter, r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &detailed{errRequest, "The query is not well escaped."}
	}
	q, err := catalog.ParseQuery(values, time.Now())
	var bad catalog.BadQuery
	if errors.As(err, &bad) {
		return &detailed{errRequest, bad.Error()}
	}
	if err != nil {
		return err
	}
	page, err := s.Catalog.Search(q)
	if err != nil {
		return err
	}
	answer := pageJSON{Events: make([]eventJSON, len(page.Listings)), Next: page.Next, Total: page.Total}
	for i, l := range page.Listings {
		answer.Events[i] = eventJSON{
			ID: l.Slug, Name: l.Name, Category: l.Category, Summary: l.Summary, StartsAt: timeJSON(l.StartsAt), TimeZone: l.TimeZone,
			Currency: l.Currency, Venue: venueJSON{l.Venue, l.City, l.Country}, OnSale: s.onSaleInMemory(l.Slug),
			Prices: &rangeJSON{moneyJSON{l.PriceMin, l.Currency}, moneyJSON{l.PriceMax, l.Currency}},
		}
	}
	if f := page.Facets; f != nil {
		answer.Facets = &facetsJSON{countsOf(f.Categories), countsOf(f.Cities)}
	}
	return writeCacheable(w, r, listMaxAge, answer)
}

func countsOf(counts []catalog.Count) []countJSON {
	list := make([]countJSON, len(counts))
	for i, c := range counts {
		list[i] = countJSON(c)
	}
	return list
}

// writeCacheable answers with a value that anybody may keep for maxAge, or with 304 when the client has it already.
func writeCacheable(w http.ResponseWriter, r *http.Request, maxAge time.Duration, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	sum := sha256.Sum256(body.Bytes())
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge/time.Second)))
	if named(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = w.Write(body.Bytes()) // the client has gone
	return nil
}

// named tells whether an If-None-Match header names the tag, weak or strong.
func named(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}
