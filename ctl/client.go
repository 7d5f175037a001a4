package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// maxAnswer bounds what is read of one answer: the transcript of half a million entrants has 30 MB.
const maxAnswer = 256 << 20

// client speaks to core's admin listener.
type client struct {
	base     *url.URL
	secret   string
	operator string // who asks, for core's audit trails
	http     *http.Client
	key      string // Idempotency-Key of what is asked; empty: none
}

func newClient(core, secret string, timeout time.Duration) (*client, error) {
	base, err := url.Parse(core)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usagef("core: %q is not a URL such as http://127.0.0.1:7002", core)
	}
	return &client{base: base, secret: secret, http: &http.Client{Timeout: timeout}}, nil
}

// patient is the client without a bound of its own: for calls that core bounds itself, at half an hour.
func (c *client) patient() *client {
	other := *c
	other.http = &http.Client{Transport: c.http.Transport}
	return &other
}

// unreachableError means that nothing at the address answers as core does.
type unreachableError struct {
	core string
	err  error
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("cannot reach core at %s: %v", e.core, e.err)
}
func (e *unreachableError) Unwrap() error { return e.err }

// problemError is core's refusal, as it said it (RFC 9457).
type problemError struct {
	Title      string        `json:"title,omitempty"`
	Status     int           `json:"status"`
	Detail     string        `json:"detail"`
	Code       string        `json:"code"`
	RetryAfter int           `json:"retry_after,omitempty"` // seconds
	Problems   []fileProblem `json:"problems,omitempty"`
}

// fileProblem is one mistake in an event file.
type fileProblem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

func (p *problemError) Error() string {
	text := strings.TrimSuffix(p.Detail, ".")
	if text == "" {
		text = p.Title
	}
	return fmt.Sprintf("%s (%s)", text, p.Code)
}

// path joins the segments of a path, each escaped.
func path(segments ...string) string {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	return "/admin/v1/" + strings.Join(escaped, "/")
}

// keyed is the client for one request that may be repeated: the same key is the same request.
func (c *client) keyed(key string) *client {
	one := *c
	one.key = key
	return &one
}

// get reads a value.
func (c *client) get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, "", nil)
}

// post sends a value and reads the answer.
func (c *client) post(ctx context.Context, path string, body any) (json.RawMessage, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, "application/json", encoded)
}

// do sends one request. The answer is JSON, or nil where core says nothing more than that it is done.
func (c *client) do(ctx context.Context, method, path, contentType string, body []byte) (json.RawMessage, error) {
	return c.send(ctx, method, path, contentType, bytes.NewReader(body))
}

// send is do with a body that is read as it is sent.
func (c *client) send(ctx context.Context, method, path, contentType string, body io.Reader) (json.RawMessage, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.base.String(), "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.secret != "" {
		request.Header.Set("Authorization", "Bearer "+c.secret)
	}
	if c.key != "" {
		request.Header.Set("Idempotency-Key", c.key)
	}
	if c.operator != "" {
		request.Header.Set("Fairgate-Operator", c.operator)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, ctx.Err())
		}
		var inner *url.Error
		if errors.As(err, &inner) { // its text repeats method and address
			err = inner.Err
		}
		return nil, &unreachableError{core: c.base.String(), err: err}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, &unreachableError{core: c.base.String(), err: fmt.Errorf("read the answer: %w", err)}
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("the answer to %s %s is longer than %d bytes", method, path, maxAnswer)
	}
	return c.understand(response, answer)
}

// sendFile posts a file as it is read, however long it is.
func (c *client) sendFile(ctx context.Context, path, contentType, file string) (json.RawMessage, error) {
	body, err := os.Open(file)
	if err != nil {
		return nil, inputError{fmt.Errorf("open %s: %w", file, err)}
	}
	defer body.Close()
	return c.send(ctx, http.MethodPost, path, contentType, body)
}

// understand sorts an answer into a value, a refusal, and what core would never say.
func (c *client) understand(response *http.Response, answer []byte) (json.RawMessage, error) {
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	isJSON := err == nil && (kind == "application/json" || kind == "application/problem+json") && json.Valid(answer)
	switch {
	case response.StatusCode == http.StatusNoContent:
		return nil, nil
	case response.StatusCode/100 == 2 && isJSON:
		return answer, nil
	case response.StatusCode/100 != 2 && isJSON:
		var p problemError
		if err := json.Unmarshal(answer, &p); err == nil && p.Code != "" {
			p.Status = response.StatusCode
			return nil, &p
		}
	}
	return nil, &unreachableError{core: c.base.String(), err: fmt.Errorf(
		"what answers there is not core's admin listener: status %d, content type %q", response.StatusCode, response.Header.Get("Content-Type"))}
}

// page is one page of a list.
type page struct {
	items []json.RawMessage
	next  string
}

// list reads pages of the list named key until it has limit items or there are no more. next continues it.
func (c *client) list(ctx context.Context, path, key string, query url.Values, limit int) (page, error) {
	return c.listBy(ctx, path, key, query, limit, 500) // core's bound of one page
}

// listBy is list where core's bound of one page is another.
func (c *client) listBy(ctx context.Context, path, key string, query url.Values, limit, most int) (page, error) {
	var all page
	for {
		query.Set("limit", fmt.Sprint(min(limit-len(all.items), most)))
		raw, err := c.get(ctx, path, query)
		if err != nil {
			return page{}, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			return page{}, fmt.Errorf("read the list: %w", err)
		}
		var items []json.RawMessage
		if err := json.Unmarshal(fields[key], &items); err != nil {
			return page{}, fmt.Errorf("read the list of %s: %w", key, err)
		}
		all.next = ""
		if next, ok := fields["next"]; ok {
			if err := json.Unmarshal(next, &all.next); err != nil {
				return page{}, fmt.Errorf("read where the list goes on: %w", err)
			}
		}
		all.items = append(all.items, items...)
		if all.next == "" || len(items) == 0 || len(all.items) >= limit {
			return all, nil
		}
		query.Set("after", all.next)
	}
}
