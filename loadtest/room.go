package loadtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"fairgate/edge/lottery"
)

// The waiting room from a visitor's side: join, watch the state object, claim.

// joinBody is the answer of POST /q/{event}/join.
type joinBody struct {
	Entrant      string  `json:"entrant"`
	DeviceNew    bool    `json:"device_new"`
	Provisional  bool    `json:"provisional"`
	Window       uint32  `json:"window"`
	Band         uint8   `json:"band"`
	Generation   uint32  `json:"generation"`
	Pass         string  `json:"pass"`
	Receipt      *string `json:"receipt"`
	RetryAfterMS int64   `json:"retry_after_ms"`
}

// claimBody is the answer of POST /q/{event}/claim.
type claimBody struct {
	AdmissionToken   string `json:"admission_token"`
	SessionExpiresAt string `json:"session_expires_at"`
}

func (v *visitor) joinCall() call {
	return call{op: OpJoin, method: "POST", path: "/q/" + v.run.plan.Event + "/join", body: []byte("{}")}
}

func (v *visitor) claimCall(body string) call {
	return call{op: OpClaim, method: "POST", path: "/q/" + v.run.plan.Event + "/claim", body: []byte(body)}
}

// join enters the waiting room and repeats until the receipt has come, as the page does. arrived is when the visitor meant to
// come. False when ctx ended or the room refused for good.
func (v *visitor) join(ctx context.Context, arrived time.Time) bool {
	for due := arrived; ; {
		a, alive := v.retryFrom(ctx, v.joinCall(), due)
		if !alive {
			return false
		}
		var b joinBody
		if !a.decode(&b) {
			v.misread(OpJoin, a)
			return false
		}
		if !v.accept(b) {
			return false
		}
		if b.Receipt != nil && *b.Receipt != "" {
			v.keepReceipt(*b.Receipt)
			if v.isBuyer() {
				v.run.rec.Latency(OpReceipt, arrived, a.at)
			}
			return true
		}
		due = time.Now().Add(v.jitter(max(time.Duration(b.RetryAfterMS)*time.Millisecond, 50*time.Millisecond)))
		if !v.run.sleepUntil(ctx, due) {
			return false
		}
	}
}

// accept takes the place that a join answered.
func (v *visitor) accept(b joinBody) bool {
	e, err := lottery.ParseEntrant(b.Entrant)
	if err != nil {
		v.problem(OpJoin, answer{status: 200, code: "bad_answer", detail: err.Error()})
		return false
	}
	if v.joined && e != v.entrant {
		// The same browser is the same entrant for the whole on-sale: anything else loses its place.
		v.problem(OpJoin, answer{status: 200, code: "entrant_changed", detail: "the same browser joined as another entrant"})
	}
	if !v.isBuyer() && (!v.joined || e != v.entrant) {
		v.run.witness.Bot(e, v.kind.String())
		v.run.rec.bot(v.kind, func(f *BotFigures) { f.Entries++ })
	}
	v.joined, v.entrant, v.drawn = true, e, false
	v.place = lottery.Place{Window: b.Window, Band: lottery.Band(b.Band)}
	return true
}

func (v *visitor) keepReceipt(text string) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		v.problem(OpJoin, answer{status: 200, code: "bad_answer", detail: "the receipt is not base64url: " + err.Error()})
		return
	}
	v.run.witness.Receipt(v.entrant, raw)
}

// misread records an answer that was neither an honest refusal nor readable.
func (v *visitor) misread(op Op, a answer) {
	if a.code == "bad_answer" {
		v.problem(op, a)
	}
}

// fate is how waiting ended.
type fate int

const (
	fateCalled fate = iota
	fateSoldOut
	fateEnded // the sale, or the rehearsal
	fateImpatient
	fateRefused // an answer that ends the visit
)

// wait watches the state object until it is the visitor's turn. It polls when the server says, with jitter.
func (v *visitor) wait(ctx context.Context, until time.Time) fate {
	for due := time.Now(); ; {
		s, ok := v.look(ctx, due)
		switch {
		case ctx.Err() != nil:
			return fateEnded
		case !ok:
			return fateRefused
		case v.called(s):
			return fateCalled
		case s.soldOut():
			return fateSoldOut
		case s.ended():
			return fateEnded
		}
		due = time.Now().Add(v.jitter(s.pollAfter()))
		if due.After(until) {
			return fateImpatient
		}
		if !v.run.sleepUntil(ctx, due) {
			return fateEnded
		}
	}
}

// look fetches the state object. A state seen before, by whichever visitor, is not decoded again.
func (v *visitor) look(ctx context.Context, due time.Time) (*roomState, bool) {
	c := call{op: OpState, method: "GET", path: "/q/" + v.run.plan.Event + "/state", etag: v.etag, known: v.run.states.known}
	a, alive := v.retryFrom(ctx, c, due)
	if !alive || !a.ok() {
		return nil, false
	}
	if a.code == "not_modified" && a.etag == "" {
		a.etag = v.etag
	}
	s, err := v.run.states.learn(a)
	if err != nil {
		v.problem(OpState, answer{status: a.status, code: "bad_answer", detail: err.Error()})
		return nil, false
	}
	v.etag = a.etag
	return s, true
}

// called works out the visitor's own value once its window is drawn, and whether the cursor has passed it.
func (v *visitor) called(s *roomState) bool {
	if !v.drawn {
		seed, ok := s.seed(v.place.Window)
		if !ok {
			return false
		}
		v.place.Value, v.drawn = lottery.Value(seed, v.entrant), true
	}
	return s.Called(v.place)
}

// claim asks for the session and goes on asking as long as it is told to wait.
func (v *visitor) claim(ctx context.Context) (claimBody, bool) {
	a, alive := v.retry(ctx, v.claimCall("{}"))
	for tries := 0; alive && asks(a) && v.isBuyer() && tries < asksAtMost; tries++ {
		v.run.rec.gauges.challenged.Add(1)
		if !v.prove(ctx, a) {
			break
		}
		a, alive = v.retry(ctx, v.claimCall("{}"))
	}
	if alive && asks(a) {
		v.problem(OpClaim, a) // stuck
	}
	var b claimBody
	if !alive || !a.decode(&b) {
		v.misread(OpClaim, a)
		return claimBody{}, false
	}
	if _, ok := v.jar.find("fg_session_" + v.run.plan.Event); !ok {
		v.problem(OpClaim, answer{status: a.status, code: "bad_answer", detail: "the claim set no session cookie"})
		return claimBody{}, false
	}
	return b, true
}

// leak puts what a careless buyer might give away into the pot.
func (v *visitor) leak(l loot) {
	l.pass, _ = v.jar.find("fg_pass_" + v.run.plan.Event)
	l.session, _ = v.jar.find("fg_session_" + v.run.plan.Event)
	v.run.pot.put(l)
}

func jsonBody(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("loadtest: a request body of plain values cannot fail to encode: " + err.Error())
	}
	return b
}
