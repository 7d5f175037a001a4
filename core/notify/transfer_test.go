package notify

import (
	"strings"
	"testing"
	"time"
)

func TestEveryMailAboutATransferSaysWhoAndWhatInEveryLanguage(t *testing.T) {
	values := Transfer{
		Event: Event{Name: "Midsummer <Night>", Venue: "Arena", City: "Valencia", StartsAt: time.Date(2027, 6, 12, 21, 0, 0, 0, time.UTC)},
		Place: Place{Tier: "Lower ring", Seat: "101/A/7"}, From: "a…@example.org", To: "ben@example.org",
		Expires: time.Date(2027, 6, 1, 10, 0, 0, 0, time.UTC), Site: "https://tickets.example.org",
	}
	whose := map[Kind]string{KindTransferOffer: values.From, KindTransferCancelled: values.From, KindTransferAccepted: values.To, KindTransferDeclined: values.To, KindTransferExpired: values.To}
	for _, kind := range TransferKinds {
		for _, language := range Languages {
			w, err := write(kind, language, values)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{whose[kind], "Midsummer <Night>", "101/A/7", "2027"} {
				if !strings.Contains(w.text, want) {
					t.Errorf("%s in %s has no %q: %s", kind, language, want, w.text)
				}
			}
			if !strings.Contains(w.subject, "Midsummer <Night>") || strings.Contains(w.html, "<Night>") || !strings.Contains(w.html, "Midsummer &lt;Night&gt;") {
				t.Errorf("%s in %s: %q, %s", kind, language, w.subject, w.html)
			}
			other := values.To
			if whose[kind] == values.To {
				other = values.From
			}
			if strings.Contains(w.text, other) {
				t.Errorf("%s in %s tells %s", kind, language, other)
			}
			if kind == KindTransferOffer && !strings.Contains(w.text, values.Site) {
				t.Errorf("%s in %s does not say where: %s", kind, language, w.text)
			}
		}
	}
}
