package ctl

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"fairgate/core/ticket/gate"
)

// scanOffLine scans with a pack, which it keeps up to date if it has a credential.
func (t *tool) scanOffLine(cmd *cobra.Command, f scanFlags) error {
	u, err := openGate(f)
	if err != nil {
		return err
	}
	defer u.gate.Close()
	u.tool = t
	fmt.Fprintf(t.env.Stderr, "off line with a pack of %s: what happened since, this gate does not know\n", u.pack.AsOf.Format(time.RFC3339))
	t.warnOfPack(u.pack)
	if f.credential != "" {
		if u.client, err = t.gateClient(cmd, f); err != nil {
			return err
		}
		if f.every < minUpdate {
			return usagef("--update-every must be at least %s", minUpdate)
		}
		defer u.start(cmd.Context(), f.every)()
	}
	return t.scanLines(cmd, offLine{u.gate}, f)
}

// openGate opens the gate of the flags, its pack and its log.
func openGate(f scanFlags) (*packUpdate, error) {
	if f.key == "" || f.log == "" || f.gate == "" {
		return nil, usagef("off line --key, --log and --gate are needed")
	}
	key, err := publicKeyOf(f.key)
	if err != nil {
		return nil, err
	}
	file, err := os.ReadFile(f.pack)
	if err != nil {
		return nil, inputError{fmt.Errorf("read the pack: %w", err)}
	}
	p, err := gate.Load(file, key)
	if err != nil {
		return nil, inputError{fmt.Errorf("read %s: %w", f.pack, err)}
	}
	g, err := gate.New(gate.Config{Name: f.gate, Zone: f.zone, Pack: p, Log: f.log})
	if err != nil {
		return nil, inputError{err}
	}
	return &packUpdate{gate: g, key: key, path: f.pack, file: file, pack: p}, nil
}

// offLine is a gate without a network.
type offLine struct{ gate *gate.Gate }

func (o offLine) scan(_ context.Context, shown string, way gate.Direction) (scanned, error) {
	answer, err := o.gate.Scan(shown, way)
	switch why := gate.PublicCode(err); { // as core says it on line
	case err == nil:
		return scanned{Pass: true, Scan: answer.Scan.String(), Place: answer.Code.Place}, nil
	case why != "":
		return scanned{Code: why, Detail: err.Error()}, nil
	}
	return scanned{}, fmt.Errorf("the gate stays closed: %w", err)
}

func (o offLine) undo(_ context.Context, scan, reason string) error {
	id, err := uuid.Parse(scan)
	if err != nil {
		return err
	}
	return o.gate.Undo(id, reason)
}
