package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const arena = "../../../configs/events/arena.yaml"

// get makes a request of a buyer and returns status, headers and body.
func (r *rig) get(path, match string) (int, http.Header, []byte) {
	r.t.Helper()
	req := r.request("edge", http.MethodGet, path, nil)
	req.Header.Set("If-None-Match", match)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, body
}

type seatsAnswer struct {
	ID       string `json:"id"`
	Geometry string `json:"geometry"`
	States   []byte `json:"states"`
	Sections []struct {
		ID   string `json:"id"`
		Left int    `json:"left"`
	} `json:"sections"`
}

func (a *seatsAnswer) state(n int) int { return int(a.States[n/4] >> (2 * (n % 4)) & 3) }

type newsAnswer struct {
	Events []struct {
		Event    string       `json:"event"`
		Problem  string       `json:"problem"`
		Epoch    string       `json:"epoch"`
		Seq      uint64       `json:"seq"`
		Snapshot *seatsAnswer `json:"snapshot"`
		Deltas   []struct {
			Seq  uint64 `json:"seq"`
			Data struct {
				Free, Held []int
			} `json:"data"`
		} `json:"deltas"`
	} `json:"events"`
}

type wanted struct {
	Event string `json:"event"`
	ID    string `json:"id"`
}

// ask is an edge's question for what has changed; it may be asked beside the test's goroutine.
func (r *rig) ask(watcher string, wait time.Duration, events ...wanted) (n newsAnswer, err error) {
	req := r.request("edge", http.MethodPost, "/edge/v1/availability", map[string]any{"watcher": watcher, "wait_ms": wait.Milliseconds(), "events": events})
	req.Header.Set("Fairgate-Edge", r.edgeToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return n, err
	}
	defer resp.Body.Close()
	return n, json.NewDecoder(resp.Body).Decode(&n)
}

func TestSeatsAreToldCompactlyAndEdgesOfEveryChange(t *testing.T) {
	r := newRig(t, arena)
	slug, _ := r.firstEvent()
	all := r.open(slug, 1)
	r.admit(slug, all...)

	var seats seatsAnswer
	status, header, body := r.get("/v1/events/"+slug+"/seats", "")
	if err := json.Unmarshal(body, &seats); status != 200 || err != nil || header.Get("ETag") != strconv.Quote(seats.ID) {
		t.Fatalf("%d %v %s: %v", status, header, body, err)
	}
	if status, _, _ := r.get("/v1/events/"+slug+"/seats", header.Get("ETag")); status != 304 {
		t.Errorf("what has not changed is answered %d", status)
	}
	// Row A of section 101, 29 seats, is the sponsor's; row B is on sale.
	if seats.state(0) != 3 || seats.state(28) != 3 || seats.state(29) != 0 {
		t.Errorf("states %d, %d, %d", seats.state(0), seats.state(28), seats.state(29))
	}
	path := "/v1/events/" + slug + "/seats/geometry/"
	status, header, body = r.get(path+seats.Geometry, "")
	var geometry struct {
		Seats    int
		Sections []struct {
			ID, Tier string
			Rows     [][]json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &geometry); status != 200 || err != nil || !strings.Contains(header.Get("Cache-Control"), "immutable") {
		t.Fatalf("%d %v %s: %v", status, header, body, err)
	}
	if row := geometry.Sections[0].Rows[1]; (geometry.Seats+3)/4 != len(seats.States) || geometry.Sections[0].ID != "101" || string(row[0]) != `"B"` || string(row[2]) != "29" {
		t.Errorf("%d seats, %+v", geometry.Seats, geometry.Sections[0])
	}
	for path, code := range map[string]string{
		path + strings.Repeat("0", 32): "geometry_unknown", "/v1/events/nowhere/seats": "event_unknown", "/v1/events/No-where/seats": "event_unknown",
	} {
		if got := r.code(r.request("edge", http.MethodGet, path, nil), 404); got != code {
			t.Errorf("%s: %s", path, got)
		}
	}

	// An edge that has seen this is told of the next commit; it waits until then.
	answers := make(chan newsAnswer, 1)
	go func() {
		n, err := r.ask("one", 10*time.Second, wanted{slug, seats.ID})
		if err != nil {
			t.Error(err)
		}
		answers <- n
	}()
	if got := r.hold(slug, all[0], "k", `[{"seats":["101/B/1","101/B/2"]}]`); got.Status != http.StatusCreated {
		t.Fatalf("hold: %d %s", got.Status, got.Problem.Code)
	}
	n := <-answers
	if len(n.Events) != 1 || n.Events[0].Snapshot != nil || len(n.Events[0].Deltas) == 0 {
		t.Fatalf("told %+v", n)
	}
	e := n.Events[0]
	if held := e.Deltas[0].Data.Held; len(held) != 2 || held[0] != 29 || held[1] != 30 {
		t.Errorf("held %v", held)
	}
	id := e.Epoch + "-" + strconv.FormatUint(e.Seq, 10)
	if n, err := r.ask("", 0, wanted{slug, id}); err != nil || len(n.Events) != 0 {
		t.Errorf("nothing has changed, and it is told %+v, %v", n, err)
	}
	if n, err := r.ask("", time.Second, wanted{slug, ""}); err != nil || len(n.Events) != 1 || n.Events[0].Snapshot == nil || n.Events[0].Snapshot.state(29) != 1 {
		t.Errorf("whoever has seen nothing is told %+v, %v", n, err)
	} else if last := len(n.Events[0].Deltas) - 1; last < 0 || n.Events[0].Deltas[last].Seq != n.Events[0].Seq {
		t.Errorf("the changes that led there: %+v", n.Events[0].Deltas)
	}
	if n, err := r.ask("", 5*time.Second, wanted{"nowhere", ""}); err != nil || len(n.Events) != 1 || n.Events[0].Problem != "event_unknown" {
		t.Errorf("an unknown event: %+v, %v", n, err)
	}

	// A second question of the same edge ends the first, another edge's does not.
	began := time.Now()
	first, other := make(chan newsAnswer, 1), make(chan newsAnswer, 1)
	for name, into := range map[string]chan newsAnswer{"one": first, "two": other} {
		go func() {
			n, err := r.ask(name, 8*time.Second, wanted{slug, id})
			if err != nil {
				t.Error(err)
			}
			into <- n
		}()
	}
	for answered := false; !answered; {
		if _, err := r.ask("one", time.Millisecond, wanted{slug, id}); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-first:
			answered = true
			if len(n.Events) != 0 {
				t.Errorf("told %+v", n)
			}
		default:
		}
		if time.Since(began) > 7*time.Second {
			t.Fatal("the first question still waits")
		}
	}
	select {
	case n := <-other:
		t.Errorf("the other edge was answered %+v", n)
	default:
	}
	if got := r.hold(slug, all[0], "k2", `[{"seats":["101/B/3"]}]`); got.Status != http.StatusCreated {
		t.Fatalf("hold: %d %s", got.Status, got.Problem.Code)
	}
	if n := <-other; len(n.Events) != 1 {
		t.Errorf("the other edge was told %+v", n)
	}
	many := make([]wanted, 1001)
	req := r.request("edge", http.MethodPost, "/edge/v1/availability", map[string]any{"events": many})
	req.Header.Set("Fairgate-Edge", r.edgeToken)
	if code := r.code(req, 400); code != "bad_request" {
		t.Errorf("too many events: %s", code)
	}
}
