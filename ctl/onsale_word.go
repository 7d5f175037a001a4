package ctl

import (
	"errors"

	"github.com/spf13/cobra"
)

func (t *tool) onSaleWord() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "word EVENT PRESALE --file FILE",
		Short: "Set the word with which accounts register for a presale",
		Long: `word sets, for a presale that is for whoever knows a word (who: word in the event's file), which one that is, in place of an earlier one.
Accounts register with it on the event's page; who is on the list already stays there. Capitals and spaces around it do not matter.

The word is read from the first line of a file, - being standard input, so that it stands in no history of commands. Core keeps a
salted hash of it, and cannot tell it again.`,
		Example:           `  ticketctl onsale word arena fans --file -`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := t.readLines(file)
			if err != nil {
				return inputError{err}
			}
			if len(lines) != 1 {
				return inputError{errors.New("the file must have one line with the word, and no other")}
			}
			return t.setWord(cmd, args[0], args[1], lines[0])
		},
	}
	cmd.Flags().StringVar(&file, "file", "-", "a file with the word")
	return cmd
}

func (t *tool) setWord(cmd *cobra.Command, event, presale, word string) error {
	c, err := t.client(cmd)
	if err != nil {
		return err
	}
	answer, err := c.post(cmd.Context(), path("events", event, "presales", presale, "word"), map[string]any{"word": word})
	if err != nil {
		return err
	}
	var view registeredView
	return t.show(cmd, answer, &view, func(out *table) {
		out.line("the word of presale %s is set; %d accounts are on its list", oneLine(presale), view.Registered)
	})
}
