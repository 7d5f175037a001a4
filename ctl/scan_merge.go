package ctl

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"fairgate/core/ticket/gate"
)

// mergeAtOnce is core's bound of one piece of a log.
const mergeAtOnce = 500

// mergeView is what merging came to.
type mergeView struct {
	Records  int        `json:"records"`
	New      int        `json:"new"`
	Rejected []rejected `json:"rejected"`
	Findings []passView `json:"findings"`
}

type rejected struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

func (t *tool) scanMerge(f *scanFlags) *cobra.Command {
	var event string
	cmd := &cobra.Command{
		Use:   "merge LOG...",
		Short: "Bring the logs of gates home that were off line",
		Long: `merge sends logs to core and tells what it found: tickets that passed two gates, and tickets that were dead by then. Logs may be merged
in any order and as often as you like. A gate merges its own log with its credential; an operator merges any with --event. Scans of a gate
or zone that the event has not are left out: add the gate (ticketctl gates add) and merge again.`,
		Example: `  ticketctl scan merge north.log --credential-file north.gate
  ticketctl scan merge north.log south.log --event arena`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			records, err := readLogs(args)
			if err != nil {
				return err
			}
			var c *client
			where := "/gate/v1/scans:merge"
			if event != "" {
				where = path("events", event) + "/scans:merge"
				c, err = t.client(cmd)
			} else {
				c, err = t.gateClient(cmd, *f)
			}
			if err != nil {
				return err
			}
			all := mergeView{Rejected: []rejected{}, Findings: []passView{}}
			for piece := range slices.Chunk(records, mergeAtOnce) {
				answer, err := c.post(cmd.Context(), where, map[string]any{"scans": piece})
				if err != nil {
					return err
				}
				var one mergeView
				if err := readInto(answer, &one); err != nil {
					return err
				}
				all.add(one)
			}
			answer, err := json.Marshal(all)
			if err != nil {
				return fmt.Errorf("encode the report: %w", err)
			}
			return t.show(cmd, answer, &all, func(out *table) { printMerge(out, all) })
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "as an operator: the event the logs are of")
	return cmd
}

// add takes up another piece's report. What is found of a ticket is found again with each piece that it is in: the last word counts.
func (m *mergeView) add(one mergeView) {
	m.Records, m.New, m.Rejected = m.Records+one.Records, m.New+one.New, append(m.Rejected, one.Rejected...)
	for _, f := range one.Findings {
		m.Findings = append(slices.DeleteFunc(m.Findings, func(x passView) bool { return x.Scan == f.Scan }), f)
	}
}

func printMerge(out *table, m mergeView) {
	out.line("%d records, %d of them new", m.Records, m.New)
	for _, r := range m.Rejected {
		out.line("left out: %s (%s)", oneLine(r.ID), oneLine(r.Why))
	}
	printFindings(out, m.Findings)
}

func readLogs(files []string) ([]gate.Record, error) {
	var all []gate.Record
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, inputError{fmt.Errorf("open the log: %w", err)}
		}
		records, _, err := gate.ReadLog(file)
		file.Close()
		if err != nil {
			return nil, inputError{fmt.Errorf("read %s: %w", name, err)}
		}
		all = append(all, records...)
	}
	return all, nil
}
