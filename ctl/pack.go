package ctl

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"fairgate/core/ticket/gate"
)

func (t *tool) pack() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "pack EVENT",
		Short: "Make the pack with which gates go off line",
		Long: `pack writes what a gate needs to scan without a network: the event's keys and rules, and which codes are dead, signed. A file that is
there gets what is new since (a delta), or is written anew where that does not fit. Where codes rotate the file is a secret.

A gate off line is as good as its pack is new: what is refunded or disputed later it lets in, and merging its log finds that. Transfers
and resales close some time before the doors; pack warns when it is run before that, since tickets may still change hands.`,
		Example: `  ticketctl pack arena --out arena.pack
  ticketctl scan --pack arena.pack --key KEY --gate north --log north.log`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usagef("--out is needed: the file to write")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("tickets", "keys"), url.Values{"event": {args[0]}})
			if err != nil {
				return err
			}
			var keys keysView
			if err := readInto(answer, &keys); err != nil {
				return err
			}
			var trusted []ed25519.PublicKey
			for _, k := range keys.PackKeys {
				key, err := publicKeyOf(k.Public)
				if err != nil {
					return err
				}
				trusted = append(trusted, key)
			}
			p, key, err := fetchPack(cmd, c, args[0], out, trusted)
			if err != nil {
				return err
			}
			table := newTable(t.env.Stdout)
			table.row("pack", out)
			table.row("as of", p.AsOf.Format(time.RFC3339))
			if !p.SettledAt.IsZero() {
				table.row("settled at", p.SettledAt.Format(time.RFC3339))
			}
			table.row("closes at", p.Rules.ClosesAt.Format(time.RFC3339))
			table.row("version", p.Version)
			table.row("dead codes", len(p.States))
			table.row("key", hex.EncodeToString(key))
			if err := table.flush(); err != nil {
				return err
			}
			t.warnOfPack(p)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write, or to bring up to date")
	return cmd
}

// warnOfPack says what a gate that has only this pack cannot know.
func (t *tool) warnOfPack(p *gate.Pack) {
	if p.Early() {
		fmt.Fprintf(t.env.Stderr, "WARNING: tickets change hands until %s, and the pack is of %s: run pack again after that\n", p.SettledAt.Format(time.RFC3339), p.AsOf.Format(time.RFC3339))
	}
	if p.Cancelled {
		fmt.Fprintln(t.env.Stderr, "WARNING: the event is cancelled; the pack lets nobody in")
	}
	if p.Rules.Together {
		fmt.Fprintln(t.env.Stderr, "NOTE: off line nobody can tell whom a companion accompanies: they are let in, and merging finds those who came first")
	}
}

// loadByOne reads a file of a pack and deltas that one key has signed, and says which: a gate is given one.
func loadByOne(file []byte, trusted []ed25519.PublicKey) (p *gate.Pack, key ed25519.PublicKey, err error) {
	err = gate.ErrPackForged // by no key at all
	for _, key = range trusted {
		if p, err = gate.Load(file, key); !errors.Is(err, gate.ErrPackForged) {
			break
		}
	}
	return p, key, err
}

// fetchPack brings a file up to date: by a delta, or whole, also when another key signs by now.
func fetchPack(cmd *cobra.Command, c *client, event, file string, trusted []ed25519.PublicKey) (*gate.Pack, ed25519.PublicKey, error) {
	fetch := func(since string) ([]byte, error) {
		query := url.Values{}
		if since != "" {
			query.Set("since", since)
		}
		answer, err := c.get(cmd.Context(), path("events", event, "pack"), query)
		if err != nil {
			return nil, err
		}
		var body struct {
			Pack string `json:"pack"`
		}
		if err := readInto(answer, &body); err != nil {
			return nil, err
		}
		return base64.StdEncoding.DecodeString(body.Pack)
	}
	have, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, inputError{fmt.Errorf("read %s: %w", file, err)}
	}
	if p, _, err := loadByOne(have, trusted); err == nil && p.Slug == event {
		sealed, err := fetch(p.AsOf.Format(time.RFC3339Nano))
		if err != nil {
			return nil, nil, err
		}
		longer := gate.Append(have, sealed)
		if next, key, err := loadByOne(longer, trusted); err == nil && next.AsOf.After(p.AsOf) {
			return next, key, replaceFile(file, longer)
		}
	}
	sealed, err := fetch("")
	if err != nil {
		return nil, nil, err
	}
	whole := gate.Append(nil, sealed)
	p, key, err := loadByOne(whole, trusted)
	if err != nil {
		return nil, nil, fmt.Errorf("read core's pack: %w", err)
	}
	return p, key, replaceFile(file, whole)
}

func publicKeyOf(text string) (ed25519.PublicKey, error) {
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, usagef("%q is no public key: 64 hex digits, as `ticketctl tickets keys` prints them", text)
	}
	return key, nil
}
