package loadtest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"fairgate/edge/guard/challenge"
)

// A person whom the filter takes for a program answers as the page does: the invisible check and proof of work by script, whatever else,
// and without a script, by the form on the challenge's page and the time it states. Being asked is counted; only who cannot get on
// is a problem.

const (
	// provesAtMost is how often the page answers before it shows the other ways.
	provesAtMost = 6
	// asksAtMost is how often a claim may be asked for something and still be answered.
	asksAtMost = 3
)

// askedCodes are the answers that hold a challenge.
var askedCodes = []string{"challenge_required", "challenge_failed", "challenge_expired"}

// asks tells whether an answer asks for a challenge to be met.
func asks(a answer) bool { return a.err == nil && slices.Contains(askedCodes, a.code) }

// asked is the challenge in an answer.
type asked struct {
	Kind  string `json:"kind"`
	Token string `json:"token"`
	Bits  int    `json:"bits"`
}

func challengeOf(a answer) (asked, bool) {
	var body struct {
		Challenge asked `json:"challenge"`
	}
	err := json.Unmarshal(a.body, &body)
	return body.Challenge, err == nil && body.Challenge.Token != ""
}

// prove answers what a claim was asked for, and tells whether the browser was cleared.
func (v *visitor) prove(ctx context.Context, a answer) bool {
	for range provesAtMost {
		got, ok := challengeOf(a)
		if !ok {
			return false
		}
		text := ""
		switch {
		case v.sort == sortNoScript:
			return v.throughTheDoor(ctx)
		case got.Kind == challenge.Check.String():
			text = challenge.SolveCheck(got.Token)
		case got.Kind == challenge.Work.String():
			text, _ = challenge.Solve(got.Token, got.Bits)
		default:
			return v.throughTheDoor(ctx)
		}
		var alive bool
		a, alive = v.retry(ctx, call{
			op: OpClaim, method: http.MethodPost, path: v.challengePath(), body: jsonBody(map[string]string{"token": got.Token, "answer": text}),
		})
		if !alive || a.ok() {
			return alive
		}
	}
	return false
}

func (v *visitor) challengePath() string { return "/q/" + v.run.plan.Event + "/challenge" }

// doorForm finds the token in the form of the challenge's page.
var doorForm = regexp.MustCompile(`name="token" value="([^"]+)"`)

// throughTheDoor takes the way that needs neither script nor sight: the form, once its time is over.
func (v *visitor) throughTheDoor(ctx context.Context) bool {
	page, alive := v.retry(ctx, call{op: OpClaim, method: http.MethodGet, path: v.challengePath()})
	if !alive || !page.ok() {
		return false
	}
	form := doorForm.FindSubmatch(page.body)
	if form == nil {
		return false
	}
	sent := call{
		op: OpClaim, method: http.MethodPost, path: v.challengePath(), contentType: "application/x-www-form-urlencoded",
		body: []byte(url.Values{"token": {string(form[1])}}.Encode()),
	}
	a, alive := v.retryFrom(ctx, sent, time.Now())
	return alive && a.ok() // the redirection back to the event
}
