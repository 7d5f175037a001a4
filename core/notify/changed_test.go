package notify

import (
	"strings"
	"testing"
	"time"
)

func TestMailsAboutChangesSayWhatIsNewInEveryLanguage(t *testing.T) {
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	starts := time.Date(2027, 6, 13, 21, 0, 0, 0, madrid)
	e := Event{Name: "Night <1>", Venue: "Arena Nueva", City: "Valencia", StartsAt: starts, URL: "https://tickets.example.org/e/night"}
	for _, language := range Languages {
		w, err := write(KindEventChanged, language, EventChanged{Event: e, WasStartsAt: starts.AddDate(0, 0, -1), RefundUntil: starts.AddDate(0, 0, -3)})
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{When(language, starts), When(language, starts.AddDate(0, 0, -1)), When(language, starts.AddDate(0, 0, -3)), e.Venue} {
			if !strings.Contains(w.text, part) || !strings.Contains(w.html, part) {
				t.Errorf("%s does not say %s:\n%s", language, part, w.text)
			}
		}
		if !strings.Contains(w.html, "Night &lt;1&gt;") || !strings.Contains(w.subject, "Night <1>") {
			t.Errorf("%s: %q, %s", language, w.subject, w.html)
		}
		where, err := write(KindEventChanged, language, EventChanged{Event: e, WasPlace: "Arena del Puerto, Valencia", RefundUntil: starts})
		if err != nil || !strings.Contains(where.text, "Arena del Puerto") || strings.Count(where.text, When(language, starts)) != 2 {
			t.Errorf("%s: %v\n%s", language, err, where.text)
		}
		seat, err := write(KindTicketMoved, language, TicketMoved{Event: e, From: "101/C/3", To: "102/A/7"})
		if err != nil || !strings.Contains(seat.text, "101/C/3") || !strings.Contains(seat.html, "102/A/7") || !strings.Contains(seat.text, e.URL) {
			t.Errorf("%s: %v\n%s", language, err, seat.text)
		}
	}
}
