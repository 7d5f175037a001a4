package guard

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"fairgate/edge/guard/challenge"
	"fairgate/edge/guard/score"
)

func verdictOf(points float64, signals ...score.Signal) score.Verdict {
	v := score.Verdict{Score: points}
	for level, from := range []float64{0, 30, 50, 70} {
		if points >= from {
			v.Level = score.Level(level)
		}
	}
	for _, s := range signals {
		v.Reasons = append(v.Reasons, score.Reason{Signal: s, Points: 10})
	}
	return v
}

func TestWhatIsAskedRisesWithTheScore(t *testing.T) {
	c := DefaultAnswers()
	many := []score.Signal{score.Honeypot, score.HeadersConflict, score.TooEarly, score.DataCentre}
	for name, x := range map[string]struct {
		verdict score.Verdict
		cleared score.Level
		captcha bool
		asked   int
		want    Answer
	}{
		"a person":                         {verdictOf(20), score.None, true, 0, Answer{}},
		"a little odd":                     {verdictOf(35), score.None, true, 0, Answer{Kind: challenge.Check, Clears: score.Low}},
		"a little odd, checks do not work": {verdictOf(35), score.None, true, 3, Answer{Kind: challenge.Work, Bits: 16, Clears: score.Low}},
		"a little odd and checked":         {verdictOf(35), score.Low, true, 0, Answer{}},
		"odd":                              {verdictOf(50), score.Low, true, 0, Answer{Kind: challenge.Work, Bits: 15, Clears: score.Medium}},
		"odd, asked again and again":       {verdictOf(50), score.Low, true, 100, Answer{Kind: challenge.Work, Bits: 20, Clears: score.Medium}},
		"very odd":                         {verdictOf(75, many...), score.Medium, true, 0, Answer{Kind: challenge.Captcha, Clears: score.High}},
		"very odd, no provider":            {verdictOf(75, many...), score.None, false, 0, Answer{Kind: challenge.Work, Bits: 18, Clears: score.High}},
		"very odd, and has waited":         {verdictOf(75, many...), score.High, true, 0, Answer{}},
		"a program":                        {verdictOf(90, many...), score.High, true, 0, Answer{Deny: true}},
		"a high score for few reasons":     {verdictOf(90, many[:2]...), score.High, true, 0, Answer{}},
	} {
		if got := c.To(x.verdict, x.cleared, x.captcha, x.asked); got != x.want {
			t.Errorf("%s: %+v, want %+v", name, got, x.want)
		}
	}
	c.DenyFrom = 0
	if got := c.To(verdictOf(95, many...), score.High, true, 0); got.Deny {
		t.Error("denied although nobody is to be")
	}
	c.Enabled = false
	if got := c.To(verdictOf(95, many...), score.None, true, 0); got != (Answer{}) {
		t.Errorf("something is done although nothing is to be: %+v", got)
	}
}

func TestNothingIsAskedForOneSignalAndNobodyIsDeniedForFewerThanFour(t *testing.T) {
	c := DefaultAnswers()
	rapid.Check(t, func(t *rapid.T) {
		c.DenyFrom = rapid.Float64Range(lowestDenial, 95).Draw(t, "deny from")
		acted := time.Duration(rapid.IntRange(0, 400).Draw(t, "acted")) * time.Millisecond
		v := score.Judge(score.Observation{
			Headers:  []score.Header{{Name: "User-Agent", Value: rapid.SampledFrom([]string{"curl/8", "Mozilla/5.0"}).Draw(t, "agent")}, {Name: "Host", Value: "x"}},
			Honeypot: rapid.Bool().Draw(t, "honeypot"), Early: rapid.IntRange(0, 9).Draw(t, "early"), Entrants: rapid.IntRange(0, 20).Draw(t, "entrants"),
			Strangers: rapid.IntRange(0, 5).Draw(t, "strangers"), Networks: rapid.IntRange(0, 20).Draw(t, "networks"), Acted: &acted,
			DataCentre: rapid.Bool().Draw(t, "servers"), NewDevices: rapid.IntRange(0, 3000).Draw(t, "new"), NewDevicesUsual: 1000,
		})
		got := c.To(v, score.None, rapid.Bool().Draw(t, "captcha"), rapid.IntRange(0, 9).Draw(t, "asked"))
		switch {
		case got != (Answer{}) && len(v.Reasons) < 2:
			t.Fatalf("%+v for %v", got, v.Reasons)
		case got.Deny && (len(v.Reasons) < fewestToDeny || v.Kinds() < 2):
			t.Fatalf("denied for %v", v.Reasons)
		case got.Kind != 0 && got.Clears < v.Level:
			t.Fatalf("the answer to %+v would not do for level %s", got, v.Level)
		}
	})
}

func TestTheWayOfWaitingIsAlwaysThereAndEnds(t *testing.T) {
	c := DefaultAnswers()
	if got := c.WaitFor(0); got != c.Wait {
		t.Errorf("the first waits %v", got)
	}
	if got := c.WaitFor(10); got != 2*c.Wait {
		t.Errorf("the eleventh of a network waits %v", got)
	}
	if got := c.WaitFor(1 << 30); got != c.WaitMost {
		t.Errorf("where a farm waits, a person waits %v", got)
	}
}
