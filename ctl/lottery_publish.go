package ctl

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"fairgate/edge/lottery"
)

// publishedView says what was written.
type publishedView struct {
	Event      string `json:"event"`
	Generation uint32 `json:"generation"`
	File       string `json:"file"`
	SHA256     string `json:"sha256"`
	Bytes      int    `json:"bytes"`
	Windows    int    `json:"windows"`
	Entrants   int    `json:"entrants"`
	Called     int    `json:"called"`
	Sessions   int    `json:"sessions"`
}

func (t *tool) lotteryPublish() *cobra.Command {
	var output string
	var generation int
	cmd := &cobra.Command{
		Use:   "publish EVENT [--output FILE]",
		Short: "Write the transcript of a draw for everybody",
		Long: `publish writes everything that anybody needs to draw again and compare: commitment, pools, roots, secrets, seeds, how the
cursor moved and who was admitted when. It has no personal data: entrants are pseudonyms under a key that never leaves core, and
nothing of devices, networks or accounts is in it. A draw that does not verify is not written; look with lottery verify.

The transcript goes to standard output, or to --output, which must not exist yet. Publish it with the SHA-256 that is printed.`,
		Example: `  ticketctl lottery publish arena --output transcript.json
  ticketctl lottery publish arena --sale 1 --output presale.json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{}
			if generation != 0 {
				query.Set("generation", strconv.Itoa(generation))
			}
			text, err := c.get(cmd.Context(), path("events", args[0], "lottery"), query)
			if err != nil {
				return err
			}
			transcript, err := lottery.ParseTranscript(text)
			if err != nil {
				return fmt.Errorf("read core's answer: %w", err)
			}
			if verdict := transcript.Verify(); !verdict.OK() {
				fmt.Fprint(t.env.Stderr, verdict)
				return errNotVerified
			}
			if output == "" {
				_, err := t.env.Stdout.Write(text)
				return err
			}
			if err := writeNew(output, text); err != nil {
				return err
			}
			return t.published(cmd, transcript, output, text)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write")
	cmd.Flags().IntVar(&generation, "sale", 0, "the number of an earlier on-sale of the event, as onsale status tells it; 0: the current one")
	return cmd
}

// writeNew writes a file that is whole or not there: half a transcript must not be published. It replaces nothing.
func writeNew(file string, text []byte) (err error) {
	if _, err := os.Lstat(file); err == nil {
		return usagef("--output: %s exists", file)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".transcript-*")
	if err != nil {
		return usageError{err}
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Link(f.Name(), file) // unlike a rename, it replaces nothing
	}
	if err != nil {
		return fmt.Errorf("write the transcript: %w", err)
	}
	return nil
}

// published tells what was written.
func (t *tool) published(cmd *cobra.Command, transcript lottery.Transcript, file string, text []byte) error {
	sum := sha256.Sum256(text)
	view := publishedView{
		Event: transcript.Event, Generation: transcript.Generation, File: file, SHA256: hex.EncodeToString(sum[:]), Bytes: len(text),
		Windows: len(transcript.Windows), Sessions: len(transcript.Sessions),
	}
	for _, w := range transcript.Windows {
		view.Entrants += len(w.Leaves)
	}
	if n := len(transcript.Cursors); n > 0 {
		view.Called = transcript.Cursors[n-1].Called
	}
	answer, err := json.Marshal(view)
	if err != nil {
		return fmt.Errorf("encode what was written: %w", err)
	}
	return t.show(cmd, answer, &publishedView{}, func(out *table) {
		out.row("event", fmt.Sprintf("%s, sale %d", view.Event, view.Generation))
		out.row("written", fmt.Sprintf("%s, %d bytes", view.File, view.Bytes))
		out.row("sha256", view.SHA256)
		out.row("windows", view.Windows)
		out.row("entrants", view.Entrants)
		out.row("called", view.Called)
		out.row("sessions", view.Sessions)
	})
}

func (t *tool) lotteryBeacon() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "beacon EVENT --file FILE",
		Short: "Tell the public value that a draw waits for",
		Long: `beacon gives core the value of the beacon that was named with onsale schedule --beacon, which draws window 0. Core takes it
once, and only after the pool is sealed, which onsale status shows.

The value is the bytes of the file without blanks around them, or of standard input with -. It must be what people can read
where the beacon's name says, for they will compare it: lottery verify --beacon.`,
		Example: `  ticketctl lottery beacon arena --file value.txt
  curl -s https://beacon.example/rounds/4242 | ticketctl lottery beacon arena --file -`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := t.read(file)
			if err != nil {
				return err
			}
			value := bytes.TrimSpace(text)
			if !lottery.ValidBeaconValue(value) {
				return usagef("--file: the value has %d bytes, it must have 1 to %d", len(value), lottery.MaxBeaconValue)
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("events", args[0], "lottery", "beacon"), map[string]lottery.Hex{"value": value})
			if err != nil {
				return err
			}
			var s saleView
			return t.show(cmd, answer, &s, func(out *table) {
				out.row("event", s.Event)
				printSale(out, s)
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "where the value is, or - for standard input")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}
