package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// none is the empty set of numbers.
func (*segment) none() *roaring.Bitmap { return roaring.New() }

var (
	someNames      = []string{"Ana Moura", "Été en fête", "The Ölympics", "Jazz Night", "Jazz at Night", "Łódź Sings", "Annapurna", "an"}
	someCities     = []string{"Lisbon", "São Paulo", "Łódź", "New York", "Neu-Ulm"}
	someCountries  = []string{"PT", "BR", "PL", "US", "DE"}
	someZones      = []string{"Europe/Lisbon", "America/Sao_Paulo", "Europe/Warsaw", "America/New_York", "Pacific/Kiritimati"}
	someCategories = []string{"concert", "theatre", "open-air"}
	someCurrencies = []string{"EUR", "BRL", "JPY"}
)

// drawRow makes a row of one of a few events, so that many are changes of earlier ones.
func drawRow(t *rapid.T, revision int64) row {
	slug := "event-" + strconv.Itoa(rapid.IntRange(0, 60).Draw(t, "slug"))
	place := rapid.IntRange(0, len(someCities)-1).Draw(t, "place")
	low := rapid.Int64Range(0, 50).Draw(t, "low")
	r := row{
		state: rapid.SampledFrom([]string{"active", "active", "active", "cancelled"}).Draw(t, "state"),
		listing: Listing{
			ID: uuid.NewSHA1(uuid.Nil, []byte(slug)), Slug: slug, Name: rapid.SampledFrom(someNames).Draw(t, "name"), Venue: "Hall " + strconv.Itoa(place%2),
			City: someCities[place], Country: someCountries[place], TimeZone: someZones[place], Category: rapid.SampledFrom(someCategories).Draw(t, "category"),
			StartsAt: noon.Add(time.Duration(rapid.IntRange(-30, 24*10).Draw(t, "hours")) * time.Hour), Currency: rapid.SampledFrom(someCurrencies).Draw(t, "currency"),
			PriceMin: low, PriceMax: low + rapid.Int64Range(0, 20).Draw(t, "more"), Revision: revision,
		},
		performers: rapid.SampledFrom([]string{"", "Zoë Zé\nAna", "Quartet"}).Draw(t, "performers"),
	}
	r.changedAt = noon.Add(time.Duration(revision) * time.Millisecond)
	return r
}

// asked is a query as a model understands it, without an index.
type asked struct {
	url.Values
}

func drawQuery(t *rapid.T) asked {
	v := url.Values{}
	may := func(name string, values ...string) {
		if rapid.IntRange(0, 2).Draw(t, "has "+name) == 0 {
			v.Set(name, rapid.SampledFrom(values).Draw(t, name))
		}
	}
	may("q", "a", "an", "ana", "Ána", "night jazz", "jazz nig", "ete", "oly", "lodz", "hall", "hall 1", "zoe", "quartet ann", "nothing", "concert", "…")
	may("city", "lodz", "SAO PAULO", "new york", "neu ulm", "nowhere")
	may("country", "pt", "BR", "PL", "AQ")
	may("venue", "hall 0", "Hall 1", "hall")
	may("category", someCategories...)
	may("from", "2027-03-01", "2027-03-03", "2027-03-04T05:00:00Z")
	may("to", "2027-03-04", "2027-03-05T07:00:00Z", "2027-03-09")
	may("currency", someCurrencies...)
	if v.Has("currency") {
		may("price_min", "0", "10", "30")
		may("price_max", "30", "50")
	}
	v.Set("limit", strconv.Itoa(rapid.IntRange(1, 30).Draw(t, "limit")))
	return asked{v}
}

