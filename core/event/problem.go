package event

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxProblems is how many mistakes are listed; a file with more is not read to the end by anybody.
const maxProblems = 100

// Problem is one mistake in an event file, or one change that the database refuses. Line and Column count from 1; they are 0 where
// no place of a file is to blame.
type Problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"` // such as tiers[0].price; empty for the file as a whole
	Message string `json:"message"`
}

// String is the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are everything wrong with a file at once, in the order of the file.
type Problems []Problem

// Error lists the problems, one a line.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p)+1)
	lines = append(lines, fmt.Sprintf("event file: %d problems", len(p)))
	if len(p) == 1 {
		lines[0] = "event file: 1 problem"
	}
	for _, one := range p {
		lines = append(lines, "  "+one.String())
	}
	return strings.Join(lines, "\n")
}

// position is a place in a file.
type position struct{ line, column int }

// complaints collects problems.
type complaints struct {
	at       map[string]position
	problems Problems
	unlisted int
}

// add notes a problem at the place where the file has path, or else what path is part of.
func (c *complaints) add(path, format string, args ...any) {
	c.addAt(c.find(path), path, format, args...)
}

func (c *complaints) addAt(at position, path, format string, args ...any) {
	if len(c.problems) == maxProblems {
		c.unlisted++
		return
	}
	c.problems = append(c.problems, Problem{Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *complaints) find(path string) position {
	for {
		if at, ok := c.at[path]; ok {
			return at
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return c.at[""]
		}
		path = path[:cut]
	}
}

// err is nil when there is nothing to complain about.
func (c *complaints) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if c.unlisted > 0 {
		c.problems = append(c.problems, Problem{Message: fmt.Sprintf("and %d more", c.unlisted)})
	}
	return c.problems
}
