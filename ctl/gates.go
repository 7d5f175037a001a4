package ctl

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// passView is a pass that should not have been.
type passView struct {
	Scan   string  `json:"scan"`
	Ticket string  `json:"ticket"`
	Tier   string  `json:"tier"`
	Seat   string  `json:"seat"`
	Gate   string  `json:"gate"`
	At     instant `json:"at"`
	What   string  `json:"what"`
	Before struct {
		Gate string  `json:"gate"`
		At   instant `json:"at"`
	} `json:"before"`
}

func (t *tool) gates() *cobra.Command {
	return group("gates", "Gates of an event: credentials, counters, what went wrong", `  ticketctl gates add arena north --zone floor --out north.gate
  ticketctl gates counts arena
  ticketctl gates findings arena`, t.gatesAdd(), t.gatesList(), t.gatesRevoke(), t.gatesCounts(), t.gatesFindings())
}

func (t *tool) gatesAdd() *cobra.Command {
	var zone, out string
	var replace bool
	cmd := &cobra.Command{
		Use:   "add EVENT GATE",
		Short: "Make a gate and its credential",
		Long: `add makes a gate and prints its credential, this once. It is good for scanning at this gate and for nothing else. With --replace
a gate that is there gets another credential, and the one it had is dead; without it that is refused. Zones are those of the event's file.`,
		Example: `  ticketctl gates add arena north --zone floor --out north.gate
  ticketctl gates add arena north --zone floor --out north.gate --replace`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			if out != "" { // the credential is shown once, and the one before it may be dead then
				if err := replaceable(out); err != nil {
					return err
				}
			}
			answer, err := c.post(cmd.Context(), path("events", args[0], "gates"), map[string]any{"gate": args[1], "zone": zone, "replace": replace})
			if err != nil {
				return err
			}
			var made struct {
				Credential string `json:"credential"`
			}
			if out == "" {
				return t.show(cmd, answer, &made, func(table *table) { table.line("%s", oneLine(made.Credential)) })
			}
			if err := readInto(answer, &made); err != nil {
				return err
			}
			if err := replaceFile(out, []byte(made.Credential+"\n")); err != nil {
				return err
			}
			fmt.Fprintf(t.env.Stdout, "the credential of gate %s is in %s\n", args[1], out)
			return nil
		},
	}
	cmd.Flags().StringVar(&zone, "zone", "", "zone whose entrance it is (default the venue)")
	cmd.Flags().StringVar(&out, "out", "", "write the credential to this file, readable by you alone")
	cmd.Flags().BoolVar(&replace, "replace", false, "give a gate that is there another credential; its present one is dead at once")
	return cmd
}

// replaceable tells whether replaceFile can write beside a file.
func replaceable(file string) error {
	temp := file + ".new"
	if err := os.WriteFile(temp, nil, 0o600); err != nil {
		return usagef("%s cannot be written: %v", file, err)
	}
	return os.Remove(temp)
}

// replaceFile writes a file that only its owner may read, whole or not at all.
func replaceFile(file string, content []byte) error {
	if err := writeAnew(file, content); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func writeAnew(file string, content []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.new") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Sync() // or else a power cut leaves the name and not what is in it
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}

func (t *tool) gatesList() *cobra.Command {
	return &cobra.Command{
		Use: "list EVENT", Short: "List an event's gates", Long: `list shows an event's gates and whether their credentials are good.`,
		Example:           `  ticketctl gates list arena`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("events", args[0], "gates"), nil)
			if err != nil {
				return err
			}
			var found struct {
				Gates []struct {
					Gate      string  `json:"gate"`
					Zone      string  `json:"zone"`
					CreatedAt instant `json:"created_at"`
					CreatedBy string  `json:"created_by"`
					RevokedAt instant `json:"revoked_at"`
				} `json:"gates"`
			}
			return t.show(cmd, answer, &found, func(out *table) {
				if len(found.Gates) == 0 {
					out.line("no gates")
					return
				}
				out.row("GATE", "ZONE", "SINCE", "BY", "REVOKED")
				for _, g := range found.Gates {
					out.row(g.Gate, dash(g.Zone), g.CreatedAt, g.CreatedBy, g.RevokedAt)
				}
			})
		},
	}
}

func (t *tool) gatesRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke EVENT GATE", Short: "Make a gate's credential worthless",
		Long:              `revoke makes a gate's credential worthless at once, such as when a scanner is lost. A gate that is off line goes on with its pack.`,
		Example:           `  ticketctl gates revoke arena north`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			if _, err := c.do(cmd.Context(), http.MethodDelete, path("events", args[0], "gates", args[1]), "", nil); err != nil {
				return err
			}
			fmt.Fprintf(t.env.Stdout, "the credential of gate %s is revoked\n", args[1])
			return nil
		},
	}
}

func (t *tool) gatesCounts() *cobra.Command {
	return &cobra.Command{
		Use: "counts EVENT", Short: "Count what was scanned, by gate and zone",
		Long:              `counts shows, as of now, what was scanned at each gate, and how many tickets have entered each zone and are inside.`,
		Example:           `  ticketctl gates counts arena`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("events", args[0], "counts"), nil)
			if err != nil {
				return err
			}
			var counts struct {
				Gates []struct {
					Gate, Zone                         string
					In, Out, Refused, Undone, Findings int
				} `json:"gates"`
				Zones []struct {
					Zone            string
					Entered, Inside int
				} `json:"zones"`
			}
			return t.show(cmd, answer, &counts, func(out *table) {
				out.row("GATE", "ZONE", "IN", "OUT", "REFUSED", "UNDONE", "FINDINGS")
				for _, g := range counts.Gates {
					out.row(g.Gate, dash(g.Zone), g.In, g.Out, g.Refused, g.Undone, g.Findings)
				}
				out.gap()
				out.row("ZONE", "ENTERED", "INSIDE")
				for _, z := range counts.Zones {
					out.row(dash(z.Zone), z.Entered, z.Inside)
				}
			})
		},
	}
}

func (t *tool) gatesFindings() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "findings EVENT", Short: "List passes that should not have been",
		Long: `findings lists what was found when logs of gates that had been off line were merged: tickets that passed two of them (duplicate), and
tickets that were void or had another code by then, which the pack did not know yet, and companions who came before those whom they
accompany (companion).`,
		Example:           `  ticketctl gates findings arena`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > 500 {
				return usagef("--limit must be from 1 to 500")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("events", args[0], "findings"), url.Values{"limit": {fmt.Sprint(limit)}})
			if err != nil {
				return err
			}
			var found struct {
				Findings []passView `json:"findings"`
			}
			return t.show(cmd, answer, &found, func(out *table) { printFindings(out, found.Findings) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "most findings to show")
	return cmd
}

func printFindings(out *table, found []passView) {
	if len(found) == 0 {
		out.line("nothing was found")
		return
	}
	out.row("WHAT", "TICKET", "PLACE", "GATE", "AT", "BEFORE", "AT")
	for _, f := range found {
		place := f.Tier
		if f.Seat != "" {
			place = f.Seat
		}
		out.row(f.What, f.Ticket, place, f.Gate, f.At, dash(f.Before.Gate), f.Before.At)
	}
}
