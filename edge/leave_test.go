package edge

import (
	"net/http"
	"strings"
	"testing"
)

func TestWhoLeavesTheWaitingRoomIsForgottenAndComesBackAsTheSameEntrant(t *testing.T) {
	_, _, n, b := formWorld(t, "device")
	entrant := func() string {
		t.Helper()
		r := b.do(n, "POST", "/q/arena/join", "{}")
		_, rest, ok := strings.Cut(string(r.body), `"entrant":"`)
		if r.status != http.StatusOK || !ok {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return rest[:32]
	}
	first := entrant()
	for range 2 {
		if r := b.do(n, "POST", "/q/arena/leave", ""); r.status != http.StatusNoContent {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if r := b.do(n, "GET", "/q/arena/place", ""); r.status != http.StatusSeeOther {
		t.Errorf("who has left still has a place: %d %s", r.status, r.body)
	}
	if again := entrant(); again != first {
		t.Errorf("came back as %s, was %s", again, first)
	}
	if r := b.do(n, "POST", "/q/arena/leave", "", asForm); r.status != http.StatusSeeOther || r.header.Get("Location") != "/e/arena" {
		t.Errorf("left by a form: %d to %q", r.status, r.header.Get("Location"))
	}
	if r := b.do(n, "POST", "/q/nothing/leave", ""); r.status != http.StatusNotFound {
		t.Errorf("left a room that is not there: %d", r.status)
	}
	if r := b.do(n, "POST", "/q/arena/leave", "", "Origin: https://elsewhere.example"); r.status != http.StatusForbidden {
		t.Errorf("thrown out by somebody else's page: %d", r.status)
	}
	if r := b.do(n, "GET", "/q/arena/leave", ""); r.status != http.StatusMethodNotAllowed {
		t.Errorf("left by looking: %d", r.status)
	}
}
