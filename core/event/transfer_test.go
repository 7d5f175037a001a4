package event

import (
	"strings"
	"testing"
	"time"
)

const inAlbany = `id: albany
name: Albany
organizer: lumen
venue: {name: Hall, city: Albany, country: US, region: NY}
time_zone: America/New_York
starts_at: 2027-06-12T21:00:00-04:00
currency: USD
tiers:
  - {id: floor, name: Floor, kind: general, price: "10", capacity: 10}
`

func TestTransfersAreAllowedUnlessTheFileForbidsThemWhereThatIsAllowed(t *testing.T) {
	usual := mustParse(t, []byte(inAlbany))
	starts := usual.StartsAt
	if r := usual.TransferRules(); r != (TransferRules{true, starts.Add(-2 * time.Hour), 72 * time.Hour, 3}) {
		t.Errorf("without a word: %+v", r)
	}
	said := mustParse(t, []byte(inAlbany+"transfer: {allowed: true, closes_before: 2h, expires_after: 72h, most: 3}\n"))
	if _, a, err := usual.encode(); err != nil {
		t.Fatal(err)
	} else if _, b, err := said.encode(); err != nil || string(a) != string(b) {
		t.Errorf("the defaults in words are another event, %v", err)
	}
	other := mustParse(t, []byte(inAlbany+"transfer: {closes_before: 30m, expires_after: 1h, most: 1}\n"))
	if r := other.TransferRules(); r != (TransferRules{true, starts.Add(-30 * time.Minute), time.Hour, 1}) {
		t.Errorf("in other words: %+v", r)
	}
	for name, file := range map[string]string{
		"with an exception that is named":   inAlbany + "transfer: {allowed: false, exempt: the same tickets are sold on paper}\n",
		"in a region that does not mind":    strings.Replace(inAlbany, "NY", "CA", 1) + "transfer: {allowed: false}\n",
		"in a country that does not matter": strings.Replace(inAlbany, "country: US, region: NY", "country: PT", 1) + "transfer: {allowed: false}\n",
	} {
		if r := mustParse(t, []byte(file)).TransferRules(); r.Allowed {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, region := range []string{"CO", "CT", "NY", "UT", "VA"} {
		if _, err := Parse([]byte(strings.Replace(inAlbany, "NY", region, 1) + "transfer: {allowed: false}\n")); err == nil {
			t.Errorf("transfers are forbidden in %s", region)
		}
	}
}