// finds is the model: it looks at one event and decides.
func (a asked) finds(t *rapid.T, r row) bool {
	l := r.listing
	have := words(strings.Join([]string{l.Name, r.performers, l.Venue, l.City, l.Category}, " "))
	if q := a.Get("q"); q != "" {
		wanted := words(q)
		if len(wanted) == 0 {
			return false
		}
		for i, w := range wanted {
			if !slices.ContainsFunc(have, func(h string) bool { return h == w || i == len(wanted)-1 && strings.HasPrefix(h, w) }) {
				return false
			}
		}
	}
	for name, value := range map[string]string{"city": l.City, "country": l.Country, "venue": l.Venue, "category": l.Category} {
		if a.Has(name) && foldName(a.Get(name)) != foldName(value) {
			return false
		}
	}
	location, err := time.LoadLocation(l.TimeZone)
	if err != nil {
		t.Fatal(err)
	}
	date := l.StartsAt.In(location).Format(time.DateOnly)
	switch from := a.Get("from"); {
	case from == "" && l.StartsAt.Before(noon.Add(-6*time.Hour)):
		return false
	case len(from) == 10 && date < from:
		return false
	case len(from) > 10 && l.StartsAt.Format(time.RFC3339) < from:
		return false
	}
	switch to := a.Get("to"); {
	case len(to) == 10 && date > to:
		return false
	case len(to) > 10 && l.StartsAt.Format(time.RFC3339) >= to:
		return false
	}
	if a.Has("currency") {
		scale := 1.0
		if a.Get("currency") != "JPY" {
			scale = 100
		}
		low, high := 0.0, math.Inf(1)
		if v, err := strconv.ParseFloat(a.Get("price_min"), 64); err == nil {
			low = v * scale
		}
		if v, err := strconv.ParseFloat(a.Get("price_max"), 64); err == nil {
			high = v * scale
		}
		return a.Get("currency") == l.Currency && float64(l.PriceMax) >= low && float64(l.PriceMin) <= high
	}
	return true
}

// answer is all of a list by the model, in order.
func (a asked) answer(t *rapid.T, model map[string]row) []string {
	var found []row
	for _, r := range model {
		if r.state == "active" && !r.listing.StartsAt.Before(noon.Add(-24*time.Hour)) && a.finds(t, r) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(x, y row) int {
		return cmp.Or(x.listing.StartsAt.Compare(y.listing.StartsAt), strings.Compare(x.listing.Slug, y.listing.Slug))
	})
	slugs := make([]string, len(found))
	for i, r := range found {
		slugs[i] = r.listing.Slug
	}
	return slugs
}

func (a asked) parse(t *rapid.T, after string, facets bool) *Query {
	v := maps.Clone(a.Values)
	if after != "" {
		v.Set("after", after)
	}
	if facets {
		v.Set("facets", "1")
	}
	q, err := ParseQuery(v, noon)
	if err != nil && !(v.Has("to") && strings.Contains(err.Error(), "before from")) {
		t.Fatal(err)
	}
	return q
}

func newTestCatalog() *Catalog {
	return New(nil, Config{Now: func() time.Time { return noon }})
}

func slugs(page Page) []string {
	list := make([]string, len(page.Listings))
	for i, l := range page.Listings {
		list[i] = l.Slug
	}
	return list
}

func TestSearchFindsWhatLookingAtEachEventFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, model := newTestCatalog(), map[string]row{}
		c.publish()
		for revision := int64(1); revision < 6; revision++ {
			for range rapid.IntRange(0, 60).Draw(t, "changes") {
				r := drawRow(t, revision)
				if known, ok := model[r.listing.Slug]; ok && known.listing.Revision == revision {
					r = known // a revision is written once; it may be read again
				}
				model[r.listing.Slug] = r
				changed := r
				c.apply(&changed)
			}
			if rapid.Bool().Draw(t, "build anew") {
				for len(c.changed) > 0 && len(c.changed) <= recentMin { // what publish does for a large change
					all := slices.Collect(maps.Values(c.known))
					c.base, c.gone = build(all), roaring.New()
					clear(c.changed)
				}
			}
			c.publish()
			for range 5 {
				a := drawQuery(t)
				want, facets := a.answer(t, model), rapid.Bool().Draw(t, "facets")
				var got []string
				for after := ""; ; {
					q := a.parse(t, after, facets)
					if q == nil {
						break
					}
					page, err := c.Search(q)
					if err != nil || page.Total != len(want) || len(page.Listings) > q.Limit || page.Next != "" && len(page.Listings) != q.Limit {
						t.Fatalf("%s: %+v, %v; %d are to be found", a.Encode(), page, err, len(want))
					}
					if facets {
						checkFacets(t, page.Facets, want, model)
					}
					got = append(got, slugs(page)...)
					if after = page.Next; after == "" {
						break
					}
				}
				if !slices.Equal(got, want) && a.parse(t, "", false) != nil {
					t.Fatalf("%s finds %v instead of %v", a.Encode(), got, want)
				}
			}
		}
	})
}

