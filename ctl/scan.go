package ctl

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"fairgate/core/ticket/gate"
)

// maxShown bounds a line of a scanner; the longest code has 201 characters.
const maxShown = 4 << 10

// scanned is what became of one line, as --json prints it.
type scanned struct {
	Pass   bool   `json:"pass"`
	Scan   string `json:"scan,omitempty"`
	Place  string `json:"place,omitempty"`
	Code   string `json:"code,omitempty"` // why not
	Detail string `json:"detail,omitempty"`
}

// scanner decides about what was shown, on line or off. An error means that nothing can be decided.
type scanner interface {
	scan(ctx context.Context, shown string, way gate.Direction) (scanned, error)
	undo(ctx context.Context, scan, reason string) error
}

// scanFlags are the flags of scan.
type scanFlags struct {
	url, credential string
	pack, key       string
	log, gate, zone string
	undoWord        string
	out             bool
	every           time.Duration // between two updates of the pack
}

func (t *tool) scan() *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Be a gate: read codes, one a line, and say who may enter",
		Long: `scan reads what a scanner types, one code a line, from standard input, and says PASS or STOP and why. It ends with the input.

With --undo-word WORD the line "undo WORD REASON" takes back the last scan that passed. Whoever holds something up to the scanner makes it
type what they like, so the word is for those who stand at the gate.

On line it asks core's gate listener (listen.gate) with the gate's credential, see ticketctl gates add. Off line it has --pack and
--key, writes every scan to --log before it says anything, and goes on from there when it is started again; merge the log
afterwards. Off line two gates cannot know of each other.

With --pack and --credential-file it asks the gate listener at the start and every --update-every, in the background, what has changed
since the pack was made, takes up what --key has signed, and writes the pack's file anew. How old the pack is it says on standard error,
as well as why it could not be brought up to date: once; scans go on with the pack there is.`,
		Example: `  ticketctl scan --credential-file north.gate --gate-url http://127.0.0.1:7005
  ticketctl scan --pack arena.pack --key KEY --gate north --zone floor --log north.log
  ticketctl scan --pack arena.pack --key KEY --gate north --log north.log --credential-file north.gate
  ticketctl scan merge north.log --credential-file north.gate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.ContainsAny(f.undoWord, " \t\r\n") {
				return usagef("--undo-word must be one word")
			}
			if f.pack == "" {
				c, err := t.gateClient(cmd, f)
				if err != nil {
					return err
				}
				return t.scanLines(cmd, onLine{c, map[string]uuid.UUID{}}, f)
			}
			return t.scanOffLine(cmd, f)
		},
	}
	cmd.PersistentFlags().StringVar(&f.url, "gate-url", "http://127.0.0.1:7005", "address of core's gate listener")
	cmd.PersistentFlags().StringVar(&f.credential, "credential-file", "", "file with the gate's credential")
	cmd.Flags().BoolVar(&f.out, "out", false, "scan who leaves")
	cmd.Flags().StringVar(&f.undoWord, "undo-word", "", "the word without which no line takes back a scan (default none does)")
	cmd.Flags().StringVar(&f.pack, "pack", "", "scan off line with this pack")
	cmd.Flags().StringVar(&f.key, "key", "", "off line: the public key that signs packs, from a source you trust")
	cmd.Flags().StringVar(&f.log, "log", "", "off line: file to which scans are written")
	cmd.Flags().StringVar(&f.gate, "gate", "", "off line: name of this gate")
	cmd.Flags().StringVar(&f.zone, "zone", "", "off line: zone whose entrance it is (default the venue)")
	cmd.Flags().DurationVar(&f.every, "update-every", 30*time.Second, "off line with --credential-file: how often to ask whether the pack has changed")
	cmd.AddCommand(t.scanMerge(&f))
	return cmd
}

// gateClient speaks to the gate listener with a gate's credential.
func (t *tool) gateClient(cmd *cobra.Command, f scanFlags) (*client, error) {
	if err := t.load(cmd); err != nil {
		return nil, err
	}
	if f.credential == "" {
		return nil, usagef("--credential-file is needed on line, --pack off line")
	}
	secret, err := readSecret(f.credential)
	if err != nil {
		return nil, err
	}
	return newClient(f.url, secret, t.settings.GetDuration(keyTimeout))
}

// scanLines decides line by line.
func (t *tool) scanLines(cmd *cobra.Command, s scanner, f scanFlags) error {
	way := gate.In
	if f.out {
		way = gate.Out
	}
	lines := bufio.NewReaderSize(t.env.Stdin, maxShown)
	last := ""
	for {
		line, err := readShown(lines)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return inputError{fmt.Errorf("read the codes: %w", err)}
		}
		if line == "" {
			continue
		}
		var said scanned
		if rest, undo := strings.CutPrefix(line+" ", "undo "); undo {
			said, err = undoLast(cmd.Context(), s, &last, rest, f.undoWord)
		} else if said, err = s.scan(cmd.Context(), line, way); said.Pass {
			last = said.Scan
		}
		if err != nil {
			return err
		}
		if err := t.say(cmd, said); err != nil {
			return err
		}
	}
}

// readShown reads a line, of one that is longer than any code the beginning: the gate stays open whatever is held up to it.
func readShown(lines *bufio.Reader) (string, error) {
	line, more, err := lines.ReadLine()
	text := strings.TrimSpace(string(line))
	for more && err == nil {
		_, more, err = lines.ReadLine()
	}
	return text, err
}

// undoLast takes back the last scan that passed, for who knows the word.
func undoLast(ctx context.Context, s scanner, last *string, said, word string) (scanned, error) {
	first, reason, _ := strings.Cut(strings.TrimSpace(said), " ")
	if word == "" || first != word {
		return scanned{Code: "undo_word", Detail: "only \"undo WORD REASON\" takes a scan back, with the word of --undo-word"}, nil
	}
	if *last == "" {
		return scanned{Code: "scan_unknown", Detail: "there is no scan to undo"}, nil
	}
	err := s.undo(ctx, *last, strings.TrimSpace(reason))
	var no *problemError
	switch {
	case errors.As(err, &no) && no.Status != 401:
		return scanned{Code: no.Code, Detail: strings.TrimSuffix(no.Detail, ".")}, nil
	case errors.Is(err, gate.ErrScanUnknown):
		return scanned{Code: "scan_unknown", Detail: err.Error()}, nil
	case errors.Is(err, gate.ErrLog):
		return scanned{Code: "reason_invalid", Detail: err.Error()}, nil
	case err != nil:
		return scanned{}, err
	}
	undone := scanned{Scan: *last, Code: "undone", Detail: "the last scan is undone"}
	*last = ""
	return undone, nil
}

// say prints what became of a line at once: somebody waits.
func (t *tool) say(cmd *cobra.Command, said scanned) error {
	if t.wantsJSON(cmd) {
		return json.NewEncoder(t.env.Stdout).Encode(said)
	}
	word := "STOP"
	if said.Pass {
		word = "PASS"
	}
	_, err := fmt.Fprintln(t.env.Stdout, strings.TrimRight(oneLine(fmt.Sprintf("%s  %-18s %s", word, cmp.Or(said.Place, said.Code), said.Detail)), " "))
	return err
}

// onLine asks core.
type onLine struct {
	client *client
	// unanswered are the scans of which no answer came, by what was shown and which way. Shown again the same code is the same scan: if core has
	// let it in, it says so again instead of that it is inside.
	unanswered map[string]uuid.UUID
}

// maxUnanswered bounds how many of them are remembered.
const maxUnanswered = 50

// scanTries is how often a scan is asked before the gate says that core does not answer; pauses grow from 200 ms.
const scanTries = 4

func (o onLine) scan(ctx context.Context, shown string, way gate.Direction) (scanned, error) {
	text, _, _ := strings.Cut(shown, ".") // without the part that changes
	name := string(way) + " " + text
	id, ok := o.unanswered[name]
	if !ok {
		id = uuid.New()
	}
	answer, err := o.ask(ctx, map[string]any{"id": id, "code": shown, "direction": way}) // the same scan however often it is asked
	var no *problemError
	switch refused := errors.As(err, &no) && no.Status < 500; {
	case refused && no.Status != 401:
		if no.Status != 429 { // or else it is not decided
			delete(o.unanswered, name)
		}
		return scanned{Code: no.Code, Detail: strings.TrimSuffix(no.Detail, ".")}, nil
	case refused:
		return scanned{}, err
	case answer == nil:
		if len(o.unanswered) >= maxUnanswered {
			clear(o.unanswered)
		}
		o.unanswered[name] = id
		return noAnswer(err), nil
	}
	delete(o.unanswered, name)
	var r struct{ ID, Tier, Seat string }
	if err := readInto(answer, &r); err != nil {
		return scanned{}, err
	}
	return scanned{Pass: true, Scan: r.ID, Place: cmp.Or(r.Seat, r.Tier)}, nil
}

// ask asks until core decides, or says after some tries why not.
func (o onLine) ask(ctx context.Context, body any) (answer json.RawMessage, err error) {
	for n := 1; ; n++ {
		answer, err = o.client.post(ctx, "/gate/v1/scans", body)
		var no *problemError
		if err == nil || errors.As(err, &no) && no.Status < 500 || n == scanTries || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(n) * 200 * time.Millisecond):
		}
	}
}

// noAnswer is what a gate says while core cannot be asked: it stays closed, and the same code may be shown again.
func noAnswer(err error) scanned { return scanned{Code: "no_answer", Detail: err.Error()} }

func (o onLine) undo(ctx context.Context, scan, reason string) error {
	_, err := o.client.post(ctx, "/gate/v1/scans/"+scan+"/undo", map[string]any{"reason": reason})
	return err
}
