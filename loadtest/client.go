package loadtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// maxAnswer bounds a response body: a seat map of a stadium is a few megabytes.
const maxAnswer = 32 << 20

// host is one server and the connections everybody shares to it.
type host struct {
	base string // scheme://host:port
	pool *fasthttp.HostClient
}

// newHost makes a client of at most conns connections; those who find none free wait in line, and the wait counts as latency.
func newHost(base string, conns int, timeout time.Duration) (*host, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	addr := u.Host
	if u.Port() == "" {
		addr += map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	}
	return &host{base: u.Scheme + "://" + u.Host, pool: &fasthttp.HostClient{
		Addr: addr, IsTLS: u.Scheme == "https", MaxConns: conns, MaxConnWaitTimeout: timeout, MaxResponseBodySize: maxAnswer,
		Name: "fairgate-rehearsal", MaxIdleConnDuration: 8 * time.Second, RetryIfErr: staleConnection, ConnPoolStrategy: fasthttp.LIFO,
		DisablePathNormalizing: true,
	}}, nil
}

// staleConnection repeats a request once when the server closed a kept connection under it, as every browser does. Every request
// of the rehearsal may be repeated: it is a read, or idempotent by cookie or key.
func staleConnection(_ *fasthttp.Request, attempts int, err error) (resetTimeout, retry bool) {
	gone := errors.Is(err, io.EOF) || errors.Is(err, fasthttp.ErrConnectionClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	return false, gone && attempts < 2
}

// call is one request to be made.
type call struct {
	op          Op
	method      string
	path        string // with query
	body        []byte
	contentType string    // JSON when empty and there is a body
	key         string    // Idempotency-Key
	items       []item    // of a hold that is asked for
	hold        uuid.UUID // that is given back
	etag        string    // If-None-Match
	old         bool      // as an old phone sends it, without a language
	// known says that the body behind an ETag has been read before, so it need not be copied again.
	known func(etag string) bool
}

// answer is what came back. body is a copy.
type answer struct {
	status     int
	code       string // of the problem, "ok", "not_modified", or "unreachable" with err set
	detail     string
	retryAfter time.Duration // 0 when not told
	etag       string
	encoding   string
	body       []byte
	err        error
	at         time.Time // when it was complete
}

func (a answer) ok() bool { return a.err == nil && a.status < 400 }

// decode reads a JSON body; a body that cannot be read makes the answer an error like any other.
func (a *answer) decode(into any) bool {
	if !a.ok() {
		return false
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		a.status, a.code, a.detail = 0, "bad_answer", "the answer is not the JSON it should be: "+err.Error()
		return false
	}
	return true
}

// cookie is one name and value of a jar.
type cookie struct{ name, value string }

// jar is a browser's cookies for the one site it visits. A waiting buyer has two or three, so a slice beats a map.
type jar struct{ cookies []cookie }

func (j *jar) set(name, value string) {
	for i := range j.cookies {
		if j.cookies[i].name == name {
			j.cookies[i].value = value
			return
		}
	}
	j.cookies = append(j.cookies, cookie{name, value})
}

func (j *jar) drop(name string) {
	for i := range j.cookies {
		if j.cookies[i].name == name {
			j.cookies = append(j.cookies[:i], j.cookies[i+1:]...)
			return
		}
	}
}

// find returns the value of the first cookie whose name ends with suffix: the __Host- prefix depends on the deployment.
func (j *jar) find(suffix string) (cookie, bool) {
	for _, c := range j.cookies {
		if len(c.name) >= len(suffix) && c.name[len(c.name)-len(suffix):] == suffix {
			return c, true
		}
	}
	return cookie{}, false
}

// take reads Set-Cookie headers. An expired or empty cookie is a deleted one.
func (j *jar) take(resp *fasthttp.Response) {
	for key, raw := range resp.Header.Cookies() {
		var c fasthttp.Cookie
		if c.ParseBytes(raw) != nil {
			continue
		}
		deleted := len(c.Value()) == 0 || c.MaxAge() < 0 || (!c.Expire().IsZero() && c.Expire() != fasthttp.CookieExpireUnlimited && c.Expire().Before(time.Now()))
		if deleted {
			j.drop(string(key))
			continue
		}
		j.set(string(key), string(c.Value()))
	}
}

// send makes one request. forwarded is the client address told to the server; j may be nil.
func (h *host) send(c call, j *jar, forwarded string, timeout time.Duration) answer {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(c.method)
	req.SetRequestURI(h.base + c.path)
	if forwarded != "" {
		req.Header.Set("Forwarded", forwarded)
	}
	if c.method != http.MethodGet {
		req.Header.Set("Origin", h.base)
	}
	if c.body != nil {
		if c.contentType == "" {
			c.contentType = "application/json"
		}
		req.Header.SetContentType(c.contentType)
		req.SetBodyRaw(c.body)
	}
	if c.key != "" {
		req.Header.Set("Idempotency-Key", c.key)
	}
	if c.op == OpProvider {
		req.Header.Set("Accept", "application/json") // the form's page is not looked at
	}
	encoding := "identity"
	if c.op == OpState || c.op == OpSeats {
		encoding = "gzip"
	}
	req.Header.Set("Accept-Encoding", encoding)
	if !c.old {
		req.Header.Set("Accept-Language", "en") // what every browser sends, or the filter wonders
	}
	if c.op != OpProvider {
		req.Header.Set("Accept", "*/*")
	}
	if c.etag != "" {
		req.Header.Set("If-None-Match", c.etag)
	}
	if j != nil {
		for _, k := range j.cookies {
			req.Header.SetCookie(k.name, k.value)
		}
	}
	err := h.pool.DoTimeout(req, resp, timeout)
	a := answer{at: time.Now()}
	if err != nil {
		a.err, a.code, a.detail = err, "unreachable", err.Error()
		return a
	}
	if j != nil {
		j.take(resp)
	}
	a.fill(resp, c.known)
	return a
}

func (a *answer) fill(resp *fasthttp.Response, known func(string) bool) {
	a.status = resp.StatusCode()
	a.etag = string(resp.Header.Peek("ETag"))
	a.encoding = string(resp.Header.ContentEncoding())
	a.retryAfter = seconds(resp.Header.Peek("Retry-After"))
	if known == nil || a.status >= 400 || !known(a.etag) {
		a.body = append([]byte(nil), resp.Body()...)
	}
	switch {
	case a.status == http.StatusNotModified:
		a.code = "not_modified"
	case a.status < 400:
		a.code = "ok"
	default:
		var p struct {
			Code       string  `json:"code"`
			Title      string  `json:"title"`
			Detail     string  `json:"detail"`
			RetryAfter float64 `json:"retry_after"`
		}
		if json.Unmarshal(a.body, &p) != nil || p.Code == "" {
			p.Code, p.Detail = "no_problem_json", string(a.body[:min(len(a.body), 200)])
		}
		a.code, a.detail = p.Code, p.Detail
		if a.detail == "" {
			a.detail = p.Title
		}
		if a.retryAfter == 0 && p.RetryAfter > 0 {
			a.retryAfter = time.Duration(p.RetryAfter * float64(time.Second))
		}
	}
}

func seconds(b []byte) time.Duration {
	n, err := strconv.ParseFloat(string(b), 64)
	if err != nil || n < 0 || n > 3600 {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// honest reports whether an answer is one an honest buyer may get: what was asked for, "wait", or "somebody else has it".
func honest(a answer) bool {
	switch {
	case a.ok():
		return true
	case a.err != nil:
		return false
	}
	switch a.code {
	case "sold_out", "listing_gone", "not_enough_left", "seat_taken", "none_adjacent", "payment_in_progress":
		return a.status == http.StatusConflict
	}
	switch a.status {
	case http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusServiceUnavailable:
		return a.retryAfter > 0
	}
	return asks(a) // and is answered, see prove
}

// waits reports whether an answer asks to come again with the same request.
func waits(a answer) bool {
	switch a.status {
	case http.StatusTooEarly, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	}
	return a.status == http.StatusConflict && a.code == "payment_in_progress"
}

// unzip replaces a gzip body by what it holds.
func (a *answer) unzip() bool {
	if a.encoding != "gzip" {
		return true
	}
	r, err := gzip.NewReader(bytes.NewReader(a.body))
	if err == nil {
		a.body, err = io.ReadAll(io.LimitReader(r, maxAnswer))
	}
	if err != nil {
		a.status, a.code, a.detail = 0, "bad_answer", "the answer is not the gzip it says: "+err.Error()
		return false
	}
	a.encoding = ""
	return true
}
