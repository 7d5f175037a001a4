package notify

import (
	"bytes"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
)

func read(t *testing.T, e Entry) (*ics.Calendar, *ics.VEvent) {
	t.Helper()
	raw := Calendar(e)
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 75 || bytes.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	calendar, err := ics.ParseCalendar(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if len(calendar.Events()) != 1 {
		t.Fatalf("%d events in\n%s", len(calendar.Events()), raw)
	}
	return calendar, calendar.Events()[0]
}

func TestACalendarShowsTheMomentInTheVenuesTime(t *testing.T) {
	for name, month := range map[string]time.Month{"summer": time.June, "winter": time.January} {
		for _, zone := range []string{"Europe/Madrid", "America/New_York", "Australia/Sydney", "Asia/Tokyo", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"} {
			t.Run(name+" in "+zone, func(t *testing.T) {
				location, err := time.LoadLocation(zone)
				if err != nil {
					t.Fatal(err)
				}
				at := time.Date(2027, month, 12, 20, 30, 0, 0, location)
				calendar, event := read(t, Entry{UID: "1@example.org", Sequence: 3, Stamp: time.Now(), StartsAt: at, Summary: "x", Location: "y"})
				start := event.GetProperty(ics.ComponentPropertyDtStart)
				if zone == "UTC" {
					if start.Value != "20270112T203000Z" && start.Value != "20270612T203000Z" {
						t.Errorf("it starts at %s", start.Value)
					}
					return
				}
				if got := start.ICalParameters["TZID"]; len(got) != 1 || got[0] != zone || start.Value != at.Format("20060102T150405") {
					t.Errorf("it starts at %s in %v", start.Value, got)
				}
				if parsed, err := event.GetStartAt(); err != nil || !parsed.Equal(at) {
					t.Errorf("a reader that knows zones has %s, %v", parsed, err)
				}
				if got := byRules(t, calendar, start.Value); !got.Equal(at) {
					t.Errorf("a reader that knows no zone but the file's has %s, want %s", got, at)
				}
			})
		}
	}
}

// byRules is a local time as the rules of the file's own zone have it: those of the last observance that began before it.
func byRules(t *testing.T, calendar *ics.Calendar, local string) time.Time {
	t.Helper()
	value := func(c ics.ComponentBase, name string) string {
		for _, p := range c.Properties {
			if p.IANAToken == name {
				return p.Value
			}
		}
		t.Fatalf("no %s", name)
		return ""
	}
	began, offset := "", ""
	for _, zone := range calendar.Components {
		z, ok := zone.(*ics.VTimezone)
		if !ok {
			continue
		}
		for _, rule := range z.Components {
			var base ics.ComponentBase
			switch r := rule.(type) {
			case *ics.Standard:
				base = r.ComponentBase
			case *ics.Daylight:
				base = r.ComponentBase
			default:
				t.Fatalf("a rule of %T", rule)
			}
			if from := value(base, "DTSTART"); from <= local && from > began {
				began, offset = from, value(base, "TZOFFSETTO")
			}
		}
	}
	at, err := time.Parse("20060102T150405-0700", local+offset)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestNoNameEndsALineOfACalendar(t *testing.T) {
	name := "Größe; \"klein\", \\n\r\nATTENDEE:mailto:x@example.org\x00\u2028" + strings.Repeat("ñ", 100)
	_, event := read(t, Entry{UID: "1@example.org", Stamp: time.Now(), StartsAt: time.Now().UTC(), Summary: name, Location: name, URL: "https://t.example.org/\r\nX:1"})
	for _, property := range event.Properties {
		switch property.IANAToken {
		case "UID", "SEQUENCE", "DTSTAMP", "DTSTART", "SUMMARY", "LOCATION", "URL", "STATUS":
		default:
			t.Errorf("there is %s: %s", property.IANAToken, property.Value)
		}
	}
	want := "Größe; \"klein\", \\n ATTENDEE:mailto:x@example.org"
	if got := event.GetProperty(ics.ComponentPropertySummary).Value; !strings.HasPrefix(ics.FromText(got), want) && !strings.HasPrefix(got, want) {
		t.Errorf("the summary is %q", got)
	}
}
