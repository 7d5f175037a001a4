package web

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

const eventBody = `{"id":"arena","name":"Night <img src=x> & Day","state":"active","summary":"The longest evening.","starts_at":"2027-06-12T19:00:00.000Z","time_zone":"Europe/Madrid",
	"currency":"EUR","venue":{"name":"Arena","city":"Valencia","country":"ES"},"on_sale":{"phase":"joining"},"performers":["Lumen","Turia"],"per_buyer":4,"identity":"device",
	"tiers":[{"id":"floor","name":"Floor","kind":"general","price":{"minor":6975,"currency":"EUR"},"face":{"minor":6500,"currency":"EUR"},"fee":{"minor":475,"currency":"EUR"},"tax":{"minor":634,"currency":"EUR"},"left":77},
	         {"id":"ring","name":"Ring","kind":"seated","price":{"minor":4950,"currency":"EUR"},"face":{"minor":4950,"currency":"EUR"},"fee":{"minor":0,"currency":"EUR"},"tax":{"minor":0,"currency":"EUR"},"left":5}],
	"payment_methods":["card","bank_transfer"],
	"rules":{"refund_until":"2027-06-05T19:00:00.000Z","refund_keep_fee":true,"transfer_until":"2027-06-12T16:00:00.000Z","resale_until":"2027-06-12T16:00:00.000Z","resale_over":"10%"}}`

func joining() *Sale {
	return &Sale{Phase: "joining", Identity: "device", JoiningAt: time.Date(2027, 5, 1, 7, 30, 0, 0, time.UTC), OpensAt: time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC),
		EndsAt: time.Date(2027, 6, 12, 17, 0, 0, 0, time.UTC)}
}

