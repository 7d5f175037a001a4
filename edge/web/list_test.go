package web

import (
	"strings"
	"testing"
)

const listAnswer = `{"events":[
	{"id":"arena","name":"Night <img src=x onerror=alert(1)> & Day","starts_at":"2027-06-12T19:00:00.000Z","time_zone":"Europe/Madrid","currency":"EUR",
	 "venue":{"name":"Arena","city":"Valencia","country":"ES"},"on_sale":{"phase":"joining","opens_at":"2027-05-01T10:00:00.000Z"},
	 "price_range":{"from":{"minor":1205,"currency":"EUR"},"to":{"minor":9000,"currency":"EUR"}}},
	{"id":"noh","name":"Noh","starts_at":"2027-06-13T09:30:00.000Z","time_zone":"Asia/Tokyo","currency":"JPY",
	 "venue":{"name":"Hall","city":"Tokyo","country":"JP"},"on_sale":null,"price_range":{"from":{"minor":900,"currency":"JPY"},"to":{"minor":900,"currency":"JPY"}}}],
	"next":"abc_-","total":1234,"facets":{"categories":[{"value":"concert","events":9}],"cities":[{"value":"Valencia","events":3}]}}`

func TestTheListNeedsNoScript(t *testing.T) {
	p := pages(t)
	body, err := p.List(p.Language("en"), Asked{Q: `ja"zz <b>`, City: "Łódź", From: "2027-06-01", After: "earlier"}, []byte(listAnswer), "")
	if err != nil {
		t.Fatal(err)
	}
	page := string(body)
	for _, want := range []string{
		"Night &lt;img src=x onerror=alert(1)&gt; &amp; Day", `href="/e/arena"`, "Sat 12 June 2027, 21:00", "Arena, Valencia", "Waiting room open", "from €12.05",
		"Sun 13 June 2027, 18:30", ">JPY 900<", "1,234 events", `value="ja&#34;zz &lt;b&gt;"`, `value="Łódź"`, `value="2027-06-01"`, "<details open>",
		`href="/?after=abc_-&amp;city=%C5%81%C3%B3d%C5%BA&amp;from=2027-06-01&amp;q=ja%22zz&#43;%3Cb%3E"`, `<option value="concert">9</option>`, `method="get"`, `href="/">Everything`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "<img") {
		t.Error("the page has a script, or markup of an event's name")
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestTheListSaysWhatIsWrong(t *testing.T) {
	p := pages(t)
	body, err := p.List(p.Language("en"), Asked{PriceMax: "9"}, nil, "price_max needs a currency.")
	if err != nil || !strings.Contains(string(body), "price_max needs a currency.") || !strings.Contains(string(body), `value="9"`) || strings.Contains(string(body), "No events") {
		t.Errorf("%v: %s", err, body)
	}
	for want, asked := range map[string]Asked{"Gib an, in welcher Währung der Preis ist, etwa EUR.": {PriceMax: "9"}, "Ein Land hat zwei Buchstaben, etwa ES.": {Country: "Deutschland"},
		"Eine Währung hat drei Buchstaben, etwa EUR.": {Currency: "€"}, "Ein Preis ist eine Zahl, etwa 80 oder 79.50.": {PriceMax: "viel", Currency: "EUR"}, "": {Q: "x", From: "bald"}} {
		if got := asked.Wrong(p.Language("de")); got != want {
			t.Errorf("%+v: %q", asked, got)
		}
	}
	if body, err := p.List(p.Language("en"), Asked{}, []byte(`{"events":[],"next":"","total":0}`), ""); err != nil || !strings.Contains(string(body), "No events found.") ||
		strings.Contains(string(body), "<details open") || strings.Contains(string(body), "Everything") {
		t.Errorf("%v: %s", err, body)
	}
	if _, err := p.List(p.Language("en"), Asked{}, []byte(`<html>`), ""); err == nil {
		t.Error("what is no list is shown as one")
	}
}

func TestPricesHaveTheDecimalsOfTheirCurrency(t *testing.T) {
	l := pages(t).Language("en")
	for want, m := range map[string]priceJSON{"€0.05": {5, "EUR"}, "CHF 12.50": {1250, "CHF"}, "JPY 900": {900, "JPY"}, "ISK 0": {0, "ISK"}, "KWD 1.005": {1005, "KWD"},
		"-€1,234,567.89": {-123456789, "EUR"}} {
		if got := strings.Replace(l.Money(m), "€-", "-€", 1); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}
