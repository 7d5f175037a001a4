package main

import (
	"bytes"
	"encoding/hex"
	"image/png"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
	"fairgate/loadtest/paysim"
)

// with is the club's event with more in its file.
func (r *rig) with(more string) {
	r.t.Helper()
	text, err := os.ReadFile(club)
	if err != nil {
		r.t.Fatal(err)
	}
	r.admin(http.MethodPut, "/admin/v1/events", string(text)+more, http.StatusOK, nil)
}

// picture asks for a ticket's picture.
func (r *rig) picture(s *shopper, id uuid.UUID, media string) []byte {
	r.t.Helper()
	req := r.as(s, http.MethodGet, "/v1/tickets/"+id.String(), nil)
	req.Header.Set("Accept", media)
	answer := r.raw(req)
	if answer.status != http.StatusOK || answer.header.Get("Content-Type") != media || answer.header.Get("Cache-Control") != "private, no-store" {
		r.t.Fatalf("picture: %d, %v", answer.status, answer.header)
	}
	return answer.body
}

func TestARotatingCodeIsShownToItsOwnerAndVerifiedWithExportedKeys(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\ngates: {rotating: true}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.bought(s, slug, tier, 1)
	var shown struct {
		ID       uuid.UUID `json:"id"`
		Code     string    `json:"code"`
		Epoch    uint32    `json:"epoch"`
		Rotating struct {
			Seed, Algorithm, Period string
			Digits                  int
		} `json:"rotating"`
	}
	r.call(r.as(s, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String(), nil), http.StatusOK, &shown)
	seed, err := hex.DecodeString(shown.Rotating.Seed)
	if err != nil || len(seed) != code.SeedSize || shown.Rotating.Period != "15s" || shown.Rotating.Digits != 8 || shown.Rotating.Algorithm != "SHA1" {
		t.Fatalf("rotating: %+v", shown.Rotating)
	}
	reader := r.reader(slug)
	reader.Rotating = true
	reader.GateKeys = [][]byte{r.gateKey(slug)}
	drawn, err := png.Decode(bytes.NewReader(r.picture(s, shown.ID, "image/png")))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(drawn)
	if err != nil {
		t.Fatal(err)
	}
	// The picture is looked at as it is drawn: of one look at a photograph of a random code, this decoder fails one in a hundred.
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"in the picture": read.GetText(), "made from the seed": code.Rotate(shown.Code, seed, time.Now())} {
		if c, err := reader.Read(text, time.Now()); err != nil || c.TicketID != shown.ID || !strings.HasPrefix(text, shown.Code+".") {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if svg := r.picture(s, shown.ID, "image/svg+xml"); !bytes.HasPrefix(svg, []byte("<svg ")) {
		t.Errorf("%.60s", svg)
	}

	// After the keys are rotated the old code is good, and the ring has both.
	for range 2 { // the answer is lost once
		r.admin(http.MethodPost, "/admin/v1/tickets/keys:rotate", map[string]any{"event": slug, "key": "ticket", "newest": 1}, http.StatusOK, nil)
	}
	if reader := r.reader(slug); len(reader.Keys) != 2 || reader.Keys[0].No != 2 {
		t.Errorf("keys %+v", reader.Keys)
	} else if _, err := reader.Read(shown.Code, time.Now()); err != nil {
		t.Errorf("a code of the first key: %v", err)
	}
	for want, body := range map[string]map[string]any{
		"key_not_newest": {"event": slug, "key": "ticket", "newest": 7},
		"bad_request":    {"event": slug, "key": "session", "newest": 1},
		"event_unknown":  {"event": "nowhere", "key": "ticket", "newest": 1},
	} {
		status := map[string]int{"key_not_newest": 409, "bad_request": 400, "event_unknown": 404}[want]
		if got := r.code(r.request("admin", http.MethodPost, "/admin/v1/tickets/keys:rotate", body), status); got != want {
			t.Errorf("%v: %s, want %s", body, got, want)
		}
	}
}

// reader verifies codes with the keys that core exports, and nothing else.
func (r *rig) reader(slug string) *code.Reader {
	r.t.Helper()
	var exported struct {
		EventID uuid.UUID `json:"event_id"`
		Keys    []struct {
			No     uint32
			Public string
		} `json:"keys"`
	}
	r.admin(http.MethodGet, "/admin/v1/tickets/keys?event="+slug, nil, http.StatusOK, &exported)
	reader := &code.Reader{Event: exported.EventID}
	for _, k := range exported.Keys {
		public, err := hex.DecodeString(k.Public)
		if err != nil || len(public) != 32 {
			r.t.Fatalf("public key %q", k.Public)
		}
		reader.Keys = append(reader.Keys, lottery.PublicKey{No: k.No, Public: lottery.Hex32(public)})
	}
	return reader
}

// gateKey is what no one but gates is told, read from the table.
func (r *rig) gateKey(slug string) (key []byte) {
	r.t.Helper()
	const sql = `SELECT secret FROM keys WHERE purpose = 'gate' AND scope = $1 ORDER BY number DESC LIMIT 1`
	if err := r.db.Pool.QueryRow(r.t.Context(), sql, lottery.EventID(slug).String()).Scan(&key); err != nil {
		r.t.Fatal(err)
	}
	return key
}
