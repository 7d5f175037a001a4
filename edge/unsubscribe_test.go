package edge

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestOneClickInAMailEndsRemindersWithoutSigningIn(t *testing.T) {
	world, n := accountWorld(t)
	var asked []string
	world.mu.Lock()
	world.shop = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(text))
		if !strings.Contains(string(text), "good") {
			fakeProblem(w, 404, "unsubscribe_unknown")
			return
		}
		fakeJSON(w, 200, map[string]any{"event": "arena"})
	})
	world.mu.Unlock()
	b := newBuyer(t)
	page := b.do(n, "GET", "/unsubscribe/good_token-1", "")
	if page.status != 200 || !strings.Contains(string(page.body), `action="/unsubscribe/good_token-1"`) || len(asked) != 0 || page.header.Get("Cache-Control") != "no-store" ||
		page.header.Get("Referrer-Policy") != "same-origin" {
		t.Fatalf("looking at it: %d %v, core is asked %q: %s", page.status, page.header, asked, page.body)
	}
	// What a mail program sends for its reader: no cookie, no Origin.
	one := newBuyer(t).do(n, "POST", "/unsubscribe/good_token-1", "List-Unsubscribe=One-Click", asForm)
	if one.status != 200 || !strings.Contains(string(one.body), "You get no more reminders of this event.") || len(asked) != 1 || asked[0] != `POST /v1/reminders/unsubscribe {"token":"good_token-1"}` {
		t.Errorf("one click: %d, core is asked %q: %s", one.status, asked, one.body)
	}
	if bad := b.do(n, "POST", "/unsubscribe/other", "", asForm); bad.status != 404 || !strings.Contains(string(bad.body), "Copy it completely from the mail.") {
		t.Errorf("another token: %d %s", bad.status, bad.body)
	}
	if r := b.do(n, "POST", "/unsubscribe/good", "", asForm, "Origin: https://elsewhere.example"); r.status != 403 {
		t.Errorf("a form of another site: %d", r.status)
	}
	for _, path := range []string{"/unsubscribe/", "/unsubscribe/a/b", "/unsubscribe/a%3Cb", "/unsubscribe/" + strings.Repeat("a", maxToken+1)} {
		if r := b.do(n, "POST", path, "", asForm); r.status != 404 || len(asked) != 2 {
			t.Errorf("%s: %d, core is asked %q", path, r.status, asked)
		}
	}
}
