package score

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func headers(pairs ...string) (h []Header) {
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, Header{pairs[i], pairs[i+1]})
	}
	return h
}

const (
	chromeAgent  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	safariAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
	firefoxAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	oldAgent     = "Mozilla/5.0 (Linux; Android 6.0; Moto G) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/81.0.4044.138 Mobile Safari/537.36"
)

var (
	chrome = headers("Host", "tickets.example", "Connection", "keep-alive", "Content-Length", "2", "sec-ch-ua-platform", `"Windows"`, "User-Agent", chromeAgent,
		"sec-ch-ua", `"Chromium";v="131"`, "Content-Type", "application/json", "sec-ch-ua-mobile", "?0", "Accept", "*/*", "Origin", "https://tickets.example",
		"Accept-Encoding", "gzip, deflate, br", "Accept-Language", "en")
	safari = headers("Host", "tickets.example", "Accept", "*/*", "Content-Type", "application/json", "Accept-Language", "de-DE", "Accept-Encoding", "gzip, deflate",
		"User-Agent", safariAgent)
	firefox = headers("Host", "tickets.example", "User-Agent", firefoxAgent, "Accept", "*/*", "Accept-Language", "en-US", "Accept-Encoding", "gzip", "Cookie", "a=b")
	old     = headers("Host", "tickets.example", "User-Agent", oldAgent, "Accept", "*/*", "Accept-Encoding", "gzip")
	goLang  = headers("Host", "tickets.example", "User-Agent", "Go-http-client/1.1", "Content-Length", "2", "Accept-Encoding", "gzip")
	python  = headers("User-Agent", "python-requests/2.31", "Accept-Encoding", "gzip", "Accept", "*/*", "Connection", "keep-alive", "Host", "tickets.example")
	posing  = headers("Host", "tickets.example", "User-Agent", firefoxAgent, "Accept", "*/*", "sec-ch-ua", `"Chromium";v="131"`, "Accept-Encoding", "gzip", "Accept-Language", "en")
	sorted  = headers("Accept", "*/*", "Accept-Encoding", "gzip", "Accept-Language", "en", "Content-Type", "application/json", "Host", "t", "User-Agent", chromeAgent)
)

func every(n int, d time.Duration, spread float64) (polls Rhythm) {
	for i := range n { // from -spread to +spread in an order that is no order
		off := spread * (2*float64(i*7%n)/float64(n-1) - 1)
		polls = polls.Add(time.Duration(float64(d) * (1 + off)))
	}
	return polls
}

func after(d time.Duration) *time.Duration { return &d }

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name    string
		seen    Observation
		level   Level
		reasons []Signal // the weightiest first
	}{
		{"nothing is known", Observation{}, None, nil},
		{"Chrome", Observation{Headers: chrome}, None, nil},
		{"Safari on a phone", Observation{Headers: safari}, None, nil},
		{"Firefox", Observation{Headers: firefox}, None, nil},
		{"an old phone that tells no language", Observation{Headers: old}, None, []Signal{HeadersMissing}},
		{"a phone behind the address of thousands", Observation{Headers: safari, NewDevices: 100_000, NewDevicesUsual: 1000}, None, []Signal{NetworkCrowded}},
		{"a person at work, whose proxy is in a data centre", Observation{Headers: chrome, DataCentre: true, NewDevices: 3000, NewDevicesUsual: 1000}, None,
			[]Signal{DataCentre, NetworkCrowded}},
		{"a phone that lost its cookies once", Observation{Headers: safari, Strangers: 1}, None, []Signal{TokenShared}},
		{"a family at one computer", Observation{Headers: chrome, Entrants: 4}, None, []Signal{DeviceShared}},
		{"a page that polls as pages do", Observation{Headers: chrome, Polls: every(20, 10*time.Second, 0.15), Asked: 10 * time.Second}, None, nil},
		{"a person who reads, then presses", Observation{Headers: chrome, Acted: after(800 * time.Millisecond)}, None, nil},
		{"a browser's add-on fills the hidden field", Observation{Headers: chrome, Honeypot: true}, None, []Signal{Honeypot}},
		{"headers that a proxy put in order", Observation{Headers: sorted, Proxied: true}, None, nil},
		{"a language's own client", Observation{Headers: goLang}, None, []Signal{HeadersConflict, HeadersMissing}},
		{"a script that says so and is first in line at once", Observation{Headers: python, Acted: after(5 * time.Millisecond)}, Medium,
			[]Signal{TooFast, HeadersConflict, HeadersOrder, HeadersMissing}},
		{"a script that poses as a browser, badly, from a server", Observation{Headers: posing, DataCentre: true}, Low, []Signal{HeadersConflict, DataCentre}},
		{"a good browser that is driven: even, fast, and many", Observation{Headers: chrome, Polls: every(20, 2*time.Second, 0.005), Asked: 2 * time.Second,
			Acted: after(0), Entrants: 40}, Medium, []Signal{TooFast, DeviceShared, PollRegular}},
		{"fifty tabs", Observation{Headers: chrome, Polls: every(200, 200*time.Millisecond, 0.9), Asked: 10 * time.Second}, None, []Signal{PollFast}},
		{"a phone on a train", Observation{Headers: safari, Networks: 4, Strangers: 1}, None, []Signal{TokenShared}},
		{"an edge a moment ahead of another", Observation{Headers: safari, Early: 1}, None, nil},
		{"a knocker", Observation{Headers: goLang, Early: 30, Polls: every(200, 50*time.Millisecond, 0.01), Asked: 10 * time.Second}, High,
			[]Signal{HeadersConflict, TooEarly, PollRegular, PollFast, HeadersMissing}},
		{"one cookie on a hundred servers", Observation{Headers: chrome, Networks: 100, Strangers: 3, DataCentre: true}, Medium,
			[]Signal{TokenShared, NetworksMany, DataCentre}},
		{"a farm", Observation{Headers: python, Honeypot: true, Acted: after(0), Entrants: 300, Strangers: 9, DataCentre: true, NewDevices: 9000,
			NewDevicesUsual: 1000}, High, []Signal{Honeypot, TokenShared, TooFast, DeviceShared, HeadersConflict, DataCentre, HeadersOrder, NetworkCrowded, HeadersMissing}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Judge(c.seen)
			var reasons []Signal
			for _, r := range v.Reasons {
				reasons = append(reasons, r.Signal)
				if r.Words() == "" {
					t.Errorf("%s is a reason without words", r.Signal)
				}
			}
			if v.Level != c.level || !slices.Equal(reasons, c.reasons) {
				t.Errorf("%s with %.0f points for %v, want %s for %v", v.Level, v.Score, v.Reasons, c.level, c.reasons)
			}
		})
	}
}

