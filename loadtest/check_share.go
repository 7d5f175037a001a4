package loadtest

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"fairgate/edge/lottery"
)

// Share is what the draw gave to a kind of bot, against what it owes.
type Share struct {
	Kind       string  `json:"kind"`
	Identities int     `json:"identities"` // that were drawn
	Called     int     `json:"called"`
	Fair       float64 `json:"fair"` // as many would be called on average of as many others in the same windows and bands
	Most       float64 `json:"most"` // above this it is not chance: five standard deviations, and three more
}

// shares compares each kind of bot with everybody in the windows and bands it was drawn in. In each the draw takes so many out of so
// many, so the number of a kind's called is hypergeometric: its variance is at most its mean.
func shares(t lottery.Transcript, kinds map[lottery.Entrant]string) []Share {
	if len(t.Cursors) == 0 {
		return nil
	}
	last := slices.MaxFunc(t.Cursors, func(a, b lottery.CursorMove) int { return a.Place().Compare(b.Place()) }).Place()
	byKind := make(map[string]*Share)
	places := drawnPlaces(t)
	for _, w := range t.Windows {
		drawn, called := make(map[lottery.Band]int), make(map[lottery.Band]int)
		mine := make(map[string]map[lottery.Band]int)
		for _, l := range w.Leaves {
			kind, isBot := kinds[l.Entrant]
			in := places[l.Entrant].Compare(last) <= 0
			if drawn[l.Band]++; in {
				called[l.Band]++
			}
			if !isBot {
				continue
			}
			if byKind[kind] == nil {
				byKind[kind] = &Share{Kind: kind}
			}
			if mine[kind] == nil {
				mine[kind] = make(map[lottery.Band]int)
			}
			mine[kind][l.Band]++
			if byKind[kind].Identities++; in {
				byKind[kind].Called++
			}
		}
		for kind, bands := range mine {
			for band, n := range bands {
				byKind[kind].Fair += float64(n) * float64(called[band]) / float64(drawn[band])
			}
		}
	}
	all := make([]Share, 0, len(byKind))
	for _, s := range byKind {
		s.Most = s.Fair + 5*math.Sqrt(s.Fair) + 3
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Share) int { return cmp.Compare(a.Kind, b.Kind) })
	return all
}

// checkShare asks that no kind of bot was called more often than the draw owes its identities.
func checkShare(e *evidence) Verdict {
	q := Inquire("bots_share", "Bots above their fair share", "identities of bots")
	for _, s := range e.shares {
		q.Checked(s.Identities)
		q.That(float64(s.Called) <= s.Most, "%d of %d identities of kind %s were called; %.1f are fair, up to %.1f is chance", s.Called, s.Identities, s.Kind, s.Fair, s.Most)
	}
	return q.Verdict()
}

// challengedCodes are what a person who is taken for a program is answered.
var challengedCodes = []string{"challenge_required", "challenge_failed", "denied"}

// challengedHonest counts the answers to honest buyers that took them for programs.
func challengedHonest(kinds map[Problem]int64) (n int64) {
	for p := range maps.Keys(kinds) {
		if slices.Contains(challengedCodes, p.Code) {
			n += kinds[p]
		}
	}
	return n
}
