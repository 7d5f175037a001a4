package ctl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fairgate/ledger"
)

// wantsJSON tells whether --json was given, be it before or after the command.
func (t *tool) wantsJSON(cmd *cobra.Command) bool {
	if cmd == nil {
		return false
	}
	want, err := cmd.Flags().GetBool("json")
	return err == nil && want
}

// show prints an answer: as it is with --json, else read into view and told to people.
func (t *tool) show(cmd *cobra.Command, answer json.RawMessage, view any, people func(out *table)) error {
	if t.wantsJSON(cmd) {
		return printJSON(t.env.Stdout, answer)
	}
	if err := readInto(answer, view); err != nil {
		return err
	}
	out := newTable(t.env.Stdout)
	people(out)
	return out.flush()
}

// printJSON prints a value indented, with its fields in the order core sent them.
func printJSON(out io.Writer, value any) error {
	raw, isRaw := value.(json.RawMessage)
	if !isRaw {
		var buffer bytes.Buffer
		encoder := json.NewEncoder(&buffer)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		raw = buffer.Bytes()
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	indented.WriteByte('\n')
	_, err := indented.WriteTo(out)
	return err
}

// table lines columns up. Blank lines separate tables of different columns.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) *table { return &table{tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)} }

// row writes one line of cells. What core sends for people to read cannot break the line.
func (t *table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, cell := range cells {
		text[i] = oneLine(fmt.Sprint(cell))
	}
	// A last cell that is empty would leave the spaces that line it up.
	for len(text) > 1 && text[len(text)-1] == "" {
		text = text[:len(text)-1]
	}
	fmt.Fprintln(t.w, strings.Join(text, "\t"))
}

// gap ends a table; the next one has columns of its own.
func (t *table) gap() { fmt.Fprintln(t.w) }

// line writes a sentence that is no row.
func (t *table) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

func (t *table) flush() error { return t.w.Flush() }

// oneLine shows control characters instead of obeying them: names and messages come from other people.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}

// money is an amount as core sends it.
type money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

func (m money) String() string { return ledger.Amount{Minor: m.Minor, Currency: m.Currency}.String() }

// instant prints as UTC to the second, or as a dash where there is none.
type instant struct{ time.Time }

func (i instant) String() string {
	if i.IsZero() {
		return "-"
	}
	return i.UTC().Format("2006-01-02 15:04:05Z")
}

// in prints the time in a zone, with the zone beside it.
func (i instant) in(zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil || i.IsZero() {
		return i.String()
	}
	return i.In(location).Format("2006-01-02 15:04 ") + zone
}

// dash stands where there is nothing.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// count writes "1 ticket", "2 tickets".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// sorted are the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// readInto reads core's answer.
func readInto(answer json.RawMessage, view any) error {
	if err := json.Unmarshal(answer, view); err != nil {
		return fmt.Errorf("read core's answer: %w", err)
	}
	return nil
}