func checkFacets(t *rapid.T, f *Facets, found []string, model map[string]row) {
	categories, cities := map[string]int{}, map[string]int{}
	for _, slug := range found {
		categories[model[slug].listing.Category]++
		cities[model[slug].listing.City]++
	}
	for name, pair := range map[string]struct {
		got  []Count
		want map[string]int
	}{"categories": {f.Categories, categories}, "cities": {f.Cities, cities}} {
		if len(pair.got) != len(pair.want) {
			t.Fatalf("%s: %v instead of %v", name, pair.got, pair.want)
		}
		for i, c := range pair.got {
			if pair.want[c.Value] != c.Events || i > 0 && pair.got[i-1].Events < c.Events {
				t.Fatalf("%s: %v instead of %v", name, pair.got, pair.want)
			}
		}
	}
}

// Whatever is added, moved and removed while somebody turns pages: nothing comes twice, and what stays where it is comes once.
func TestPagesStayCompleteWhileEventsChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, model, touched := newTestCatalog(), map[string]row{}, map[string]bool{}
		for i := range 60 {
			r := drawRow(t, 1)
			r.state, r.listing.Slug = "active", fmt.Sprintf("event-%d", i)
			r.listing.ID = uuid.NewSHA1(uuid.Nil, []byte(r.listing.Slug))
			model[r.listing.Slug] = r
			c.apply(&r)
		}
		c.publish()
		a := asked{url.Values{"limit": {strconv.Itoa(rapid.IntRange(1, 10).Draw(t, "limit"))}, "q": {rapid.SampledFrom([]string{"", "a", "hall"}).Draw(t, "q")}}}
		want := a.answer(t, model)
		seen := map[string]time.Time{}
		revision := int64(2)
		for after := ""; ; revision++ {
			page, err := c.Search(a.parse(t, after, false))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range page.Listings {
				if at, twice := seen[l.Slug]; twice && at.Equal(l.StartsAt) {
					t.Fatalf("%s comes twice", l.Slug)
				}
				seen[l.Slug] = l.StartsAt
			}
			if after = page.Next; after == "" {
				break
			}
			for range rapid.IntRange(0, 5).Draw(t, "changes") {
				r := drawRow(t, revision)
				if rapid.Bool().Draw(t, "new") {
					r.listing.Slug = fmt.Sprintf("new-%d", revision)
					r.listing.ID = uuid.NewSHA1(uuid.Nil, []byte(r.listing.Slug))
				}
				touched[r.listing.Slug] = true
				c.apply(&r)
			}
			c.publish()
		}
		for _, slug := range want {
			if _, ok := seen[slug]; !ok && !touched[slug] {
				t.Fatalf("%s never came", slug)
			}
		}
	})
}

func TestALargeChangeIsBuiltIntoOneSegment(t *testing.T) {
	c := newTestCatalog()
	add := func(from, to int) {
		for i := from; i < to; i++ {
			r := row{state: "active", changedAt: noon, listing: Listing{ID: uuid.New(), Slug: fmt.Sprintf("event-%d", i), Name: "x", StartsAt: noon.Add(time.Hour), Revision: 1}}
			c.apply(&r)
		}
		c.publish()
	}
	add(0, recentMin)
	if s := c.state.Load(); len(s.base.docs) != 0 || len(s.recent.docs) != recentMin {
		t.Errorf("%d and %d", len(s.base.docs), len(s.recent.docs))
	}
	add(recentMin, recentMin+1)
	if s := c.state.Load(); len(s.base.docs) != recentMin+1 || len(s.recent.docs) != 0 || s.Events() != recentMin+1 {
		t.Errorf("%d and %d", len(s.base.docs), len(s.recent.docs))
	}
	before := c.Version()
	add(0, 1)
	if c.Version() <= before {
		t.Error("the version did not grow")
	}
}

func TestAFullCatalogKeepsWhatItHas(t *testing.T) {
	c := New(nil, Config{MaxEvents: 2, Now: func() time.Time { return noon }})
	for i := range 3 {
		r := row{state: "active", listing: Listing{ID: uuid.New(), Slug: fmt.Sprintf("event-%d", i), StartsAt: noon, Revision: 1}}
		c.apply(&r)
	}
	c.publish()
	page, err := c.Search(&Query{Limit: 10, from: noon})
	if err != nil || !slices.Equal(slugs(page), []string{"event-0", "event-1"}) {
		t.Errorf("%v, %v", slugs(page), err)
	}
}
