package notify

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Entry is what a calendar is told of an event.
type Entry struct {
	UID      string // the same for every version of one entry
	Sequence int64  // grows from version to version
	Stamp    time.Time
	StartsAt time.Time // in the venue's zone, which has its IANA name
	Summary  string
	Location string
	URL      string // may be empty
}

// CalendarMedia is the media type of Calendar's bytes.
const CalendarMedia = "text/calendar; charset=utf-8; method=PUBLISH"

// Calendar is an entry as an iCalendar file (RFC 5545). The start is told in the venue's time, with the rules of its zone around that day, so
// that every calendar shows the moment and none needs to know the zone. When an event ends nobody says, so the entry does not either.
func Calendar(e Entry) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { foldLine(&b, fmt.Sprintf(format, args...)) }
	line("BEGIN:VCALENDAR")
	line("VERSION:2.0")
	line("PRODID:-//Fairgate//Tickets//EN")
	line("METHOD:PUBLISH")
	zone := e.StartsAt.Location().String()
	start := "DTSTART:" + e.StartsAt.UTC().Format(utcStamp)
	if offset := e.StartsAt.Format("-0700"); zone != "UTC" && zone != "Local" && zone != "" {
		start = "DTSTART;TZID=" + zone + ":" + e.StartsAt.Format(localStamp)
		line("BEGIN:VTIMEZONE")
		line("TZID:%s", zone)
		from, until := e.StartsAt.ZoneBounds()
		observance(line, e.StartsAt, from, offset)
		if !until.IsZero() {
			observance(line, until, until, offset)
		}
		line("END:VTIMEZONE")
	}
	line("BEGIN:VEVENT")
	line("UID:%s", escapeText(e.UID))
	line("SEQUENCE:%d", e.Sequence)
	line("DTSTAMP:%s", e.Stamp.UTC().Format(utcStamp))
	line("%s", start)
	line("SUMMARY:%s", escapeText(e.Summary))
	line("LOCATION:%s", escapeText(e.Location))
	if e.URL != "" {
		line("URL:%s", oneLine(e.URL))
	}
	line("STATUS:CONFIRMED")
	line("END:VEVENT")
	line("END:VCALENDAR")
	return []byte(b.String())
}

// How RFC 5545 writes times.
const (
	localStamp = "20060102T150405"
	utcStamp   = "20060102T150405Z"
)

// observance tells by how much a zone is off from at on, which is since from. otherwise is the offset before a zone had any rules.
func observance(line func(string, ...any), at, from time.Time, otherwise string) {
	kind, before := "STANDARD", otherwise
	begins := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	if at.IsDST() {
		kind = "DAYLIGHT"
	}
	if !from.IsZero() {
		eve := from.Add(-time.Second)
		before = eve.Format("-0700")
		begins = eve.Add(time.Second).In(time.FixedZone("", offsetOf(eve))) // by the clock that is put forward or back then
	}
	line("BEGIN:%s", kind)
	line("DTSTART:%s", begins.Format(localStamp))
	line("TZOFFSETFROM:%s", before)
	line("TZOFFSETTO:%s", at.Format("-0700"))
	line("TZNAME:%s", escapeText(at.Format("MST")))
	line("END:%s", kind)
}

func offsetOf(t time.Time) int {
	_, seconds := t.Zone()
	return seconds
}

// escapeText is a text as a value has it: nothing in it ends the line.
func escapeText(text string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`).Replace(oneLine(strings.ToValidUTF8(text, "")))
}

// maxLine is how long a line may be, in bytes, without its end.
const maxLine = 75

// foldLine writes a line, in several where it is too long, none of which cuts a letter.
func foldLine(b *strings.Builder, text string) {
	room := maxLine
	for len(text) > room {
		cut := room
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		b.WriteString(text[:cut] + "\r\n ")
		text, room = text[cut:], maxLine-1
	}
	b.WriteString(text + "\r\n")
}
