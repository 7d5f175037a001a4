package ctl

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/gate"
)

func TestACodeThatGotNoAnswerIsTheSameScanWhenItIsShownAgain(t *testing.T) {
	var ids []uuid.UUID
	core := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ ID uuid.UUID }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		ids = append(ids, body.ID)
		if len(ids) <= scanTries { // core has let it in, and its answer is lost
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"id": body.ID, "tier": "floor"})
	}))
	defer core.Close()
	c, err := newClient(core.URL, "secret", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	o := onLine{c, map[string]uuid.UUID{}}
	if said, err := o.scan(t.Context(), "CODE.12345678", gate.In); err != nil || said.Pass || said.Code != "no_answer" {
		t.Fatalf("%+v, %v", said, err)
	}
	if said, err := o.scan(t.Context(), "CODE.87654321", gate.In); err != nil || !said.Pass || ids[scanTries] != ids[0] {
		t.Errorf("%+v, %v: scan %s, was %s", said, err, ids[scanTries], ids[0])
	}
	if _, err := o.scan(t.Context(), "CODE.87654321", gate.In); err != nil || ids[scanTries+1] == ids[0] {
		t.Errorf("%v: a scan after the answer is the same one", err)
	}
	if _, err := o.scan(t.Context(), "CODE.87654321", gate.Out); err != nil || ids[scanTries+2] == ids[scanTries+1] {
		t.Errorf("%v: out is the scan that went in", err)
	}
}