func TestNoSingleSignalAndNoAddressDecides(t *testing.T) {
	located := 0.0
	for signal, w := range Weights {
		if w.Most >= from[Low] {
			t.Errorf("%s alone is %.0f points, and level low begins at %.0f", signal, w.Most, from[Low])
		}
		if w.Kind == Located {
			located += w.Most
		}
	}
	if worst := min(located, caps[Located]); worst >= from[Low] || caps[Sent]+worst >= from[Medium] {
		t.Errorf("an address is worth %.0f points", worst)
	}
}

func genObservation(t *rapid.T) Observation {
	return Observation{
		Headers:  rapid.SampledFrom([][]Header{nil, chrome, safari, firefox, old, goLang, python, posing, sorted}).Draw(t, "headers"),
		Honeypot: rapid.Bool().Draw(t, "honeypot"), Asked: time.Duration(rapid.IntRange(0, 20_000).Draw(t, "asked")) * time.Millisecond,
		Early: rapid.IntRange(0, 6).Draw(t, "early"), Networks: rapid.IntRange(0, 20).Draw(t, "networks"),
		Polls:    every(rapid.IntRange(2, 20).Draw(t, "polls"), time.Second, rapid.Float64Range(0, 1).Draw(t, "spread")),
		Acted:    after(time.Duration(rapid.IntRange(-10, 1000).Draw(t, "acted")) * time.Millisecond),
		Entrants: rapid.IntRange(0, 20).Draw(t, "entrants"), Strangers: rapid.IntRange(0, 5).Draw(t, "strangers"),
		NewDevices: rapid.IntRange(0, 5000).Draw(t, "new devices"), NewDevicesUsual: 1000, DataCentre: rapid.Bool().Draw(t, "data centre"),
	}
}

func TestMoreOddityNeverMakesAVerdictMilder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := genObservation(t)
		v := Judge(o)
		if v.Score < 0 || v.Score > caps[Sent]+caps[Behaves]+caps[Located] {
			t.Fatalf("%.1f points", v.Score)
		}
		worse := o
		worse.Honeypot, worse.DataCentre = true, true
		worse.Entrants, worse.Strangers, worse.NewDevices = o.Entrants+3, o.Strangers+1, o.NewDevices+500
		worse.Acted = after(*o.Acted - 50*time.Millisecond)
		worse.Early, worse.Networks = o.Early+1, o.Networks+2
		if w := Judge(worse); w.Score < v.Score || w.Level < v.Level {
			t.Fatalf("%.1f points become %.1f", v.Score, w.Score)
		}
	})
}

func TestWhateverIsSeenItTakesTwoSignalsToBeAskedAndThreeOfTwoKindsToBeHigh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := Judge(genObservation(t))
		if v.Level > None && len(v.Reasons) < 2 {
			t.Fatalf("level %s for %v alone", v.Level, v.Reasons)
		}
		if v.Level == High && (len(v.Reasons) < 3 || v.Kinds() < 2) {
			t.Fatalf("level %s for %v", v.Level, v.Reasons)
		}
	})
}

func TestARhythmForgetsTheOldPaceAndKnowsEvenFromJitter(t *testing.T) {
	page := every(50, 20*time.Second, 0.15)
	for range 40 {
		page = page.Add(2 * time.Second)
	}
	if page.Mean > 4*time.Second || page.evenness() > 0 && page.Off < 0 {
		t.Errorf("after forty polls of 2 s the rhythm is %v ± %v", page.Mean, page.Off)
	}
	if even := every(20, time.Second, 0).evenness(); even < 0.99 {
		t.Errorf("a machine's evenness is %v", even)
	}
	if even := every(40, 10*time.Second, pageJitter).evenness(); even > 0 {
		t.Errorf("the page's evenness is %v", even)
	}
}

func FuzzHeadersOfAnyKindAreJudged(f *testing.F) {
	f.Add("User-Agent", chromeAgent, "sec-ch-ua-platform", `"Android"`)
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		missing, order, conflict := inspect(headers(n1, v1, n2, v2))
		for _, x := range []float64{missing, order, conflict} {
			if x < 0 || x > 1 {
				t.Fatalf("%v is no strength", x)
			}
		}
	})
}
