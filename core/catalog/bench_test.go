package catalog

import (
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/ctl/playbill"
)

// large is a catalog of made-up events.
func large(b *testing.B, events int) *Catalog {
	b.Helper()
	first := time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := newTestCatalog()
	began := time.Now()
	for i := range events {
		e := playbill.Make(1, i, first)
		r := row{state: "active", performers: strings.Join(e.Performers, "\n"), tags: strings.Join(e.Tags, "\n"), changedAt: noon, listing: Listing{
			ID: uuid.NewSHA1(uuid.Nil, []byte(e.ID)), Slug: e.ID, Name: e.Name, Summary: e.Summary, Category: e.Category, Venue: e.Venue, City: e.City,
			Country: e.Country, TimeZone: e.TimeZone, StartsAt: e.StartsAt, Currency: e.Currency, PriceMin: 1000, PriceMax: 5000, Revision: 1,
		}}
		c.apply(&r)
	}
	c.publish()
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.Logf("%d events: %.1f MB, made and built in %s", events, float64(after.HeapAlloc-before.HeapAlloc)/1e6, took.Round(time.Millisecond))
	return c
}

func BenchmarkSearchOf100000(b *testing.B) {
	c := large(b, 100_000)
	for _, query := range []string{"q=harbour", "q=ana+mou", "q=a", "q=l", "city=lisbon&from=2027-06-01&to=2027-06-07", "category=concert&country=ES&currency=EUR&price_max=30",
		"", "facets=1", "q=e&facets=1", "after=MTgwOTAwMDAwMDAwMDAwMCB6eno", "q=zyx"} {
		values, err := url.ParseQuery(query)
		if err != nil {
			b.Fatal(err)
		}
		values.Set("limit", "20")
		b.Run("?"+query, func(b *testing.B) {
			total := 0
			for b.Loop() {
				q, err := ParseQuery(values, noon)
				if err != nil {
					b.Fatal(err)
				}
				page, err := c.Search(q)
				if err != nil {
					b.Fatal(err)
				}
				total = page.Total
			}
			b.ReportMetric(float64(total), "found")
		})
	}
}

func BenchmarkBuildOf100000(b *testing.B) {
	c := large(b, 100_000)
	docs := append([]*Listing(nil), c.base.docs...)
	for b.Loop() {
		build(docs)
	}
}
