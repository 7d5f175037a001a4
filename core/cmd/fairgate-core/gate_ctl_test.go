package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"net/http"

	"fairgate/ctl"
	"fairgate/loadtest/paysim"
)

// ticketctl runs the operators' tool against the rig's core.
func (r *rig) ticketctl(stdin string, want int, args ...string) string {
	r.t.Helper()
	r.t.Setenv("HOME", r.t.TempDir())
	r.t.Setenv("FAIRGATE_CTL_CORE", r.servers["admin"].URL)
	r.t.Setenv("FAIRGATE_CTL_SECRET_FILE", filepath.Join(r.cfg.Secrets.Dir, "admin.secret"))
	var out, complaints bytes.Buffer
	if got := ctl.Run(r.t.Context(), ctl.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &complaints}, args); got != want {
		r.t.Fatalf("ticketctl %v ends with %d, not %d:\n%s%s", args, got, want, out.String(), complaints.String())
	}
	return out.String() + complaints.String()
}

// says checks that a text has lines that begin so.
func (r *rig) says(text string, lines ...string) {
	r.t.Helper()
	got := strings.Split(strings.TrimSpace(text), "\n")
	if len(got) != len(lines) {
		r.t.Errorf("%d lines, not %d:\n%s", len(got), len(lines), text)
		return
	}
	for i, line := range lines {
		if strings.Join(strings.Fields(got[i]), " ") != line && !strings.HasPrefix(strings.Join(strings.Fields(got[i]), " "), line+" ") {
			r.t.Errorf("line %d is %q, not %q", i+1, got[i], line)
		}
	}
}

func TestTicketctlIsAGateOnLineAndOff(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\ngates: {reentry: after_exit, zones: [{id: cellar, tiers: [door]}]}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.bought(s, slug, tier, 3)
	a, b, c := r.codeOf(s, o.Tickets[0]), r.codeOf(s, o.Tickets[1]), r.codeOf(s, o.Tickets[2])
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }

	r.ticketctl("", 0, "gates", "add", slug, "north", "--zone", "cellar", "--out", file("north.gate"))
	r.ticketctl("", 0, "gates", "add", slug, "south", "--out", file("south.gate"))
	if said := r.ticketctl("", 6, "gates", "add", slug, "south"); !strings.Contains(said, "gate_exists") || !strings.Contains(said, "--replace") {
		t.Error(said)
	}
	if said := r.ticketctl("", 5, "gates", "add", slug, "west", "--zone", "roof"); !strings.Contains(said, "zone_unknown") || !strings.Contains(said, "Take one of cellar") {
		t.Error(said)
	}
	r.ticketctl("", 0, "gates", "add", slug, "south", "--out", file("south.gate"), "--replace")
	if info, err := os.Stat(file("north.gate")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	online := []string{"scan", "--gate-url", r.servers["gate"].URL, "--credential-file", file("north.gate")}
	long := strings.Repeat("A", 7000) // as much as a QR code has room for
	r.says(r.ticketctl(a+"\n\n"+a+"\nhttps://example.org\nundo wrong person\n"+a+"\n"+long+"\nundo oak wrong person\n"+a+"\n", 0, append(online, "--undo-word", "oak")...),
		"PASS door", "STOP ticket_inside", "STOP code_malformed", "STOP undo_word", "STOP ticket_inside", "STOP code_malformed", "STOP undone", "PASS door")
	r.says(r.ticketctl("undo  \nundo oak me\n", 0, online...), "STOP undo_word", "STOP undo_word") // whoever is next holds that up
	r.says(r.ticketctl(a+"\n", 0, append(online, "--out")...), "PASS door")
	if said := r.ticketctl(a+"\n", 0, append(online, "--json")...); !strings.Contains(said, `"pass":true`) {
		t.Error(said)
	}

	r.says(r.ticketctl("", 0, "pack", slug, "--out", file("club.pack"))[:4], "pack")
	r.call(r.keyed(r.request("admin", http.MethodPost, "/admin/v1/orders/"+o.ID.String()+"/refunds", map[string]any{"reason": "ill", "tickets": []uuid.UUID{o.Tickets[2]}}), "one"), http.StatusCreated, nil)
	whole, err := os.ReadFile(file("club.pack"))
	if err != nil {
		t.Fatal(err)
	}
	said := r.ticketctl("", 0, "pack", slug, "--out", file("club.pack")) // a delta behind it
	longer, err := os.ReadFile(file("club.pack"))
	if err != nil || !bytes.HasPrefix(longer, whole) || len(longer) == len(whole) || !strings.Contains(said, "dead codes  1") {
		t.Errorf("%d bytes became %d: %s, %v", len(whole), len(longer), said, err)
	}
	key := strings.Fields(said[strings.LastIndex(said, "key "):])[1]
	offline := []string{"scan", "--pack", file("club.pack"), "--key", key, "--gate", "north", "--zone", "cellar", "--log", file("north.log")}
	r.says(r.ticketctl(b+"\n"+b+"\n"+c+"\nhttps://example.org\n", 0, offline...), "PASS door", "STOP ticket_inside", "STOP ticket_void", "STOP code_malformed", "off line with a pack of", "WARNING: tickets change hands until")
	r.says(r.ticketctl(b+"\n"+a+"\n", 0, offline...), "STOP ticket_inside", "PASS door", "off line with a pack of", "WARNING: tickets change hands until") // started again; that a is inside it cannot know
	r.ticketctl("", 6, append(offline, "--key", strings.Repeat("0", 64))...)
	r.ticketctl("", 2, "scan", "--pack", file("club.pack"))

	r.ticketctl("", 0, "tickets", "keys", slug, "--rotate", "pack")
	said = r.ticketctl("", 0, "pack", slug, "--out", file("club.pack"))
	other := strings.Fields(said[strings.LastIndex(said, "key "):])[1]
	if other == key {
		t.Error("the pack is still signed with the key before")
	}
	r.says(r.ticketctl(c+"\n", 0, "scan", "--pack", file("club.pack"), "--key", other, "--gate", "west", "--log", file("west.log")), "STOP ticket_void", "off line with a pack of", "WARNING: tickets change hands until")

	merge := []string{"scan", "merge", file("north.log"), "--gate-url", r.servers["gate"].URL, "--credential-file"}
	for _, first := range []string{"6 records, 6 of them new", "6 records, 0 of them new"} {
		r.says(r.ticketctl("", 0, append(merge, file("north.gate"))...), first, "WHAT TICKET PLACE GATE AT BEFORE AT", "duplicate "+o.Tickets[0].String()+" door north")
	}
	if said := r.ticketctl("", 6, append(merge, file("south.gate"))...); !strings.Contains(said, "gate_unauthorized") {
		t.Error(said)
	}
	r.ticketctl("", 0, "scan", "merge", file("north.log"), "--event", slug)
	r.says(r.ticketctl("", 0, "gates", "findings", slug), "WHAT", "duplicate")
	r.says(r.ticketctl("", 0, "gates", "counts", slug), "GATE ZONE", "north cellar 4 1 8 1 1", "", "ZONE ENTERED INSIDE", "cellar 2 2")
	r.ticketctl("", 0, "gates", "revoke", slug, "north")
	r.says(r.ticketctl("", 0, "gates", "list", slug), "GATE ZONE", "north cellar", "south -")
	r.ticketctl(a+"\n", 6, online...)
}
