package ctl_test

import (
	"net/http"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// waitlist adds a list of three who were drawn.
func (f *fakeCore) waitlist(mux *http.ServeMux) {
	event, secret := lottery.EventID("arena"), [32]byte{7}
	chain, err := lottery.NewChain(lottery.WaitlistID(event), secret, 1)
	if err != nil {
		panic(err)
	}
	t := lottery.WaitlistTranscript{Event: event, Commitment: chain.Commitment(), DrawAt: f.clock, DrawnAt: f.clock, Secret: secret}
	var leaves []lottery.Leaf
	for n := range byte(3) {
		t.Entrants = append(t.Entrants, lottery.Entrant{15: n + 1})
		leaves = append(leaves, lottery.Leaf{Entrant: t.Entrants[n]})
	}
	t.Root = lottery.Root(leaves)
	t.Seed = lottery.Seed(lottery.WaitlistID(event), 0, secret, t.Root, nil)
	mux.HandleFunc("GET /admin/v1/events/{id}/waitlist", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "arena" {
			refuse(w, 404, "waiting_list_none", "This event has no waiting list.")
			return
		}
		offer := map[string]any{"id": uuid.NewString(), "tier": "floor", "quantity": 2, "state": "open", "expires_at": f.clock}
		answer(w, 200, map[string]any{"event": "arena", "open": true, "offer_for": "30m0s", "closes_at": f.clock, "commitment": t.Commitment, "draw_at": f.clock,
			"drawn_at": f.clock, "entrants": 3, "entries": []any{map[string]any{"id": uuid.NewString(), "entrant": t.Entrants[1], "tiers": []string{"floor", "upper"},
				"quantity": 2, "together": true, "state": "offered", "drawn": true, "asked_at": f.clock, "offers": []any{offer}}}})
	})
	mux.HandleFunc("GET /admin/v1/events/{id}/waitlist/transcript", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, t) })
}
