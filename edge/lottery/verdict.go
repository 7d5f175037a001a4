package lottery

import (
	"fmt"
	"strings"
)

// The checks that Transcript.Verify does, by the names they have in a Verdict.
const (
	CheckCommitment = "commitment" // every secret hashes to the commitment, and none was revealed twice, nor in an earlier on-sale
	CheckWindows    = "windows"    // every window from 0 on is there once, with as many leaves as it says
	CheckBeacon     = "beacon"     // every seed has the value of the beacon that was named in advance, or none if none was
	CheckRoots      = "roots"      // every root is that of its leaves
	CheckSeeds      = "seeds"      // every seed is that of its secret, root and beacon
	CheckBands      = "bands"      // every leaf outside band 0 gives its reason
	CheckEntrants   = "entrants"   // nobody is in the pool twice
	CheckCursor     = "cursor"     // the cursor never went back
	CheckCalled     = "called"     // every position of the cursor had called as many as it says
	CheckPlaces     = "places"     // every session was given for the place its entrant drew
	CheckSessions   = "sessions"   // every session was given to somebody the cursor had reached, once
	CheckPublished  = "published"  // commitment, roots, seeds and positions of the cursor are those that were seen in time
	CheckReceipts   = "receipts"   // every receipt is signed, and its entrant where it says
)

// maxDetails bounds the failures of one check that are told in words. All are counted.
const maxDetails = 100

// Check is how one kind of test of a transcript went.
type Check struct {
	Name    string `json:"name"`
	Checked int    `json:"checked"`
	Failed  int    `json:"failed"`
	// Details are sentences about the first failures.
	Details []string `json:"details"`
}

// Verdict is all checks of a transcript, in the order of the Check constants. Zero checked means that the transcript, or
// the evidence, had nothing of the kind: it is for the reader to say whether that is enough.
type Verdict struct {
	Checks []Check `json:"checks"`
}

// OK reports whether nothing failed. A transcript without a sealed window has failed: it says nothing about a draw.
func (v Verdict) OK() bool {
	for _, c := range v.Checks {
		if c.Failed > 0 {
			return false
		}
	}
	return v.Check(CheckWindows).Checked > 0
}

// Check is the check of that name.
func (v Verdict) Check(name string) Check {
	for _, c := range v.Checks {
		if c.Name == name {
			return c
		}
	}
	return Check{Name: name}
}

// String is one line a check, failures below.
func (v Verdict) String() string {
	var b strings.Builder
	for _, c := range v.Checks {
		fmt.Fprintf(&b, "%-10s %9d checked, %d failed\n", c.Name, c.Checked, c.Failed)
		for _, d := range c.Details {
			fmt.Fprintf(&b, "           %s\n", d)
		}
	}
	return b.String()
}

// expect counts one thing checked, and a failure with its sentence unless ok.
func (c *Check) expect(ok bool, format string, args ...any) {
	c.Checked++
	if ok {
		return
	}
	c.Failed++
	if len(c.Details) < maxDetails {
		c.Details = append(c.Details, fmt.Sprintf(format, args...))
	}
}
