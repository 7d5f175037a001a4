package score

import (
	"cmp"
	"slices"
	"strings"
)

// Header is one header of a request. Name is of any case, Value as it came.
type Header struct{ Name, Value string }

// usual are the headers that every browser sends with a request that its script makes. Old ones, and those that save data, leave
// out one or another.
var usual = []string{"user-agent", "accept", "accept-encoding", "accept-language"}

// inspect looks at headers: how many of the usual ones are missing, whether they come in an order of no browser, and whether they
// contradict each other. Each is 0 to 1.
func inspect(headers []Header) (missing, order, conflict float64) {
	for _, name := range usual {
		if value(headers, name) == "" {
			missing += 1.0 / float64(len(usual))
		}
	}
	return missing, wrongOrder(headers), conflicts(headers)
}

// find is where the first header of a name stands, or -1.
func find(headers []Header, name string) int {
	return slices.IndexFunc(headers, func(h Header) bool { return len(h.Name) == len(name) && strings.EqualFold(h.Name, name) })
}

// value is what the first header of a name says; empty where there is none.
func value(headers []Header, name string) string {
	if i := find(headers, name); i >= 0 {
		return headers[i].Value
	}
	return ""
}

// wrongOrder is 1 where Host is not the first header over HTTP/1.1, as every browser sends it, or where all headers are in order of
// the alphabet, as a program does that keeps them in a sorted list.
func wrongOrder(headers []Header) float64 {
	if find(headers, "host") > 0 {
		return 1
	}
	if len(headers) >= 6 && slices.IsSortedFunc(headers, byName) {
		return 1
	}
	return 0
}

// byName compares names of ASCII without regard to case.
func byName(a, b Header) int {
	for i := range min(len(a.Name), len(b.Name)) {
		if c := cmp.Compare(lower(a.Name[i]), lower(b.Name[i])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a.Name), len(b.Name))
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// conflicts is 1 where a header says something that another one excludes.
func conflicts(headers []Header) float64 {
	agent := strings.ToLower(value(headers, "user-agent"))
	hints, named := value(headers, "sec-ch-ua"), platform(value(headers, "sec-ch-ua-platform"))
	chromium := strings.Contains(agent, "chrome/") || strings.Contains(agent, "chromium/")
	switch {
	case hints != "" && agent != "" && !chromium: // hints are Chromium's alone
		return 1
	case strings.Trim(value(headers, "sec-ch-ua-mobile"), " ") == "?1" && strings.Contains(agent, "x11; linux x86_64"):
		return 1
	case named != "" && !strings.Contains(agent, named):
		return 1
	case program(agent):
		return 1 // says itself that it is none, beside a page's own headers or not
	}
	return 0
}

// platform is how a user agent names the platform of a hint; empty where that cannot be said.
func platform(hint string) string {
	switch strings.Trim(hint, `" `) {
	case "Windows":
		return "windows"
	case "macOS":
		return "mac os"
	case "Android":
		return "android"
	}
	return ""
}

// program reports whether a user agent is that of a library or of a browser that is driven by a program.
func program(agent string) bool {
	for _, name := range []string{"headless", "python", "curl/", "wget/", "go-http-client", "okhttp", "axios", "node-fetch", "phantomjs", "selenium", "puppeteer", "playwright"} {
		if strings.Contains(agent, name) {
			return true
		}
	}
	return false
}
