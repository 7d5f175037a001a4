package score

import "strings"

// Header is one header of a request. Name is of any case, Value as it came.
type Header struct{ Name, Value string }

// usual are the headers that every browser sends with a request that its script makes. Old ones, and those that save data, leave
// out one or another.
var usual = []string{"user-agent", "accept", "accept-encoding", "accept-language"}

// inspect looks at headers: how many of the usual ones are missing, whether they come in an order of no browser, and whether they
// contradict each other. Each is 0 to 1.
func inspect(headers []Header) (missing, order, conflict float64) {
	at, value := map[string]int{}, map[string]string{}
	for i, h := range headers {
		name := strings.ToLower(h.Name)
		if _, twice := at[name]; twice {
			continue
		}
		at[name], value[name] = i, h.Value
	}
	for _, name := range usual {
		if value[name] == "" {
			missing += 1.0 / float64(len(usual))
		}
	}
	return missing, wrongOrder(headers, at), conflicts(value)
}

// wrongOrder is 1 where Host is not the first header over HTTP/1.1, as every browser sends it, or where all headers are in order of
// the alphabet, as a program does that keeps them in a sorted list.
func wrongOrder(headers []Header, at map[string]int) float64 {
	if i, there := at["host"]; there && i > 0 {
		return 1
	}
	sorted := len(headers) >= 6
	for i := 1; i < len(headers) && sorted; i++ {
		sorted = strings.ToLower(headers[i-1].Name) <= strings.ToLower(headers[i].Name)
	}
	if sorted {
		return 1
	}
	return 0
}

// conflicts is 1 where a header says something that another one excludes.
func conflicts(value map[string]string) float64 {
	agent := strings.ToLower(value["user-agent"])
	hints := value["sec-ch-ua"]
	chromium := strings.Contains(agent, "chrome/") || strings.Contains(agent, "chromium/")
	switch {
	case hints != "" && agent != "" && !chromium: // hints are Chromium's alone
		return 1
	case strings.Trim(value["sec-ch-ua-mobile"], " ") == "?1" && strings.Contains(agent, "x11; linux x86_64"):
		return 1
	case platform(value["sec-ch-ua-platform"]) != "" && !strings.Contains(agent, platform(value["sec-ch-ua-platform"])):
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
