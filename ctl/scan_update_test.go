package ctl

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/gate"
	"fairgate/edge/lottery"
)

var packSigner = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))

// listener is a gate listener that answers as it is told to.
type listener struct {
	asked  []string // since when, of each request
	answer func(since string) []byte
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	since := r.URL.Query().Get("since")
	l.asked = append(l.asked, since)
	sealed := l.answer(since)
	if r.URL.Path != "/gate/v1/pack" || r.Header.Get("Authorization") != "Bearer north" || sealed == nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"pack": sealed})
}

// packAt is the arena's pack of so many minutes ago, in which so many codes are dead; with a base a delta.
func packAt(minutes, dead int, base time.Time) *gate.Pack {
	p := &gate.Pack{Event: lottery.EventID("arena"), Slug: "arena", AsOf: time.Now().UTC().Truncate(time.Minute).Add(-time.Duration(minutes) * time.Minute), Base: base,
		Rules: gate.Rules{ClosesAt: time.Now().Add(time.Hour)}, States: map[uuid.UUID]gate.State{}}
	for i := range dead {
		p.States[uuid.NewSHA1(p.Event, []byte{byte(i)})] = gate.StateOf(1, true)
	}
	p.Version = gate.Sum(p.States)
	return p
}

// updateOf is a gate with a pack of ten minutes ago and two dead codes, and the listener that it asks.
func updateOf(t *testing.T) (*packUpdate, *listener, *bytes.Buffer) {
	t.Helper()
	l := &listener{}
	core := httptest.NewServer(l)
	t.Cleanup(core.Close)
	dir := t.TempDir()
	pack := filepath.Join(dir, "arena.pack")
	if err := os.WriteFile(pack, gate.Append(nil, packAt(10, 2, time.Time{}).Seal(packSigner)), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := openGate(scanFlags{pack: pack, key: hexKey(packSigner), log: filepath.Join(dir, "north.log"), gate: "north"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.gate.Close() })
	said := &bytes.Buffer{}
	u.tool = &tool{env: Env{Stderr: said}}
	if u.client, err = newClient(core.URL, "north", time.Second); err != nil {
		t.Fatal(err)
	}
	return u, l, said
}

func hexKey(key ed25519.PrivateKey) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, b := range key.Public().(ed25519.PublicKey) {
		out.WriteByte(digits[b>>4])
		out.WriteByte(digits[b&15])
	}
	return out.String()
}

// saved is the pack with which the gate would start again.
func saved(t *testing.T, u *packUpdate) *gate.Pack {
	t.Helper()
	file, err := os.ReadFile(u.path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := gate.Load(file, u.key)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(u.path + "*.new"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return p
}

func TestAPackIsBroughtUpToDateByADeltaOrWhole(t *testing.T) {
	u, l, said := updateOf(t)
	since := u.pack.AsOf
	l.answer = func(string) []byte { return packAt(5, 3, since).Seal(packSigner) }
	u.attempt(t.Context())
	if p := saved(t, u); len(l.asked) != 1 || l.asked[0] != since.Format(time.RFC3339Nano) || len(p.States) != 3 || u.pack.Version != p.Version {
		t.Errorf("asked %v, %d dead codes: %s", l.asked, len(p.States), said)
	}
	for range 2 { // no news
		u.attempt(t.Context())
	}
	if strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), "with 3 dead codes") {
		t.Errorf("%s", said)
	}
	l.answer = func(since string) []byte {
		if since != "" { // a delta that lacks what changed
			d := packAt(3, 9, u.pack.AsOf)
			clear(d.States)
			return d.Seal(packSigner)
		}
		return packAt(3, 9, time.Time{}).Seal(packSigner)
	}
	u.attempt(t.Context())
	if p := saved(t, u); len(p.States) != 9 || l.asked[len(l.asked)-1] != "" {
		t.Errorf("asked %v, %d dead codes: %s", l.asked, len(p.States), said)
	}
	u.file = append(u.file, 0, 0, 9, 9, 1) // its last delta is torn
	l.answer = func(since string) []byte {
		if since != "" {
			return packAt(2, 10, u.pack.AsOf).Seal(packSigner)
		}
		return packAt(2, 10, time.Time{}).Seal(packSigner)
	}
	u.attempt(t.Context())
	if p := saved(t, u); len(p.States) != 10 {
		t.Errorf("behind a torn delta: %d dead codes: %s", len(p.States), said)
	}
	u.file = append(u.file, make([]byte, smallPack)...) // many deltas later
	l.asked = nil
	u.attempt(t.Context())
	if len(l.asked) != 1 || l.asked[0] != "" || len(u.file) >= smallPack {
		t.Errorf("a file of %d bytes; asked %v", len(u.file), l.asked)
	}
}

func TestAnUpdateThatIsRefusedLeavesThePackInUseAndIsSaidOnce(t *testing.T) {
	u, l, said := updateOf(t)
	since := u.pack.AsOf
	other := packAt(1, 3, since)
	other.Event = uuid.New()
	for _, step := range []struct {
		code   string
		answer []byte
	}{
		{"core_unreachable", nil},
		{"pack_forged", packAt(1, 3, since).Seal(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, ed25519.SeedSize)))},
		{"pack_older", packAt(11, 1, since).Seal(packSigner)},
		{"pack_older", packAt(11, 1, time.Time{}).Seal(packSigner)},
		{"pack_other_event", other.Seal(packSigner)},
		{"pack_gap", packAt(1, 3, since.Add(time.Minute)).Seal(packSigner)},
		{"pack_malformed", []byte("what nobody signed")},
	} {
		said.Reset()
		u.failed = ""
		l.answer = func(since string) []byte {
			if step.code == "pack_gap" && since == "" { // nor is it given the whole
				d := packAt(1, 3, time.Time{})
				d.Base = u.pack.AsOf.Add(time.Minute)
				return d.Seal(packSigner)
			}
			return step.answer
		}
		u.attempt(t.Context())
		u.attempt(t.Context())
		if strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), "("+step.code+")") || !strings.Contains(said.String(), "in use is of "+since.Format(time.RFC3339)) {
			t.Errorf("%s: said %q", step.code, said)
		}
		if p := saved(t, u); len(p.States) != 2 || len(u.pack.States) != 2 || !p.AsOf.Equal(since) {
			t.Errorf("%s: the pack was changed", step.code)
		}
	}
	said.Reset()
	l.answer = func(string) []byte { return packAt(1, 3, since).Seal(packSigner) }
	u.attempt(t.Context())
	if !strings.Contains(said.String(), "was brought up to date") {
		t.Errorf("said %q", said)
	}
}

func TestAGateHasTheNewsThoughThePacksFileCannotBeWritten(t *testing.T) {
	u, l, said := updateOf(t)
	path, since := u.path, u.pack.AsOf
	u.path = filepath.Join(filepath.Dir(path), "gone", "arena.pack")
	l.answer = func(string) []byte { return packAt(5, 3, since).Seal(packSigner) }
	if err := u.update(t.Context()); !errors.Is(err, errUnsaved) || updateCode(err) != "pack_unsaved" || u.pack.Version != 3 {
		t.Fatalf("version %d, %v", u.pack.Version, err)
	}
	u.path = path
	u.attempt(t.Context())
	if p := saved(t, u); len(p.States) != 3 {
		t.Errorf("%d dead codes: %s", len(p.States), said)
	}
}
