package playbill

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	_ "time/tzdata" // the same events on every machine
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Event is one event of a playbill.
type Event struct {
	ID, Name, Category, Summary string
	Performers, Tags            []string
	Organizer                   string
	Venue, City, Country        string
	TimeZone, Currency          string
	StartsAt                    time.Time
	Tiers                       []Tier
}

// Tier is a price level of an event.
type Tier struct {
	ID, Name, Price string
	Capacity        int
}

// days is over how many days the events of a playbill are spread.
const days = 365

// Make makes the event of a number; the first day is at UTC midnight.
func Make(seed uint64, number int, first time.Time) Event {
	r := rand.New(rand.NewPCG(seed, uint64(number)))
	where, g := places[skewed(r, len(places))], pickGenre(r)
	var e Event
	e.Category, e.City, e.Country, e.TimeZone, e.Currency = g.category, where.city, where.country, where.zone, where.currency
	e.Venue = where.venues[r.IntN(len(where.venues))]
	e.Performers = performers(r, g)
	e.Name = g.titles[r.IntN(len(g.titles))]
	if strings.Contains(e.Name, "%s") {
		e.Name = fmt.Sprintf(e.Name, e.Performers[0])
	}
	e.Tags = append(e.Tags, g.tags[r.IntN(len(g.tags))])
	if other := g.tags[r.IntN(len(g.tags))]; other != e.Tags[0] {
		e.Tags = append(e.Tags, other)
	}
	e.Summary = fmt.Sprintf("%s at %s, %s.", strings.ToUpper(e.Tags[0][:1])+e.Tags[0][1:], e.Venue, e.City)
	e.Organizer = fmt.Sprintf("promoter-%d", r.IntN(200))
	e.ID = fmt.Sprintf("%s-%d-%d", slug(e.Name, 40), seed, number)
	e.StartsAt = start(r, where.zone, first)
	e.Tiers = tiers(r, g, where.currency)
	return e
}

// skewed favours the first of n: some cities have far more events than others.
func skewed(r *rand.Rand, n int) int { return min(r.IntN(n), r.IntN(n)) }

func pickGenre(r *rand.Rand) genre {
	at := r.IntN(100)
	for _, g := range genres {
		if at -= g.weight; at < 0 {
			return g
		}
	}
	return genres[0]
}

func performers(r *rand.Rand, g genre) []string {
	names := make([]string, 0, 3)
	for len(names) < 1+min(r.IntN(3), r.IntN(3)) {
		var name string
		switch person := givenNames[r.IntN(len(givenNames))] + " " + familyNames[r.IntN(len(familyNames))]; r.IntN(4) {
		case 0:
			name = person
		case 1:
			name = person + " " + g.group[r.IntN(len(g.group))]
		case 2:
			name = "The " + adjectives[r.IntN(len(adjectives))] + " " + nouns[r.IntN(len(nouns))]
		default:
			name = adjectives[r.IntN(len(adjectives))] + " " + nouns[r.IntN(len(nouns))]
		}
		if len(names) == 0 || names[0] != name && names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

// start is an evening, or now and then an afternoon; weekends are fuller.
func start(r *rand.Rand, zone string, first time.Time) time.Time {
	day := first.AddDate(0, 0, r.IntN(days))
	if weekday := day.Weekday(); weekday >= time.Monday && weekday <= time.Wednesday && r.IntN(2) == 0 {
		day = day.AddDate(0, 0, int(time.Friday-weekday))
	}
	hour := 18 + r.IntN(4)
	if r.IntN(6) == 0 {
		hour = 11 + r.IntN(6)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		location = time.UTC // not with the zones embedded
	}
	return time.Date(day.Year(), day.Month(), day.Day(), hour, 30*r.IntN(2), 0, 0, location).UTC()
}

func tiers(r *rand.Rand, g genre, currency string) []Tier {
	levels := [][2]string{{"standard", "Standard"}, {"front", "Front"}, {"reduced", "Reduced"}}
	euros := g.low + (g.high-g.low)*r.Float64()*r.Float64()
	list := make([]Tier, 1+min(r.IntN(3), r.IntN(3)))
	for i := range list {
		price := euros * scale[currency] * []float64{1, 1.6, 0.6}[i]
		list[i] = Tier{ID: levels[i][0], Name: levels[i][1], Price: fmt.Sprint(max(1, int(price))), Capacity: 20 + r.IntN(180)}
		if price < 60 && currency != "JPY" && currency != "ISK" && r.IntN(3) == 0 {
			list[i].Price += ".50"
		}
	}
	return list
}

// stroked are letters that do not decompose.
var stroked = strings.NewReplacer("ø", "o", "ł", "l", "ß", "ss", "ð", "d", "ı", "i")

// slug keeps what may stand in an event's id.
func slug(name string, most int) string {
	var b strings.Builder
	for _, c := range norm.NFKD.String(stroked.Replace(strings.ToLower(name))) {
		switch {
		case unicode.Is(unicode.Mn, c), c == '\'': // accents
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && b.String()[b.Len()-1] != '-':
			b.WriteByte('-')
		}
		if b.Len() >= most {
			break
		}
	}
	if text := strings.Trim(b.String(), "-"); text != "" {
		return text
	}
	return "event"
}

// File is the event as an event file.
func (e Event) File() string {
	var b strings.Builder
	fmt.Fprintf(&b, "id: %s\nname: %s\ncategory: %s\nsummary: %s\nperformers: %s\ntags: %s\norganizer: %s\n",
		e.ID, text(e.Name), e.Category, text(e.Summary), text(e.Performers), text(e.Tags), e.Organizer)
	fmt.Fprintf(&b, "venue: {name: %s, city: %s, country: %s}\n", text(e.Venue), text(e.City), text(e.Country))
	fmt.Fprintf(&b, "time_zone: %s\nstarts_at: %s\ncurrency: %s\ntiers:\n", e.TimeZone, e.StartsAt.Format(time.RFC3339), e.Currency)
	for _, t := range e.Tiers {
		fmt.Fprintf(&b, "  - {id: %s, name: %s, kind: general, price: %q, capacity: %d}\n", t.ID, text(t.Name), t.Price, t.Capacity)
	}
	b.WriteString("fees: {percent: 5}\n")
	return b.String()
}

// text is a value as JSON, which YAML reads too.
func text(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		return `""` // texts and lists of them always can be
	}
	return string(encoded)
}
