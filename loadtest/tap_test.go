package loadtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"fairgate/edge/queue"
)

// toldHold is a hold that somebody was told they have.
type toldHold struct {
	first    time.Time // when they were told
	deadline time.Time // the latest they were told
	returned bool      // they asked to give it back
}

// toldJoin is a place that somebody was told they have.
type toldJoin struct {
	edge      int
	at        time.Time
	device    string // the browser's cookie
	forwarded string
	place     joinBody
}

func (j toldJoin) final() bool { return j.place.Receipt != nil && *j.place.Receipt != "" }

// notes is what edges told buyers and bots. All methods may be called by any goroutine.
type notes struct {
	mu     sync.Mutex
	holds  map[string]toldHold
	joins  []toldJoin
	states map[string]queue.State // by edge and ETag
	wrong  []string               // answers that could not be read
}

func newNotes() *notes {
	return &notes{holds: make(map[string]toldHold), states: make(map[string]queue.State)}
}

// newTap passes everything on to an edge and back, and takes notes. A request that the edge does not answer is not answered.
func newTap(n *notes, edge int, target string) *httptest.Server {
	to, err := url.Parse(target)
	if err != nil {
		panic("loadtest: a tap's target is a URL: " + err.Error())
	}
	return httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out.Header["Forwarded"] = r.In.Header["Forwarded"]
			n.asked(r.In)
		},
		ModifyResponse: func(resp *http.Response) error { return n.told(edge, resp) },
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		Transport:      &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 200},
	})
}

func (n *notes) asked(r *http.Request) {
	id, isHold := strings.CutPrefix(r.URL.Path, "/v1/holds/")
	if r.Method != http.MethodDelete || !isHold {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.holds[id]
	h.returned = true
	n.holds[id] = h
}

// told notes an answer before it goes on to whoever asked.
func (n *notes) told(edge int, resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return fmt.Errorf("read an edge's answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.StatusCode >= 300 {
		return nil
	}
	switch path := resp.Request.URL.Path; {
	case resp.StatusCode == http.StatusCreated && path == "/v1/holds":
		n.hold(body)
	case strings.HasPrefix(path, "/q/") && strings.HasSuffix(path, "/join"):
		n.join(edge, resp, body)
	case strings.HasPrefix(path, "/q/") && strings.HasSuffix(path, "/state"):
		n.state(edge, resp, body)
	}
	return nil
}

func (n *notes) hold(body []byte) {
	var b holdBody
	err := json.Unmarshal(body, &b)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil || b.ID == "" || b.State != "active" || b.Deadline.IsZero() {
		n.wrong = append(n.wrong, fmt.Sprintf("a hold answered 201 %s", body))
		return
	}
	h := n.holds[b.ID]
	if h.first.IsZero() {
		h.first = time.Now()
	}
	h.deadline = later(h.deadline, b.Deadline)
	n.holds[b.ID] = h
}

func (n *notes) join(edge int, resp *http.Response, body []byte) {
	j := toldJoin{edge: edge, at: time.Now(), forwarded: resp.Request.Header.Get("Forwarded")}
	err := json.Unmarshal(body, &j.place)
	if c, none := resp.Request.Cookie("fg_device"); none == nil {
		j.device = c.Value
	}
	for _, c := range resp.Cookies() {
		if c.Name == "fg_device" {
			j.device = c.Value
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil || j.device == "" {
		n.wrong = append(n.wrong, fmt.Sprintf("a join answered %s", body))
		return
	}
	n.joins = append(n.joins, j)
}

func (n *notes) state(edge int, resp *http.Response, body []byte) {
	tag := fmt.Sprint(edge, resp.Header.Get("ETag"))
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.states[tag]; known {
		return
	}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			n.wrong = append(n.wrong, "a state object: "+err.Error())
			return
		}
	}
	s, err := queue.DecodeState(body)
	if err != nil {
		n.wrong = append(n.wrong, "a state object: "+err.Error())
		return
	}
	n.states[tag] = s
}

// heldCount is how many holds have been told.
func (n *notes) heldCount() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.holds)
}

// unreadable are the answers that nobody could read.
func (n *notes) unreadable() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.wrong)
}

// joined are the places told so far, oldest first.
func (n *notes) joined() []toldJoin {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.joins)
}
