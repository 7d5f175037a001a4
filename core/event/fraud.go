package event

import "go.yaml.in/yaml/v3"

// Fraud makes the judging of an event's payments stricter than the service's; the zero value changes nothing. The thresholds are scores
// from which a payment is challenged, reviewed or denied; 0 is the service's.
type Fraud struct {
	ChallengeEverybody bool `json:"challenge_everybody,omitempty"`
	ChallengeFrom      int  `json:"challenge_from,omitempty"`
	ReviewFrom         int  `json:"review_from,omitempty"`
	DenyFrom           int  `json:"deny_from,omitempty"`
}

// Disputes says what becomes of tickets whose buyer's bank has taken the money back.
type Disputes struct {
	ResellLost bool `json:"resell_lost,omitempty"` // when the dispute is lost they go back on sale
}

// maxScore bounds a threshold.
const maxScore = 1000

func (d *decoder) fraud(n *yaml.Node, path string, f *Fraud) {
	d.mapping(n, path,
		key{"challenge_everybody", false, func(n *yaml.Node, path string) { f.ChallengeEverybody = d.boolean(n, path) }},
		d.limit("challenge_from", maxScore, &f.ChallengeFrom),
		d.limit("review_from", maxScore, &f.ReviewFrom),
		d.limit("deny_from", maxScore, &f.DenyFrom),
	)
}

func (d *decoder) disputes(n *yaml.Node, path string, p *Disputes) {
	d.mapping(n, path, key{"resell_lost", false, func(n *yaml.Node, path string) { p.ResellLost = d.boolean(n, path) }})
}
