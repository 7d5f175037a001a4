package scanner

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// handler is made once: compressing the files takes a while.
var handler = sync.OnceValues(Handler)

func page(t *testing.T, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	h, err := handler()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryFileOfThePageIsServedUnderAStrictPolicy(t *testing.T) {
	count := 0
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		count++
		path := "/scanner/" + strings.TrimPrefix(name, "static/")
		if path == "/scanner/index.html" {
			path = "/"
		}
		got := page(t, path, http.Header{})
		want, _ := files.ReadFile(name)
		if got.Code != http.StatusOK || got.Body.String() != string(want) || got.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d, %d bytes, %v", path, got.Code, got.Body.Len(), got.Header())
		}
		if csp := got.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
			t.Errorf("%s: %s", path, csp)
		}
		again := page(t, path, http.Header{"If-None-Match": {got.Header().Get("ETag")}})
		if again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s again: %d", path, again.Code)
		}
		if zipped := page(t, path, http.Header{"Accept-Encoding": {"gzip"}}); zipped.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not compressed", path)
		}
		return nil
	})
	if err != nil || count < 10 {
		t.Errorf("%d files, %v", count, err)
	}
	for _, path := range []string{"/scanner/", "/scanner/index.html", "/scanner/../scanner.go", "/strings/en.json", "/x"} {
		if got := page(t, path, http.Header{}); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}

func TestThePageHasNothingInlineAndNothingFromElsewhere(t *testing.T) {
	html := page(t, "/", http.Header{}).Body.String()
	for _, bad := range []string{`<script>`, `<style`, ` style="`, `onclick`, `http:`, `https:`, `javascript:`} {
		if strings.Contains(html, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, name := range []string{"scanner.js", "gate.js", "camera.js", "words.js", "signal.js", "worker.js"} {
		js := page(t, "/scanner/"+name, http.Header{}).Body.String()
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"} {
			if strings.Contains(js, bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
	}
	if licence := page(t, "/scanner/jsQR.LICENSE.txt", http.Header{}).Body.String(); !strings.Contains(licence, "Apache License") {
		t.Error("jsQR is without its licence")
	}
}

func TestEveryLanguageHasEveryTextThatThePageUses(t *testing.T) {
	texts := map[string]map[string]string{}
	for _, language := range []string{"en", "es", "de"} {
		var one map[string]string
		if err := json.Unmarshal(page(t, "/scanner/strings/"+language+".json", http.Header{}).Body.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		texts[language] = one
	}
	names := slices.Sorted(maps.Keys(texts["en"]))
	braces := regexp.MustCompile(`\{\w+\}`)
	for language, one := range texts {
		if !slices.Equal(slices.Sorted(maps.Keys(one)), names) {
			t.Errorf("%s has other texts than English", language)
		}
		for key, text := range one {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s is empty", language, key)
			}
			values, english := braces.FindAllString(text, -1), braces.FindAllString(texts["en"][key], -1)
			if slices.Sort(values); !slices.Equal(values, slices.Sorted(slices.Values(english))) {
				t.Errorf("%s: %s speaks of %v, English of %v", language, key, values, english)
			}
		}
	}
	used := regexp.MustCompile(`(?:data-text="|data-label="|say\('|signOut\('|dataset\.text = camera\.on \? '|say\(\w[^)']*\? ')(\w+)'?|: '(camera_\w+|state_on|undecided_why|pass_out|no_answer)'`)
	count := 0
	for _, name := range []string{"/", "/scanner/scanner.js", "/scanner/words.js"} {
		for _, found := range used.FindAllStringSubmatch(page(t, name, http.Header{}).Body.String(), -1) {
			key := found[1] + found[2]
			count++
			if texts["en"][key] == "" {
				t.Errorf("%s uses the text %q, which there is not", name, key)
			}
		}
	}
	if count < 40 {
		t.Errorf("only %d uses of texts were found", count)
	}
}