// arena is the page of an event whose waiting room is open.
func arena(t *testing.T, p *Pages, language string) []byte {
	t.Helper()
	body, err := p.Event(p.Language(language), "arena", []byte(eventBody), joining())
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestTheEventsPageSaysAllThereIsToKnowBeforeAnyScript(t *testing.T) {
	p := pages(t)
	page := shown(arena(t, p, "en"))
	for _, want := range []string{
		"Night &lt;img src=x&gt; &amp; Day", "Saturday 12 June 2027, 21:00", "Arena, Valencia", "With Lumen, Turia", "€69.75", "€65.00 and €4.75 fee, of that €6.34 tax", "Numbered seats",
		"Sat 1 May 2027, 09:30", "Sat 1 May 2027, 10:00", "At most 4 tickets for one buyer.", "One entry in the draw for each browser.", "give tickets back until Sat 5 June 2027, 21:00. The fee is kept then.",
		"hand tickets on, free of charge, until Sat 12 June 2027, 18:00", "for at most 10% more", "Card, Bank transfer", `href="/e/arena/draw"`,
		`<form class="card" method="post" action="/q/arena/join">`, "The longest evening.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "77") || strings.Contains(page, "<img") {
		t.Error("the page says what is left, which changes all the time, or has markup of a name")
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestTheEventsPageFitsHowTheSaleStands(t *testing.T) {
	p := pages(t)
	const form = `action="/q/arena/join"`
	for name, c := range map[string]struct {
		body    string
		change  func(*Sale)
		want    string
		without string
	}{
		"announced":     {eventBody, func(s *Sale) { s.Phase = "announced" }, "The waiting room opens Sat 1 May 2027, 09:30.", form},
		"paused":        {eventBody, func(s *Sale) { s.Phase = "paused" }, "The sale is paused", "\x00"},
		"sold out":      {eventBody, func(s *Sale) { s.Phase = "sold_out" }, "Everything is sold or being paid for", "\x00"},
		"ended":         {eventBody, func(s *Sale) { s.Phase = "ended" }, "The sale is over.", form},
		"cancelled":     {strings.Replace(eventBody, "active", "cancelled", 1), func(*Sale) {}, "This event is cancelled.", form},
		"by invitation": {eventBody, func(s *Sale) { s.Identity = "invitation" }, `name="invitation"`, "for each browser"},
		"by account":    {eventBody, func(s *Sale) { s.Identity = "account" }, `href="/account?event=arena"`, "for each browser"},
		"unknown":       {"", func(*Sale) {}, "cannot be shown at the moment", "\x00"},
		"no rules":      {strings.Replace(eventBody, `"refund_until":"2027-06-05T19:00:00.000Z","refund_keep_fee":true,"transfer_until":"2027-06-12T16:00:00.000Z","resale_until":"2027-06-12T16:00:00.000Z","resale_over":"10%"`, "", 1), func(*Sale) {}, "Tickets cannot be sold on.", "give tickets back until"},
	} {
		sale := joining()
		c.change(sale)
		body := []byte(c.body)
		if c.body == "" {
			body = nil
		}
		page, err := p.Event(p.Language("en"), "arena", body, sale)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text := shown(page); !strings.Contains(text, c.want) || strings.Contains(text, c.without) {
			t.Errorf("%s: %s", name, text)
		}
	}
	if page, err := p.Event(p.Language("en"), "arena", []byte(eventBody), nil); err != nil || strings.Contains(string(page), form) || !strings.Contains(string(page), "Tickets are not on sale yet") {
		t.Errorf("without a sale: %v, %s", err, page)
	}
	if _, err := p.Event(p.Language("en"), "arena", []byte(`{`), nil); err == nil {
		t.Error("half an answer is shown")
	}
}

func TestTheEventsPageLeadsToWhatComesLater(t *testing.T) {
	p := pages(t)
	with := strings.Replace(eventBody, `"state":"active"`, `"state":"active","waiting_list":true`, 1)
	if with == eventBody {
		t.Fatal("the event has no state")
	}
	const ask, remind = "Ask for what comes back", "Remind me by mail"
	for name, c := range map[string]struct{ body, phase, want, without string }{
		"sold out":                {with, "sold_out", ask, remind},
		"sold out, without list":  {eventBody, "sold_out", remind, ask},
		"ended":                   {with, "ended", ask, remind},
		"ended, without list":     {eventBody, "ended", "", `then=ask`},
		"announced":               {with, "announced", remind, ask},
		"joining":                 {with, "joining", remind, ask},
		"selling":                 {with, "open", "", `then=ask`},
		"cancelled, and sold out": {strings.Replace(with, "active", "cancelled", 1), "sold_out", "", `then=ask`},
	} {
		sale := joining()
		sale.Phase = c.phase
		page, err := p.Event(p.Language("en"), "arena", []byte(c.body), sale)
		text := regexp.MustCompile(`(?s)<template.*?</template>`).ReplaceAllString(string(page), "") // what may come while the page is open
		if err != nil || !strings.Contains(text, c.want) || strings.Contains(text, c.without) {
			t.Errorf("%s: %v, %s", name, err, text)
		}
		if c.want != "" && !strings.Contains(text, `href="/account?event=arena&amp;then=ask"`) {
			t.Errorf("%s leads nowhere", name)
		}
	}
}

const salesBody = `"sales":[
	{"presale":"fans","name":"The fan club","who":"word","per_buyer":2,"state":"over","opens_at":"2027-05-01T08:00:00.000Z","ends_at":"2027-05-02T08:00:00.000Z"},
	{"presale":"sponsors","name":"Friends","who":"invitation","state":"joining","joining_at":"2027-05-03T07:30:00.000Z","opens_at":"2027-05-03T08:00:00.000Z","ends_at":"2027-05-05T08:00:00.000Z"},
	{"presale":"members","name":"members","who":"registered","state":"coming","opens_at":"2027-05-06T08:00:00.000Z","ends_at":"2027-05-07T08:00:00.000Z"},
	{"state":"coming"}],`

func TestTheEventsPageShowsEverySaleWhoMayEnterAndWhen(t *testing.T) {
	p := pages(t)
	body := []byte(strings.Replace(eventBody, `"per_buyer"`, salesBody+`"per_buyer"`, 1))
	sale := joining()
	sale.Identity, sale.Presale = "invitation", "sponsors"
	for code, want := range map[string][]string{
		"en": {"The fan club", "Over", "For accounts that know the word", "At most 2 tickets for one buyer.", "<h2>Friends</h2>", "Waiting room open", "For who was invited", "From Mon 3 May 2027, 10:00 until Wed 5 May 2027, 10:00",
			"For accounts that have registered", "General sale", "For everybody", "The time is not known yet", `data-sale="sponsors" aria-current="true"`, `action="/e/arena/register"`, `name="presale" value="members"`, `name="invitation"`},
		"es": {"Venta general", "Para quien tiene invitación", "Terminada"},
		"de": {"Allgemeiner Verkauf", "Für Eingeladene", "Vorbei"},
	} {
		page, err := p.Event(p.Language(code), "arena", body, sale)
		if err != nil {
			t.Fatal(err)
		}
		text := shown(page)
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %q: %s", code, part, text)
			}
		}
		if strings.Contains(text, `value="fans"`) || strings.Contains(text, "The draw, and the sale") {
			t.Errorf("%s: one can register for what is over, or the one sale is shown beside all: %s", code, text)
		}
	}
	if text := shown(arena(t, p, "en")); strings.Contains(text, `id="sales"`) || strings.Contains(text, "General sale") {
		t.Errorf("an event without presales lists them: %s", text)
	}
}
