package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

const (
	benchSecret = "the-secret-of-a-benchmark"
	benchEvent  = "arena"
	statePath   = "/q/" + benchEvent + "/state"
	// entrants and quantiles of the state object: an event of some size, in the middle of its sale.
	benchEntrants  = 20_000
	benchQuantiles = 1_000
)

// feedingCore is just enough of core for a node to have a state object to serve, entrants acknowledged, and tokens redeemed: those it
// verifies as core does.
type feedingCore struct {
	url   string
	state []byte
	order []lottery.Drawn // the entrants, all of whom have been called
	srv   *http.Server
	keys  sync.Map // of tokens: key id to ed25519.PublicKey

	redeemed atomic.Uint32
}

func startCore() (*feedingCore, error) {
	state, order, err := benchState()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	c := &feedingCore{url: "http://" + ln.Addr().String(), state: state, order: order}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /edge/v1/enroll", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"edge_token": "bench", "session_filter_keys": filterKeys(), "server_time": time.Now()})
	})
	mux.HandleFunc("POST /edge/v1/keys", c.register)
	mux.HandleFunc("GET /edge/v1/state", c.feed)
	mux.HandleFunc("POST /edge/v1/pool", c.acknowledge)
	mux.HandleFunc("POST /edge/v1/redeem", c.redeem)
	mux.HandleFunc("POST /edge/v1/availability", c.seats)
	mux.HandleFunc("POST /edge/v1/guard", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]any{"lifts_version": 1}) })
	c.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = c.srv.Serve(ln) }() // ends with close
	return c, nil
}

func (c *feedingCore) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.srv.Shutdown(ctx) != nil {
		c.srv.Close()
	}
}

// feed tells the state object once and then, as a core without news does, nothing for as long as it may.
func (c *feedingCore) feed(w http.ResponseWriter, r *http.Request) {
	events := []map[string]string{}
	if r.URL.Query().Get("since") == "0" {
		sum := sha256.Sum256(c.state)
		events = append(events, map[string]string{"slug": benchEvent, "etag": `"` + hex.EncodeToString(sum[:8]) + `"`, "state": string(c.state)})
	} else if wait, err := strconv.Atoi(r.URL.Query().Get("wait_ms")); err == nil {
		select {
		case <-time.After(time.Duration(wait) * time.Millisecond):
		case <-r.Context().Done():
		}
	}
	writeJSON(w, map[string]any{"version": 1, "server_time": time.Now(), "events": events, "live": []string{benchEvent}})
}

func filterKeys() lottery.MACKeys { return lottery.MACKeys{{No: 1, Key: lottery.Hex32{2}}} }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the node asks again
}

// benchState is a state object as core builds it, everybody in it called, and the order of the draw.
func benchState() ([]byte, []lottery.Drawn, error) {
	event := lottery.EventID(benchEvent)
	chain, err := lottery.NewChain(event, [32]byte{3}, 4096)
	if err != nil {
		return nil, nil, fmt.Errorf("make the chain: %w", err)
	}
	leaves := make([]lottery.Leaf, benchEntrants)
	for i := range leaves {
		id := uuid.NewSHA1(event, []byte(strconv.Itoa(i)))
		leaves[i] = lottery.Leaf{Entrant: lottery.Entrant(id)}
	}
	root := lottery.Root(leaves)
	secret, err := chain.Secret(0)
	if err != nil {
		return nil, nil, fmt.Errorf("open the chain: %w", err)
	}
	seed := lottery.Seed(event, 0, secret, root, nil)
	order := lottery.Order(seed, 0, leaves)
	now := queue.Instant{Time: time.Now()}
	state := queue.State{
		Event: benchEvent, Generation: 1, Version: 1, Phase: queue.PhaseOpen, ServerTime: now, JoiningAt: now, OpensAt: now,
		EndsAt: queue.Instant{Time: now.Add(time.Hour)}, TimeZone: "Europe/Madrid", WindowSeconds: 30, Identity: "device",
		Commitment: chain.Commitment(), ChainLength: 4096, Joined: benchEntrants, PollAfterMS: 5000,
		Windows: []queue.Window{{
			Sealed: true, Entrants: benchEntrants, Bands: lottery.Summarize(order, benchQuantiles), Root: root, Seed: seed, Secret: secret,
		}},
		Stock: []queue.Stock{{Tier: "floor", Name: "Floor", Left: 1900, Rounded: true, Price: queue.Money{Minor: 6500, Currency: "EUR"}}},
	}
	last := order[len(order)-1].Place()
	state.Cursor, state.CalledCount = &queue.Cursor{Window: last.Window, Band: last.Band, Value: lottery.Fraction(last.Value)}, len(order)
	body, err := state.Encode()
	return body, order, err
}
