package ctl

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// registerPage is how many addresses go in one request.
const registerPage = 500

func (t *tool) onSaleRegister() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "register EVENT PRESALE [EMAIL...] [--file FILE]",
		Short: "Put accounts on the list of a presale",
		Long: `register gives accounts, by their e-mail addresses, the right to a presale that is for those who registered (who: registered in the
event's file). An address that no account has proved is listed and not registered: its owner signs in first. Registering again
changes nothing. Without addresses it says how many are on the list.

--file has one address a line; - is standard input.`,
		Example: `  ticketctl onsale register arena members ann@example.org
  ticketctl onsale register arena members --file members.txt`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			emails := args[2:]
			if file != "" {
				more, err := t.readLines(file)
				if err != nil {
					return inputError{err}
				}
				emails = append(emails, more...)
			}
			return t.register(cmd, args[0], args[1], emails)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "a file with one address a line")
	return cmd
}

type registeredView struct {
	Registered int      `json:"registered"`
	Added      int      `json:"added"`
	Unknown    []string `json:"unknown"`
}

func (t *tool) register(cmd *cobra.Command, event, presale string, emails []string) error {
	c, err := t.client(cmd)
	if err != nil {
		return err
	}
	at := path("events", event, "presales", presale, "registrations")
	answer, err := c.get(cmd.Context(), at, nil)
	if err != nil {
		return err
	}
	var all registeredView
	for len(emails) > 0 {
		page := emails[:min(len(emails), registerPage)]
		emails = emails[len(page):]
		if answer, err = c.post(cmd.Context(), at, map[string]any{"emails": page}); err != nil {
			return err
		}
		var one registeredView
		if err := readInto(answer, &one); err != nil {
			return err
		}
		all.Added, all.Unknown = all.Added+one.Added, append(all.Unknown, one.Unknown...)
	}
	var last registeredView
	return t.show(cmd, answer, &last, func(out *table) {
		out.line("%d accounts are on the list of presale %s, %d of them new", last.Registered, presale, all.Added)
		for _, email := range all.Unknown {
			out.line("no account: %s", oneLine(email))
		}
	})
}

// readLines reads the lines of a file that are not empty.
func (t *tool) readLines(file string) ([]string, error) {
	in := t.env.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var lines []string
	scan := bufio.NewScanner(in)
	for scan.Scan() {
		if line := strings.TrimSpace(scan.Text()); line != "" {
			lines = append(lines, line)
		}
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return lines, nil
}
