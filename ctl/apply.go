package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

// stdin is the file name that means standard input.
const stdin = "-"

type applied struct {
	File     string   `json:"file"`
	Event    string   `json:"event"`
	Revision int64    `json:"revision"`
	Changed  bool     `json:"changed"`
	Changes  []string `json:"changes"`
}

func (t *tool) apply() *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or change events from files",
		Long: `apply makes events what the files say. Applying a file again changes nothing. Core checks a file as a whole and says
everything that is wrong with it at once, each with its place; a file with a mistake changes nothing. Of several files
each is applied on its own, and the ones after a bad one are applied too.

configs/events/arena.yaml explains every key of an event file.`,
		Example: `  # Create an event, or change it
  ticketctl apply -f configs/events/arena.yaml

  # Several at once
  ticketctl apply -f arena.yaml -f club.yaml

  # From another program
  generate-events | ticketctl apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			return t.applyAll(cmd, c, files)
		},
	}
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "event file; - is standard input (repeatable)")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

// applyAll applies each file and returns the first error when all had their turn.
func (t *tool) applyAll(cmd *cobra.Command, c *client, files []string) error {
	done := []applied{}
	var first error
	for _, file := range files {
		result, err := t.applyOne(cmd.Context(), c, file)
		if err == nil {
			done = append(done, result)
			continue
		}
		if exitCode(err) == ExitUnreachable { // nor would the others get through
			first = cmp.Or(first, err)
			break
		}
		err = t.mistakes(cmd, file, err)
		if first == nil {
			first = err
		} else if !t.wantsJSON(cmd) {
			fmt.Fprintf(t.env.Stderr, "ticketctl: %v\n", err)
		}
	}
	if t.wantsJSON(cmd) {
		if err := printJSON(t.env.Stdout, map[string]any{"applied": done}); err != nil {
			return err
		}
		return first
	}
	for _, a := range done {
		verb := "unchanged"
		switch {
		case a.Changed && a.Revision <= 1:
			verb = "created"
		case a.Changed:
			verb = "changed"
		}
		fmt.Fprintf(t.env.Stdout, "event %s %s, revision %d\n", oneLine(a.Event), verb, a.Revision)
		for _, change := range a.Changes {
			fmt.Fprintf(t.env.Stdout, "  %s\n", oneLine(change))
		}
	}
	return first
}

func (t *tool) applyOne(ctx context.Context, c *client, file string) (applied, error) {
	text, err := t.read(file)
	if err != nil {
		return applied{}, err
	}
	answer, err := c.do(ctx, http.MethodPut, path("events"), "application/yaml", text)
	if err != nil {
		return applied{}, err
	}
	result := applied{File: file}
	if err := readInto(answer, &result); err != nil {
		return applied{}, err
	}
	return result, nil
}

// read reads a file, or standard input.
func (t *tool) read(file string) ([]byte, error) {
	if file != stdin {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usageError{err}
		}
		return text, nil
	}
	if t.env.Stdin == nil {
		return nil, usagef("there is no standard input")
	}
	text, err := io.ReadAll(t.env.Stdin)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return text, nil
}

// mistakes prints what is wrong in a file, one line each, in the form that editors jump to.
func (t *tool) mistakes(cmd *cobra.Command, file string, err error) error {
	var problem *problemError
	if !errors.As(err, &problem) || t.wantsJSON(cmd) {
		return fmt.Errorf("%s: %w", nameOf(file), err)
	}
	for _, p := range problem.Problems {
		place := nameOf(file)
		if p.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", place, p.Line, p.Column)
		}
		if p.Path != "" {
			place += ": " + p.Path
		}
		fmt.Fprintf(t.env.Stderr, "%s: %s\n", oneLine(place), oneLine(p.Message))
	}
	if n := len(problem.Problems); n > 0 {
		return fmt.Errorf("%s: %s: %w", nameOf(file), count(n, "mistake"), err)
	}
	return fmt.Errorf("%s: %w", nameOf(file), err)
}

func nameOf(file string) string {
	if file == stdin {
		return "standard input"
	}
	return file
}
