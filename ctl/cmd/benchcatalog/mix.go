package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fairgate/core/catalog"
	"fairgate/core/event"
)

// pen writes the searches of one client.
type pen struct{ *rand.Rand }

// mix is what buyers look for, made of what there is.
type mix struct {
	sample  []*catalog.Listing
	kinds   []kind
	hottest []string // searches that many share
}

// kind is one kind of search and its share in a hundred.
type kind struct {
	name  string
	share int
	write func(p *pen, l *catalog.Listing) url.Values
}

const pageSize = "20"

func newMix(st *stage, seed uint64) (*mix, error) {
	m := &mix{}
	for after, pages := "", 0; pages < 500; pages++ {
		values := url.Values{"limit": {"200"}}
		if after != "" {
			values.Set("after", after)
		}
		q, err := catalog.ParseQuery(values, time.Now())
		if err != nil {
			return nil, err
		}
		page, err := st.catalog.Search(q)
		if err != nil {
			return nil, err
		}
		m.sample = append(m.sample, page.Listings...)
		if after = page.Next; after == "" {
			break
		}
	}
	m.kinds = []kind{
		{"a word", 20, func(p *pen, l *catalog.Listing) url.Values { return url.Values{"q": {word(p, l.Name)}} }},
		{"two words", 10, func(p *pen, l *catalog.Listing) url.Values {
			return url.Values{"q": {word(p, l.Name) + " " + word(p, l.Summary)}}
		}},
		{"beginning of a word", 20, func(p *pen, l *catalog.Listing) url.Values {
			w := []rune(word(p, l.Name))
			return url.Values{"q": {string(w[:min(len(w), 1+p.IntN(4))])}}
		}},
		{"city and dates", 15, func(p *pen, l *catalog.Listing) url.Values {
			return url.Values{"city": {l.City}, "from": {l.StartsAt.Format(time.DateOnly)}, "to": {l.StartsAt.AddDate(0, 0, p.IntN(14)).Format(time.DateOnly)}}
		}},
		{"category, country and price", 12, func(p *pen, l *catalog.Listing) url.Values {
			return url.Values{"category": {l.Category}, "country": {l.Country}, "currency": {l.Currency}, "price_max": {strconv.Itoa(10 + p.IntN(100))}}
		}},
		{"everything, with facets", 8, func(*pen, *catalog.Listing) url.Values { return url.Values{"facets": {"1"}} }},
		{"a page far behind", 10, func(_ *pen, l *catalog.Listing) url.Values {
			return url.Values{"after": {event.Cursor{StartsAt: l.StartsAt, Slug: l.Slug}.String()}}
		}},
		{"nothing to find", 5, func(p *pen, _ *catalog.Listing) url.Values {
			return url.Values{"q": {"zyx" + strconv.Itoa(p.IntN(1_000_000)) + " live"}}
		}},
	}
	p := &pen{rand.New(rand.NewPCG(seed, 77))}
	for range 500 {
		m.hottest = append(m.hottest, m.fresh(p))
	}
	return m, nil
}

func word(p *pen, text string) string {
	all := strings.Fields(text)
	return all[p.IntN(len(all))]
}

func (m *mix) pick(p *pen) (kind, *catalog.Listing) {
	at := p.IntN(100)
	for _, k := range m.kinds {
		if at -= k.share; at < 0 {
			return k, m.sample[p.IntN(len(m.sample))]
		}
	}
	return m.kinds[0], m.sample[0]
}

// fresh is a search of one's own.
func (m *mix) fresh(p *pen) string {
	k, l := m.pick(p)
	values := k.write(p, l)
	values.Set("limit", pageSize)
	return values.Encode()
}

// popular is a search that others do too.
func (m *mix) popular(p *pen) string { return m.hottest[p.IntN(len(m.hottest))] }

// byKind measures each kind alone, with few clients.
func (m *mix) byKind(ctx context.Context, st *stage, o options) error {
	o.seconds /= 4
	for _, k := range m.kinds {
		f, err := measure(ctx, 4, o, st.coreClient, func(p *pen) string {
			values := k.write(p, m.sample[p.IntN(len(m.sample))])
			values.Set("limit", pageSize)
			return values.Encode()
		})
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		f.print("  core: "+k.name, 4)
	}
	return nil
}
