package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fairgate/loadtest/paysim"
)

func TestRemindersOfAPresaleAndOfGeneralSaleComeEachAtItsTimeAndEndWithOneClick(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	file := filepath.Join(t.TempDir(), "opera.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, seatedPresale, at(-time.Hour), at(time.Hour), at(2*time.Hour), at(3*time.Hour)), 0o600); err != nil {
		t.Fatal(err)
	}
	box := newLetterbox(t)
	r := newRigWith(t, file, paysim.Faults{}, func(c *config) {
		c.Mail.Host, c.Mail.Port, c.Mail.TLS, c.Mail.From, c.Mail.PublicURL = "127.0.0.1", box.port, "none", "Tickets <tickets@example.org>", "https://t.example.org/"
		c.Mail.RatePerSecond = 0
	})
	const slug = "opera"
	sale, reminders := "/admin/v1/events/"+slug+"/onsale", "/v1/events/"+slug+"/reminders"
	ann, bob := r.signIn("ann@example.org", "ann"), r.signIn("bob@example.org", "bob")
	for _, p := range []*person{ann, bob} {
		r.call(r.by(p, http.MethodPut, reminders, map[string]any{"occasions": []string{"room_opens:fans", "sale_opens:fans", "room_opens", "sale_opens:members"}, "language": "en"}), 200, nil)
	}
	for occasion, code := range map[string]string{"room_opens:nobody": "reminder_past", "returned:fans": "reminder_unknown"} {
		resp := r.raw(r.by(ann, http.MethodPut, reminders, map[string]any{"occasions": []string{occasion}}))
		if !strings.Contains(string(resp.body), code) {
			t.Errorf("%s: %d %s", occasion, resp.status, resp.body)
		}
	}
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"presale": "fans", "opens_at": time.Now().Add(10 * time.Minute), "joining_at": time.Now().Add(-time.Second)}, 200, nil)
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"opens_at": time.Now().Add(5 * time.Hour), "joining_at": time.Now().Add(4 * time.Hour)}, 200, nil)
	var first letter
	r.eventually("the presale's room opens", func() bool {
		found := box.of("ann@example.org", "The waiting room has opened: An Opera (The fan club)")
		if len(found) == 1 {
			first = found[0]
		}
		return len(found) == 1 && len(box.of("bob@example.org", "The waiting room has opened")) == 1
	})
	address := regexp.MustCompile(`^<(https://t\.example\.org/unsubscribe/([A-Za-z0-9_-]+))>$`).FindStringSubmatch(first.unsubscribe[0])
	if address == nil || first.unsubscribe[1] != "List-Unsubscribe=One-Click" || !strings.Contains(first.parts["text/plain"], address[1]) || !strings.Contains(first.parts["text/html"], address[1]) {
		t.Fatalf("the mail's ways to unsubscribe are %q: %s", first.unsubscribe, first.parts)
	}
	for range 2 { // nobody is signed in
		r.call(r.request("edge", http.MethodPost, "/v1/reminders/unsubscribe", map[string]string{"token": address[2]}), 200, nil)
	}
	other := "A"
	if address[2][10] == 'A' {
		other = "B"
	}
	if code := r.code(r.request("edge", http.MethodPost, "/v1/reminders/unsubscribe", map[string]string{"token": address[2][:10] + other + address[2][11:]}), 404); code != "unsubscribe_unknown" {
		t.Errorf("a forged token: %s", code)
	}
	r.admin(http.MethodPost, sale+"/open", nil, 200, nil)
	r.eventually("the presale begins", func() bool { return len(box.of("bob@example.org", "The sale has begun: An Opera (The fan club)")) == 1 })
	r.admin(http.MethodPost, sale+"/end", nil, 200, nil)
	// Between two sales nothing is over that is still to come.
	r.eventually("general sale is announced", func() bool {
		var s struct{ Generation int }
		r.admin(http.MethodGet, sale, nil, 200, &s)
		return s.Generation == 2
	})
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"opens_at": time.Now().Add(10 * time.Minute), "joining_at": time.Now().Add(-time.Second)}, 200, nil)
	r.eventually("general sale's room opens", func() bool { return len(box.of("bob@example.org", "The waiting room has opened")) == 2 })
	if n := len(box.of("ann@example.org", "The ")); n != 1 {
		t.Errorf("ann has unsubscribed and got %d mails", n)
	}
	var own struct{ Occasions []string }
	if r.call(r.by(bob, http.MethodGet, reminders, nil), 200, &own); len(own.Occasions) != 1 || own.Occasions[0] != "sale_opens:members" {
		t.Errorf("bob is still reminded of %v", own.Occasions)
	}
}
