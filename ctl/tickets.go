package ctl

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

// keysView is the public keys of an event's tickets and packs.
type keysView struct {
	Event    string      `json:"event"`
	Keys     []publicKey `json:"keys"`
	PackKeys []publicKey `json:"pack_keys"`
	GateKey  uint32      `json:"gate_key"`
	Rotating bool        `json:"rotating"`
}

type publicKey struct {
	No     uint32 `json:"no"`
	Public string `json:"public"`
}

// newest is the number of the key that is in use of a kind: ticket, gate or pack.
func (k keysView) newest(kind string) (uint32, error) {
	switch {
	case kind == "gate":
		return k.GateKey, nil
	case kind == "ticket" && len(k.Keys) > 0:
		return k.Keys[0].No, nil
	case kind == "pack" && len(k.PackKeys) > 0:
		return k.PackKeys[0].No, nil
	}
	return 0, usagef("--rotate must be ticket, gate or pack")
}

func (t *tool) tickets() *cobra.Command {
	return group("tickets", "Keys of an event's tickets, other seats for them, and whose they are", `  ticketctl tickets keys arena
  ticketctl tickets keys arena --json > arena-keys.json
  ticketctl tickets keys arena --rotate ticket
  ticketctl tickets move TICKET 102/A/7 --reason "a pillar in front of 101/C/3"
  ticketctl tickets title 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl tickets transfers arena`, t.ticketsKeys(), t.ticketsMove(), t.ticketsTitle(), t.ticketsTransfers())
}

func (t *tool) ticketsKeys() *cobra.Command {
	var rotate string
	cmd := &cobra.Command{
		Use:   "keys EVENT",
		Short: "Export the public keys of an event's tickets, or rotate them",
		Long: `keys prints the Ed25519 public keys with which anybody verifies an event's ticket codes and event packs, the newest, which signs,
first. With --rotate it has core make another one:

  ticket  signs codes that are issued from now on; codes issued before stay good
  pack    signs packs from now on; gates that go off line need the new key
  gate    makes the seeds of rotating codes; pages take it up by themselves, seeds made before stay good

A gate that is off line knows a new key once it has loaded a new pack: rotate before packs are made.`,
		Example: `  ticketctl tickets keys arena
  ticketctl tickets keys arena --rotate ticket`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("tickets", "keys"), url.Values{"event": {args[0]}})
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("rotate") {
				var now keysView
				if err := readInto(answer, &now); err != nil {
					return err
				}
				newest, err := now.newest(rotate)
				if err != nil {
					return err
				}
				if answer, err = c.post(cmd.Context(), "/admin/v1/tickets/keys:rotate", map[string]any{"event": args[0], "key": rotate, "newest": newest}); err != nil {
					return err
				}
			}
			var keys keysView
			return t.show(cmd, answer, &keys, func(out *table) { printKeys(out, keys) })
		},
	}
	cmd.Flags().StringVar(&rotate, "rotate", "", "make another key: ticket, gate or pack")
	return cmd
}

func printKeys(out *table, keys keysView) {
	out.row("KEY", "NUMBER", "PUBLIC")
	for _, k := range keys.Keys {
		out.row("ticket", k.No, k.Public)
	}
	for _, k := range keys.PackKeys {
		out.row("pack", k.No, k.Public)
	}
	out.row("gate", keys.GateKey, fmt.Sprintf("(secret) codes rotate: %s", map[bool]string{true: "yes", false: "no"}[keys.Rotating]))
}
