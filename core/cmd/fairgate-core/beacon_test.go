package main

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

func TestADrawThatWaitsForItsBeaconIsHeldOnceTheOperatorTellsTheValue(t *testing.T) {
	r := newRig(t, club)
	slug, _ := r.firstEvent()
	const name = "round 4242 of the beacon"
	sale := "/admin/v1/events/" + slug + "/onsale"
	tell := func(value string) *http.Request {
		return r.request("admin", http.MethodPost, "/admin/v1/events/"+slug+"/lottery/beacon", map[string]any{"value": value})
	}
	later := time.Now().Add(time.Hour)
	refused := func(what string, req *http.Request, status int, want string) {
		t.Helper()
		if code := r.code(req, status); code != want {
			t.Errorf("%s: %s, want %s", what, code, want)
		}
	}
	refused("a name of two lines", r.request("admin", http.MethodPost, sale+"/schedule", map[string]any{"opens_at": later, "beacon": "a\nb"}), 422, "beacon_name_invalid")
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"opens_at": later, "joining_at": time.Now().Add(-time.Second), "beacon": name}, http.StatusOK, nil)
	refused("another name", r.request("admin", http.MethodPost, sale+"/schedule", map[string]any{"opens_at": later, "beacon": "round 4243"}), 409, "beacon_fixed")
	value := hex.EncodeToString([]byte("8b1c"))
	refused("a value before the seal", tell(value), 425, "beacon_early")
	refused("no value", tell(""), 422, "beacon_value_invalid")
	refused("a value that is no hex", tell("xyz"), 400, "bad_json")

	r.admin(http.MethodPost, sale+"/open", nil, http.StatusOK, nil)
	var status struct {
		Phase  string `json:"phase"`
		Beacon struct {
			Name, Value string
			Due         bool
		} `json:"beacon"`
	}
	look := func() { r.admin(http.MethodGet, sale, nil, http.StatusOK, &status) }
	for deadline := time.Now().Add(15 * time.Second); !status.Beacon.Due; time.Sleep(50 * time.Millisecond) {
		if look(); time.Now().After(deadline) {
			t.Fatalf("the seal did not come: %+v", status)
		}
	}
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/lottery/beacon", map[string]any{"value": value}, http.StatusOK, nil)
	refused("another value", tell(value+"00"), 409, "beacon_known")
	for deadline := time.Now().Add(15 * time.Second); status.Phase != "open"; time.Sleep(50 * time.Millisecond) {
		if look(); time.Now().After(deadline) {
			t.Fatalf("the sale did not open: %+v", status)
		}
	}
	var raw json.RawMessage
	r.admin(http.MethodGet, "/admin/v1/events/"+slug+"/lottery", nil, http.StatusOK, &raw)
	transcript, err := lottery.ParseTranscript(raw)
	if err != nil {
		t.Fatal(err)
	}
	if v := transcript.Verify(lottery.Evidence{Beacon: []byte("8b1c")}); !v.OK() || transcript.BeaconName != name {
		t.Errorf("%q\n%s", transcript.BeaconName, v)
	}
}
