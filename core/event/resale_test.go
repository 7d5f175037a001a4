package event

import (
	"strings"
	"testing"
	"time"
)

const inValencia = `id: valencia
name: Valencia
organizer: lumen
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2027-06-12T21:00:00+02:00
currency: EUR
taxes: {percent: 10, included: true}
tiers:
  - {id: floor, name: Floor, kind: general, price: "10", capacity: 10}
`

func resaleRulesOf(t *testing.T, file string) ResaleRules {
	t.Helper()
	r, err := mustParse(t, []byte(file)).ResaleRules()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResaleIsWhatTheFileAllowsAndTheLawOfThePlaceLets(t *testing.T) {
	if r := resaleRulesOf(t, inValencia); r.Allowed {
		t.Errorf("without a word: %+v", r)
	}
	usual := mustParse(t, []byte(inValencia+"resale: {allowed: true}\n"))
	r := resaleRulesOf(t, inValencia+"resale: {allowed: true}\n")
	if !r.Allowed || r.Free || r.Over != 0 || r.LowerBase || r.Fee.Minor+r.Tax.Minor != 0 || r.PayAfter != 0 || r.MaxListings != 4 ||
		!r.ClosesAt.Equal(usual.StartsAt.Add(-2*time.Hour)) {
		t.Errorf("with the defaults: %+v", r)
	}
	said := mustParse(t, []byte(inValencia+"resale: {allowed: true, cap: face, base: first, closes_before: 2h, pay_sellers: after_event, max_listings_per_seller: 4}\n"))
	if _, a, err := usual.encode(); err != nil {
		t.Fatal(err)
	} else if _, b, err := said.encode(); err != nil || string(a) != string(b) {
		t.Errorf("the defaults in words are another event, %v", err)
	}
	r = resaleRulesOf(t, inValencia+`resale: {allowed: true, cap: percent, cap_percent: 12.5, base: lower, seller_fee_percent: 5, organizer_share_percent: 10,
  buyer_fee: "1.10", closes_before: 1h, pay_sellers: 336h, max_listings_per_seller: 1}
`)
	if r.Over != 125_000 || !r.LowerBase || r.SellerFee != 50_000 || r.Organizer != 100_000 || r.Fee.Minor != 100 || r.Tax.Minor != 10 || r.PayAfter != 336*time.Hour || r.MaxListings != 1 {
		t.Errorf("in other words: %+v", r)
	}
	if r := resaleRulesOf(t, inValencia+"resale: {allowed: true, cap: free}\n"); !r.Free {
		t.Errorf("without a cap: %+v", r)
	}
	dublin := strings.Replace(inValencia, "country: ES", "country: IE", 1)
	for _, more := range []string{"cap: free", "cap: percent, cap_percent: 1"} {
		if _, err := Parse([]byte(dublin + "resale: {allowed: true, " + more + "}\n")); err == nil {
			t.Errorf("%s is taken in Ireland", more)
		}
	}
	paris := strings.Replace(inValencia, "country: ES", "country: FR", 1)
	if _, err := Parse([]byte(paris + "resale: {allowed: true, cap: free}\n")); err == nil {
		t.Error("resale without the organizer's authorization is taken in France")
	}
	if r := resaleRulesOf(t, paris+"resale: {allowed: true, authorized: true, cap: free}\n"); !r.Allowed || !r.Free {
		t.Errorf("with it: %+v", r)
	}
	// An event that was applied before its place's law was known keeps to it all the same.
	before := usual
	before.Venue.Country, before.Resale.Cap = "IE", CapFree
	if r, err := before.ResaleRules(); err != nil || r.Free || r.Over != 0 {
		t.Errorf("in Ireland: %+v, %v", r, err)
	}
	before.Venue.Country = "IT"
	if r, err := before.ResaleRules(); err != nil || r.Allowed {
		t.Errorf("in Italy, unauthorized: %+v, %v", r, err)
	}
}
