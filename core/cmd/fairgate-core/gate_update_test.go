package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"fairgate/ctl"
	"fairgate/loadtest/paysim"
)

// lines reads line by line what a program says, and waits for it.
type lines struct {
	t    *testing.T
	said *bufio.Scanner
}

// until waits for a line that has a text.
func (l lines) until(text string) {
	l.t.Helper()
	var before []string
	for l.said.Scan() {
		if before = append(before, l.said.Text()); strings.Contains(l.said.Text(), text) {
			return
		}
	}
	l.t.Fatalf("it ended without saying %q, but\n%s", text, strings.Join(before, "\n"))
}

// A gate off line whose network comes back has the news without being started again, and has it when it is started again without one.
func TestARunningGateOffLineTakesUpWhatHappenedWhenCoreComesBack(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\ngates: {reentry: free}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.bought(s, slug, tier, 2)
	revoked, good := r.codeOf(s, o.Tickets[0]), r.codeOf(s, o.Tickets[1])
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	r.ticketctl("", 0, "gates", "add", slug, "north", "--out", file("north.gate"))
	said := r.ticketctl("", 0, "pack", slug, "--out", file("club.pack"))
	key := strings.Fields(said[strings.LastIndex(said, "key "):])[1]
	r.call(r.keyed(r.request("admin", http.MethodPost, "/admin/v1/orders/"+o.ID.String()+"/refunds", map[string]any{"reason": "ill", "tickets": []uuid.UUID{o.Tickets[0]}}), "one"), http.StatusCreated, nil)

	var back atomic.Bool
	network := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !back.Load() {
			panic(http.ErrAbortHandler)
		}
		r.servers["gate"].Config.Handler.ServeHTTP(w, q)
	}))
	defer network.Close()
	offline := []string{"scan", "--pack", file("club.pack"), "--key", key, "--gate", "north", "--log", file("north.log")}
	codes, shown := io.Pipe()
	stdout, out := io.Pipe()
	stderr, complaints := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- ctl.Run(t.Context(), ctl.Env{Stdin: codes, Stdout: out, Stderr: complaints},
			append(offline, "--credential-file", file("north.gate"), "--gate-url", network.URL, "--update-every", "100ms"))
		out.Close()
		complaints.Close()
	}()
	decided, told := lines{t, bufio.NewScanner(stdout)}, lines{t, bufio.NewScanner(stderr)}
	show := func(code, want string) {
		t.Helper()
		if _, err := io.WriteString(shown, code+"\n"); err != nil {
			t.Fatal(err)
		}
		decided.until(want)
	}
	told.until("(core_unreachable)")
	show(revoked, "PASS")
	back.Store(true)
	told.until("with 1 dead codes")
	show(revoked, "STOP  ticket_void")
	show(good, "PASS")
	shown.Close()
	if code := <-ended; code != 0 {
		t.Errorf("it ends with %d", code)
	}
	r.says(r.ticketctl(revoked+"\n"+good+"\n", 0, offline...), "STOP ticket_void", "PASS door", "off line with a pack of", "WARNING: tickets change hands until")
}
