package ctl

import (
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

type edgeView struct {
	Edge       string  `json:"edge_id"`
	EnrolledAt instant `json:"enrolled_at"`
	SeenAt     instant `json:"seen_at"`
	RevokedAt  instant `json:"revoked_at"`
	ClockAhead int64   `json:"clock_ahead_ms"`
	ClockWrong bool    `json:"clock_wrong"`
	Live       bool    `json:"live"`
	Keys       int     `json:"keys"`
	Replacing  int     `json:"keys_to_replace"`
}

// state is the edge in a word or two.
func (e edgeView) state() string {
	switch {
	case !e.RevokedAt.IsZero():
		return "thrown out " + e.RevokedAt.String()
	case e.Live:
		return "live"
	}
	return "silent"
}

// clock says how far the edge's clock is off.
func (e edgeView) clock() string {
	ahead := time.Duration(e.ClockAhead) * time.Millisecond
	text := "right"
	switch {
	case ahead >= 100*time.Millisecond:
		text = ahead.Round(10*time.Millisecond).String() + " slow"
	case ahead <= -100*time.Millisecond:
		text = (-ahead).Round(10*time.Millisecond).String() + " fast"
	}
	if e.ClockWrong {
		text += " WRONG"
	}
	return text
}

func (t *tool) edges() *cobra.Command {
	return group("edges", "Which edges there are, how their clocks go, and throwing one out", `  ticketctl edges list
  ticketctl edges revoke 0b0f1f0e-6d0d-4a57-9d3c-3a0e3c9f2b11`, t.edgesList(), t.edgesRevoke())
}

func (t *tool) edgesList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the edges",
		Long: `list shows the edges that were seen within a day, and those that were thrown out. An edge is live when it has asked for news within
seconds; the draw waits for no other. CLOCK is how far its clock is off core's: the edge goes by core's in any case, and a second is
harmless, but more than five seconds are called wrong here, in both logs and in core_access_edges_clock_wrong.

KEYS are its signing keys that core believes, one or two for each event on sale; REPLACE those that keys rotate has asked another for.`,
		Example: `  ticketctl edges list`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("edges"), "edges", url.Values{}, 1000)
			if err != nil {
				return err
			}
			return showList(t, cmd, "edges", found, []any{"EDGE", "STATE", "SEEN", "CLOCK", "KEYS", "REPLACE"}, func(out *table, e edgeView) {
				out.row(oneLine(e.Edge), e.state(), e.SeenAt, e.clock(), e.Keys, e.Replacing)
			})
		},
	}
}

func (t *tool) edgesRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke EDGE",
		Short: "Throw an edge out",
		Long: `revoke makes an edge's token and all its signing keys worthless, at every core within two seconds, and its id is not enrolled again.
Buyers go on at the other edges, with their places. Do this when a node is stolen; with its keys it could admit nobody whose turn it
was not, but it knows the secret between edges and core, so change that too (var/secrets/edge.secret at cores and edges).
A node that is trusted again gets another id: delete its state file, or change edge.id.`,
		Example: `  ticketctl edges revoke 0b0f1f0e-6d0d-4a57-9d3c-3a0e3c9f2b11`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("edges", args[0], "revoke"), map[string]any{})
			if err != nil {
				return err
			}
			var done struct {
				Edge string `json:"edge_id"`
			}
			return t.show(cmd, answer, &done, func(out *table) { out.line("%s is thrown out", oneLine(done.Edge)) })
		},
	}
}

func (t *tool) keys() *cobra.Command {
	return group("keys", "Rotate and revoke the keys of the waiting room and of account sessions", `  ticketctl keys rotate --event arena
  ticketctl keys rotate --edge 0b0f1f0e-6d0d-4a57-9d3c-3a0e3c9f2b11
  ticketctl keys rotate --event arena --key pass
  ticketctl keys revoke --edge 0b0f1f0e-6d0d-4a57-9d3c-3a0e3c9f2b11`, t.keysRotate(), t.keysRevoke())
}

func (t *tool) keysRotate() *cobra.Command {
	var event, edge, key string
	cmd := &cobra.Command{
		Use:   "rotate [--event EVENT] [--edge EDGE] [--key KIND]",
		Short: "Have keys replaced, without anybody noticing",
		Long: `rotate replaces keys while the sale goes on. Kinds:

  edge        the default: each edge's own key per event, with which it signs admission tokens. An edge makes another within seconds and
              signs with the old one until core knows it; the old one is worthless ten minutes later, when all its tokens have ended.
              --event and --edge narrow it down; edges list shows what is left to do. By themselves edges do this every hour.
  pass        of one event: signs passes from now on. Older passes stay good, so nobody's place is lost
  receipt     of one event: signs receipts from now on; older ones still verify
  invitation  of one event: signs invitations from now on; older ones still work
  account     of all: signs the sessions of accounts from now on. Who is signed in stays so; an older key is retired by a rotation after its
              last session has ended`,
		Example: `  ticketctl keys rotate
  ticketctl keys rotate --event arena
  ticketctl keys rotate --event arena --key pass
  ticketctl keys rotate --key account`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			if key == "account" {
				if event != "" || edge != "" {
					return usagef("--key account goes with neither --event nor --edge: all share it")
				}
				return t.changeAccountKeys(cmd, c, "rotate", "account key %d signs from now on; %d verify")
			}
			if key != "edge" {
				return t.rotateEventKey(cmd, c, event, edge, key)
			}
			return t.changeEdgeKeys(cmd, c, "rotate", event, edge, "%d keys are being replaced; see ticketctl edges list")
		},
	}
	cmd.Flags().StringVar(&key, "key", "edge", "edge, pass, receipt, invitation or account")
	cmd.Flags().StringVar(&event, "event", "", "only those of this event")
	cmd.Flags().StringVar(&edge, "edge", "", "only those of this edge")
	_ = cmd.RegisterFlagCompletionFunc("event", t.completeEvents)
	return cmd
}

