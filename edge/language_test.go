package edge

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestALanguageIsChosenByALinkAndRemembered(t *testing.T) {
	world := newWorld(t)
	world.shop = newShop(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(path, cookie string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http://"+n.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Language", "es-MX, en;q=0.5")
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	for _, path := range []string{"/", "/?q=night", "/e/arena", "/account"} {
		resp, body := get(path, "")
		if !strings.Contains(body, `<html lang="es"`) || len(resp.Cookies()) != 0 {
			t.Errorf("%s is not in the language that the browser prefers, or sets a cookie: %.200s", path, body)
		}
		if vary := resp.Header.Get("Vary"); resp.Header.Get("Cache-Control") != "no-store" && vary != "Accept-Encoding, Accept-Language, Cookie" {
			t.Errorf("%s varies by %q", path, vary)
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		resp, _ = get(path+sep+"lang=de", "")
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != path || len(resp.Cookies()) != 1 || resp.Cookies()[0].Value != "de" || !resp.Cookies()[0].HttpOnly {
			t.Errorf("%s: choosing German answers %d to %q with %v", path, resp.StatusCode, resp.Header.Get("Location"), resp.Cookies())
			continue
		}
		if _, body = get(path, resp.Cookies()[0].Name+"=de"); !strings.Contains(body, `<html lang="de"`) {
			t.Errorf("%s forgets the choice", path)
		}
	}
	for _, nonsense := range []string{"", "xx", "..%2F", "de%0d%0aSet-Cookie:x=1"} {
		if resp, _ := get("/e/arena?lang="+nonsense, ""); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/e/arena" || len(resp.Cookies()) != 0 {
			t.Errorf("language %q answers %d with %v", nonsense, resp.StatusCode, resp.Cookies())
		}
	}
	for _, path := range []string{"//elsewhere.example/", "/%2felsewhere.example/", "/%5Celsewhere.example/", "/.%5Celsewhere.example/", "/x/..%5C/%5Celsewhere.example"} {
		resp, _ := get(path+"?lang=de", "")
		to, err := resp.Location()
		if location := resp.Header.Get("Location"); err != nil || to.Host != n.Addr().String() || strings.HasPrefix(location, "//") || strings.Contains(location, `\`) {
			t.Errorf("the choice on %s leads elsewhere: %q, %v", path, location, err)
		}
	}
}
