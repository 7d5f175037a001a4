package catalog

import (
	"cmp"
	"strings"
	"time"
	"unique"

	"github.com/google/uuid"
)

// Listing is an event as lists show it. It never changes.
type Listing struct {
	ID                   uuid.UUID
	Slug                 string
	Name                 string
	Summary              string
	Category             string
	Venue, City, Country string
	TimeZone             string
	StartsAt             time.Time
	Currency             string
	PriceMin, PriceMax   int64 // of the cheapest and the dearest ticket, all-in, in minor units
	Revision             int64

	cancelled bool
	day       int32 // its date at the venue, in days since 1970
	words     []unique.Handle[string]
}

// row is a row of the table as it is read.
type row struct {
	listing          Listing
	state            string
	performers, tags string
	changedAt        time.Time
}

// open completes a listing from its row. Texts that many events share are kept once.
func (r *row) open() *Listing {
	l := &r.listing
	shared := func(s string) string { return unique.Make(s).Value() }
	l.cancelled = r.state != "active"
	l.StartsAt = l.StartsAt.UTC()
	l.Category, l.Venue, l.City, l.Country = shared(l.Category), shared(l.Venue), shared(l.City), shared(l.Country)
	l.TimeZone, l.Currency = shared(l.TimeZone), shared(l.Currency)
	l.day = dayOf(l.StartsAt, l.TimeZone)
	known := make(map[string]bool, 32)
	for _, text := range []string{l.Name, r.performers, l.Venue, l.City, l.Category, r.tags, l.Summary} {
		for _, word := range words(text) {
			if !known[word] && len(known) < maxEventWords {
				known[word] = true
				l.words = append(l.words, unique.Make(word))
			}
		}
	}
	return l
}

// dayOf is the date of an instant in a zone.
func dayOf(at time.Time, zone string) int32 {
	if location, err := zones.find(zone); err == nil {
		at = at.In(location)
	}
	return civilDay(at.Date())
}

func civilDay(year int, month time.Month, day int) int32 {
	return int32(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// less is the order of all lists.
func less(a, b *Listing) int {
	return cmp.Or(a.StartsAt.Compare(b.StartsAt), strings.Compare(a.Slug, b.Slug))
}