func (t *tool) rotateEventKey(cmd *cobra.Command, c *client, event, edge, key string) error {
	switch {
	case key != "pass" && key != "receipt" && key != "invitation":
		return usagef("--key must be edge, pass, receipt, invitation or account")
	case event == "":
		return usagef("--key %s needs --event", key)
	case edge != "":
		return usagef("--edge goes with --key edge: all edges share the others")
	}
	answer, err := c.get(cmd.Context(), path("events", event, "keys"), nil)
	if err != nil {
		return err
	}
	var now struct {
		Newest map[string]uint32 `json:"newest"`
	}
	if err := readInto(answer, &now); err != nil {
		return err
	}
	if answer, err = c.post(cmd.Context(), path("events", event, "keys:rotate"), map[string]any{"key": key, "newest": now.Newest[key]}); err != nil {
		return err
	}
	return t.show(cmd, answer, &now, func(out *table) { out.line("%s key %d of %s signs from now on", key, now.Newest[key], event) })
}

// changeAccountKeys rotates or revokes the keys that sign account sessions.
func (t *tool) changeAccountKeys(cmd *cobra.Command, c *client, verb, done string) error {
	answer, err := c.get(cmd.Context(), path("accounts", "keys"), nil)
	if err != nil {
		return err
	}
	var now struct {
		Newest uint32   `json:"newest"`
		Verify []uint32 `json:"verify"`
	}
	if err := readInto(answer, &now); err != nil {
		return err
	}
	if answer, err = c.post(cmd.Context(), "/admin/v1/accounts/keys:"+verb, map[string]any{"newest": now.Newest}); err != nil {
		return err
	}
	return t.show(cmd, answer, &now, func(out *table) { out.line("%s", fmt.Sprintf(done, now.Newest, len(now.Verify))) })
}

func (t *tool) changeEdgeKeys(cmd *cobra.Command, c *client, verb, event, edge, done string) error {
	body := map[string]string{}
	if event != "" {
		body["event"] = event
	}
	if edge != "" {
		id, err := uuid.Parse(edge)
		if err != nil || id == uuid.Nil { // which core takes for all of them
			return usagef("--edge is the id of an edge, as ticketctl edges list shows it")
		}
		body["edge_id"] = id.String()
	}
	answer, err := c.post(cmd.Context(), "/admin/v1/edges/keys:"+verb, body)
	if err != nil {
		return err
	}
	var got struct {
		Replaced int `json:"replaced"`
		Revoked  int `json:"revoked"`
	}
	return t.show(cmd, answer, &got, func(out *table) { out.line("%s", fmt.Sprintf(done, got.Replaced+got.Revoked)) })
}

func (t *tool) keysRevoke() *cobra.Command {
	var event, edge, key string
	cmd := &cobra.Command{
		Use:   "revoke {--edge EDGE [--event EVENT] | --key account}",
		Short: "Make an edge's keys, or those of account sessions, worthless at once",
		Long: `With --key account everybody is signed out, at every core within seconds, and signs in again with a code: for when the keys that sign
account sessions may be in somebody else's hands. What accounts own stays theirs.

Otherwise revoke makes the signing keys of an edge worthless, at every core within two seconds, and the edge makes others. Whoever claims there
meanwhile is told to wait a moment and keeps the turn. A node that somebody else holds would make others too: throw that one out
with edges revoke.`,
		Example: `  ticketctl keys revoke --edge 0b0f1f0e-6d0d-4a57-9d3c-3a0e3c9f2b11 --event arena
  ticketctl keys revoke --key account`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case key != "edge" && key != "account":
				return usagef("--key must be edge or account; to change another, see keys rotate")
			case key == "account" && (edge != "" || event != ""):
				return usagef("--key account goes with neither --event nor --edge: all share it")
			case key == "edge" && edge == "":
				return usagef("--edge is needed, or --key account")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			if key == "account" {
				return t.changeAccountKeys(cmd, c, "revoke", "everybody is signed out; account key %d signs from now on, and %d verifies")
			}
			return t.changeEdgeKeys(cmd, c, "revoke", event, edge, "%d keys are worth nothing from now on")
		},
	}
	cmd.Flags().StringVar(&edge, "edge", "", "the edge")
	cmd.Flags().StringVar(&event, "event", "", "only those for this event")
	cmd.Flags().StringVar(&key, "key", "edge", "edge or account")
	_ = cmd.RegisterFlagCompletionFunc("event", t.completeEvents)
	return cmd
}
