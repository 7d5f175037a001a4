package edge

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestWhatPhonesAskAboutPassesGetsToCoreAndNothingElseDoes(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	world.shop = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Last-Modified", "Tue, 01 Jun 2027 18:00:00 GMT")
		_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Fairgate-Pass-Token")+" "+r.Header.Get("If-Modified-Since")+" "+r.Header.Get("Authorization")+" "+string(body))
	})
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	do := func(method, path, body string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+n.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		}
		req.Header.Set("Authorization", "ApplePass the-token")
		req.Header.Set("If-Modified-Since", "Mon, 31 May 2027 18:00:00 GMT")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(text)
	}
	const device, pass = "/wallet/v1/devices/d0c5/registrations/pass.org.example", "5d1b-1"
	for _, ok := range [][3]string{
		{"POST", device + "/" + pass, `{"pushToken":"00"}`}, {"DELETE", device + "/" + pass, ""}, {"GET", device + "?passesUpdatedSince=12", ""},
		{"GET", "/wallet/v1/passes/pass.org.example/" + pass, ""}, {"POST", "/wallet/v1/log", `{"logs":[]}`},
	} {
		status, header, text := do(ok[0], ok[1], ok[2])
		want := ok[0] + " " + ok[1] + " the-token Mon, 31 May 2027 18:00:00 GMT Bearer " + testSecret + " " + ok[2]
		if status != 200 || text != want || header.Get("Last-Modified") == "" || header.Get("Set-Cookie") != "" {
			t.Errorf("%v: %d %q, want %q; %v", ok, status, text, want, header)
		}
	}
	for _, bad := range [][2]string{
		{"GET", "/wallet/v1/"}, {"GET", "/wallet/v1/passes/pass.org.example"}, {"GET", "/wallet/v1/passes//" + pass}, {"POST", device + "/" + pass + "/x"},
		{"GET", "/wallet/v1/passes/a%20b/" + pass}, {"GET", "/wallet/v2/passes/a/b"}, {"GET", "/wallet/v1/devices/d/other/t"},
	} {
		if status, _, _ := do(bad[0], bad[1], ""); status != 404 {
			t.Errorf("%v: %d", bad, status)
		}
	}
	for _, bad := range [][2]string{{"PUT", device + "/" + pass}, {"DELETE", device}, {"GET", "/wallet/v1/log"}, {"POST", "/wallet/v1/passes/a/b"}} {
		if status, header, _ := do(bad[0], bad[1], ""); status != 405 || header.Get("Allow") == "" {
			t.Errorf("%v: %d", bad, status)
		}
	}
}
