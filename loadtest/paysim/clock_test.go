package paysim

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// noon is where tests of time begin.
var noon = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

func TestTheClockIsMovedByHand(t *testing.T) {
	a := newAPI(t, Config{Now: func() time.Time { return noon }})
	a.expect("without a key", a.call("POST", "/_paysim/clock", "Authorization", "", "advance", "1h"), 401)
	a.expect("by a browser", a.call("POST", "/_paysim/clock", "Authorization", "Bearer pk_test_paysim", "advance", "1h"), 403)
	for _, wrong := range []string{"", "soon", "-1h", "876000h"} {
		a.expect("advance "+wrong, a.call("POST", "/_paysim/clock", "advance", wrong), 400)
	}
	g := a.call("POST", "/_paysim/clock", "advance", "72h")
	a.expect("moved", g, 200, "now", "2027-06-04T12:00:00Z")
	a.postAsCurl("/_paysim/clock", `{"advance":"30m"}`)
	a.expect("shown", a.call("GET", "/_paysim/clock"), 200, "moved", "72h30m0s")
	id, _ := a.create()
	if created := a.call("GET", "/v1/payment_intents/"+id).num("created"); created != noon.Add(72*time.Hour+30*time.Minute).Unix() {
		t.Errorf("created %d", created)
	}
}

// postAsCurl posts JSON as curl -d does: under the type of a form.
func (a *api) postAsCurl(path, body string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.SetBasicAuth("sk_test_paysim", "")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		a.t.Errorf("%s %s: %s", path, body, resp.Status)
	}
}

func TestWhatFallsDueHappensInOrderAtItsTime(t *testing.T) {
	s, err := New(Config{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	note := func(what string) func() []*event {
		return func() []*event { did = append(did, what+" "+s.Now().Sub(noon).String()); return nil }
	}
	s.mu.Lock()
	s.after(3*time.Hour, note("third"))
	s.after(time.Hour, func() []*event {
		s.after(time.Hour, note("second"))
		return note("first")()
	})
	s.after(3*time.Hour, note("fourth"))
	s.after(5*time.Hour, note("never"))
	s.mu.Unlock()
	if n := s.Advance(t.Context(), 4*time.Hour); n != 4 {
		t.Errorf("%d things done", n)
	}
	if got := strings.Join(did, ", "); got != "first 1h0m0s, second 2h0m0s, third 3h0m0s, fourth 3h0m0s" {
		t.Errorf("it did %s", got)
	}
	if got := s.Now().Sub(noon); got != 4*time.Hour {
		t.Errorf("the clock moved by %s", got)
	}
}

func TestAFastClockDoesThingsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{ClockSpeed: 3600})
		if err != nil {
			t.Fatal(err)
		}
		began, done := time.Now(), make(chan time.Duration, 1)
		go s.keepTime(t.Context())
		synctest.Wait()
		s.mu.Lock()
		s.after(48*time.Hour, func() []*event { done <- time.Since(began); return nil })
		s.mu.Unlock()
		if took := <-done; took < 47*time.Second || took > 49*time.Second {
			t.Errorf("48 hours took %s at an hour a second", took)
		}
	})
}
