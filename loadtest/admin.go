package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxAdminAnswer bounds an admin answer: the transcript of 500,000 entrants is some 20 MB.
const maxAdminAnswer = 256 << 20

// Admin speaks to core's admin listener and to paysim's books. It may be used by several goroutines.
type Admin struct {
	base   string
	secret string
	http   *http.Client
}

// NewAdmin reads the secret from its file.
func NewAdmin(base, secretFile string) (*Admin, error) {
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		return nil, fmt.Errorf("read admin secret: %w", err)
	}
	return &Admin{base: strings.TrimRight(base, "/"), secret: strings.TrimSpace(string(secret)), http: &http.Client{Timeout: time.Minute}}, nil
}

// Stats is GET /admin/v1/stats: core's own live figures.
type Stats struct {
	Joined      int64            `json:"joined"`
	Called      int64            `json:"called"`
	Sessions    int64            `json:"sessions"`
	HoldsActive int64            `json:"holds_active"`
	HoldsTotal  int64            `json:"holds_total"`
	Orders      map[string]int64 `json:"orders"`
	Tickets     int64            `json:"tickets"`
}

// Apply creates or changes an event from its YAML text.
func (a *Admin) Apply(ctx context.Context, yaml []byte) error {
	return a.do(ctx, http.MethodPut, "/admin/v1/events", "application/yaml", yaml, nil)
}

// Schedule sets the instants of an event's on-sale.
func (a *Admin) Schedule(ctx context.Context, event string, joining, opens time.Time) error {
	body := map[string]string{"opens_at": stamp(opens)}
	if !joining.IsZero() {
		body["joining_at"] = stamp(joining)
	}
	return a.do(ctx, http.MethodPost, "/admin/v1/events/"+event+"/onsale/schedule", "application/json", jsonBody(body), nil)
}

// AddGate makes a gate of an event, or another credential for one that is there, and answers with the credential.
func (a *Admin) AddGate(ctx context.Context, event, name, zone string) (credential string, err error) {
	var made struct {
		Credential string `json:"credential"`
	}
	body := jsonBody(map[string]any{"gate": name, "zone": zone, "replace": true})
	err = a.do(ctx, http.MethodPost, "/admin/v1/events/"+event+"/gates", "application/json", body, &made)
	return made.Credential, err
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// Get reads path into an answer.
func (a *Admin) Get(ctx context.Context, path string, into any) error {
	return a.do(ctx, http.MethodGet, path, "", nil, into)
}

func (a *Admin) do(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	req.Header.Set("Authorization", "Bearer "+a.secret)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return fetch(a.http, req, into)
}

// statusError is an answer of another status than 2xx.
type statusError struct {
	status int
	said   string
}

func (e *statusError) Error() string { return e.said }

// fetch sends a request and decodes a JSON answer; another status than 2xx is an error with what the server said.
func fetch(client *http.Client, req *http.Request, into any) error {
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", req.URL.Path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	if err != nil {
		return fmt.Errorf("read %s: %w", req.URL.Path, err)
	}
	if resp.StatusCode/100 != 2 {
		return &statusError{resp.StatusCode, fmt.Sprintf("%s %s answered %d: %s", req.Method, req.URL.Path, resp.StatusCode, bytes.TrimSpace(text[:min(len(text), 2000)]))}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode %s: %w", req.URL.Path, err)
	}
	return nil
}
