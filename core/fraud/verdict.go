package fraud

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Verdict is what is to become of a payment.
type Verdict string

// The verdicts, the mildest first. None says that nothing was judged.
const (
	None      Verdict = ""
	Allow     Verdict = "allow"
	Challenge Verdict = "challenge"
	Review    Verdict = "review"
	Deny      Verdict = "deny"
)

var severity = map[Verdict]int{Allow: 1, Challenge: 2, Review: 3, Deny: 4}

// Severer is the severer one of two verdicts.
func Severer(a, b Verdict) Verdict {
	if severity[b] > severity[a] {
		return b
	}
	return a
}

// Stage is when a payment is judged.
type Stage string

// The stages.
const (
	Begin      Stage = "begin"      // before the provider is called
	Authorized Stage = "authorized" // before anything is sold
)

// Reason is one thing that led to a judgement. Said names nobody.
type Reason struct {
	Rule    string  `json:"rule"`
	Verdict Verdict `json:"verdict,omitempty"` // of a rule that has one by itself
	Weight  int     `json:"weight,omitempty"`  // of a signal, added to the score
	Said    string  `json:"said"`
}

// Judgement is a verdict with everything that led to it.
type Judgement struct {
	Order   uuid.UUID
	Payment uuid.UUID
	Stage   Stage
	Verdict Verdict
	Score   int // sum of the weights
	Reasons []Reason
	At      time.Time // zero when Stored is false
	Stored  bool      // it is in the table; repeating the question gives the same answer
}

// Said is the reasons as one line.
func (j Judgement) Said() string {
	text := ""
	for i, r := range j.Reasons {
		if i > 0 {
			text += "; "
		}
		text += r.Said
	}
	if text == "" {
		text = "nothing stands out"
	}
	return text
}

func (j Judgement) encode() (string, error) {
	if j.Reasons == nil {
		return "[]", nil
	}
	text, err := json.Marshal(j.Reasons)
	if err != nil {
		return "", fmt.Errorf("encode the reasons of payment %s: %w", j.Payment, err)
	}
	return string(text), nil
}
