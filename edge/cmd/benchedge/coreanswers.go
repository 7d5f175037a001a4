package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// register keeps a token key, as core does.
func (c *feedingCore) register(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ID     uuid.UUID     `json:"key_id"`
		Public lottery.Hex32 `json:"public_key"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		http.Error(w, "no key", http.StatusBadRequest)
		return
	}
	c.keys.Store(body.ID, ed25519.PublicKey(body.Public[:]))
	writeJSON(w, map[string]any{
		"event": benchEvent, "generation": 1, "identity": "device", "pseudonym_key": lottery.Hex32{1},
		"pass_keys": filterKeys(), "session_filter_keys": filterKeys(),
	})
}

// acknowledge acknowledges whatever entrants come. The receipts are as long as real ones.
func (c *feedingCore) acknowledge(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	receipt := base64.RawURLEncoding.EncodeToString(make([]byte, lottery.ReceiptSize))
	one := []byte(`{"window":1,"band":0,"reason":0,"receipt":"` + receipt + `"}`)
	out := []byte(`{"acks":[`)
	for i := range bytes.Count(body, []byte(`{"e":"`)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, one...)
	}
	_, _ = w.Write(append(out, "]}"...)) // the node asks again
}

// sampled is one token in how many whose signature is verified: all are somebody else's work, on core's machine, and would be most of what
// is measured here; some, so that a node that signs anything else is found out.
const sampled = 16

// taken is the answer to a token that is good.
const taken = `{"status":200,"body":{"session":%q,"expires_at":"2030-01-01T00:00:00Z"}}`

// redeem stands in for core: it gives a session for each token, some of which it verifies.
func (c *feedingCore) redeem(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Items []struct {
			Token string `json:"token"`
		} `json:"items"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		http.Error(w, "no tokens", http.StatusBadRequest)
		return
	}
	session := base64.RawURLEncoding.EncodeToString(make([]byte, admission.SessionSize))
	out := []byte(`{"results":[`)
	for i, item := range body.Items {
		if i > 0 {
			out = append(out, ',')
		}
		if c.redeemed.Add(1)%sampled != 1 {
			out = fmt.Appendf(out, taken, session)
			continue
		}
		if err := c.verify(item.Token); err != nil {
			out = fmt.Appendf(out, `{"status":403,"problem":{"status":403,"code":"token_forged","detail":%q}}`, err.Error())
			continue
		}
		out = fmt.Appendf(out, taken, session)
	}
	_, _ = w.Write(append(out, "]}"...))
}

func (c *feedingCore) verify(text string) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	token, err := admission.Parse(raw)
	if err != nil {
		return err
	}
	key, known := c.keys.Load(token.KeyID)
	if !known {
		return fmt.Errorf("the key %s was never registered", token.KeyID)
	}
	_, err = admission.Verify(raw, key.(ed25519.PublicKey), time.Now())
	return err
}

// seats tells what is left of the event once, and then has no news.
func (c *feedingCore) seats(w http.ResponseWriter, r *http.Request) {
	var body struct {
		WaitMS int `json:"wait_ms"`
		Events []struct {
			Event string `json:"event"`
			ID    string `json:"id"`
		} `json:"events"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		http.Error(w, "no question", http.StatusBadRequest)
		return
	}
	for _, e := range body.Events {
		if e.ID == "" {
			_, _ = fmt.Fprintf(w, `{"events":[{"event":%q,"epoch":"bench","seq":1,"geometry":"%032d","snapshot":{"id":"bench-1","geometry":"%032d",`+
				`"states":%q,"sections":[{"id":"A","left":80000}],"tiers":[{"id":"lower","left":80000}]},"deltas":[]}]}`, e.Event, 1, 1,
				base64.StdEncoding.EncodeToString(make([]byte, benchSeats/4)))
			return
		}
	}
	select {
	case <-time.After(time.Duration(body.WaitMS) * time.Millisecond):
	case <-r.Context().Done():
	}
	writeJSON(w, map[string]any{"events": []any{}})
}

// benchSeats is how many seats the event shows to those who shop: a stadium.
const benchSeats = 80_000
