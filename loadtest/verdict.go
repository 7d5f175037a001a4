package loadtest

import (
	"fmt"
	"strings"
)

// Verdict is the answer to one question of the audit.
type Verdict struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Passed   bool     `json:"passed"`
	Checked  int64    `json:"checked"`
	What     string   `json:"what"`     // what the number counts
	Found    int64    `json:"found"`    // how many violations
	Failures []string `json:"failures"` // samples of them
}

// maxFailures bounds the samples of one verdict.
const maxFailures = 12

// String is the verdict in one line.
func (v Verdict) String() string {
	mark := "PASS"
	if !v.Passed {
		mark = "FAIL"
	}
	line := fmt.Sprintf("%s  %-46s %s checked", mark, v.Title, counted(v.Checked, v.What))
	switch {
	case v.Found > 0:
		line += fmt.Sprintf(", %d wrong: %s", v.Found, v.Failures[0])
	case !v.Passed:
		line += "; nothing checked is a failure, not a pass"
	}
	return line
}

// Inquiry collects what one check finds. It belongs to one goroutine.
type Inquiry struct{ v Verdict }

// Inquire begins a check; what says what is counted.
func Inquire(name, title, what string) *Inquiry {
	return &Inquiry{Verdict{Name: name, Title: title, What: what}}
}

// Checked notes that n things were looked at.
func (q *Inquiry) Checked(n int) { q.v.Checked += int64(n) }

// Wrong notes a violation.
func (q *Inquiry) Wrong(format string, args ...any) {
	q.v.Found++
	if len(q.v.Failures) < maxFailures {
		q.v.Failures = append(q.v.Failures, fmt.Sprintf(format, args...))
	}
}

// That notes a violation unless ok.
func (q *Inquiry) That(ok bool, format string, args ...any) {
	if !ok {
		q.Wrong(format, args...)
	}
}

// Verdict closes the inquiry: nothing checked is a failure.
func (q *Inquiry) Verdict() Verdict {
	q.v.Passed = q.v.Found == 0 && q.v.Checked > 0
	return q.v
}

// Passed reports whether every verdict passed, and that there are any.
func Passed(all []Verdict) bool {
	for _, v := range all {
		if !v.Passed {
			return false
		}
	}
	return len(all) > 0
}

// counted writes a number with thousands separated.
func counted(n int64, what string) string { return strings.TrimSpace(thousands(n) + " " + what) }

func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
