package ctl

import (
	"github.com/spf13/cobra"
)

type mailView struct {
	ID        string  `json:"id"`
	Key       string  `json:"key"`
	Kind      string  `json:"kind"`
	To        string  `json:"to"`
	Language  string  `json:"language"`
	Subject   string  `json:"subject"`
	State     string  `json:"state"`
	Attempts  int     `json:"attempts"`
	LastError string  `json:"last_error"`
	DueAt     instant `json:"due_at"`
	CreatedAt instant `json:"created_at"`
	Running   bool    `json:"running"`
}

func (t *tool) mail() *cobra.Command {
	return group("mail", "See what buyers were sent and what bounced, and send it again", `  ticketctl mail list
  ticketctl mail list --about 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl mail retry 8d7c1f44-0f0e-5b0a-8a15-6a1f2c3d4e5f --to ana@example.org`,
		t.mailList(), t.mailShow(), t.mailRetry())
}

func (t *tool) mailList() *cobra.Command {
	var pages pageFlags
	var state, kind, about string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List mails that bounced or are dead, that wait, or that are about an order",
		Long: `list shows mails, oldest first: without flags those that nobody tries any more. A mail bounced when the server refused its
recipient or its content for good; it is dead when it was tried too often or for too long. What waits to be sent is --state ready; what was
sent is found by what it is --about: the id of an order, a ticket and the like.`,
		Example: `  ticketctl mail list
  ticketctl mail list --state ready --kind tickets --limit 500
  ticketctl mail list --about 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := pages.query()
			if err != nil {
				return err
			}
			for name, value := range map[string]string{"state": state, "kind": kind, "subject": about} {
				if value != "" {
					query.Set(name, value)
				}
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("mails"), "mails", query, pages.limit)
			if err != nil {
				return err
			}
			head := []any{"MAIL", "KIND", "TO", "STATE", "ATTEMPTS", "CREATED", "ERROR"}
			return showList(t, cmd, "mails", found, head, func(out *table, m mailView) {
				out.row(m.ID, m.Kind, m.To, m.State, m.Attempts, m.CreatedAt, m.LastError)
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only mails that are ready, sent, moot (had lost their reason), bounced or dead")
	cmd.Flags().StringVar(&kind, "kind", "", "only mails of this kind, such as tickets")
	cmd.Flags().StringVar(&about, "about", "", "only mails about the order, ticket … of this id, in every state")
	pages.add(cmd)
	return cmd
}

func (t *tool) mailShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show MAIL",
		Short:   "Show how a mail stands",
		Long:    `show tells how a mail stands, and what the server answered last. What a mail says is composed when it is sent, and kept nowhere.`,
		Example: `  ticketctl mail show 8d7c1f44-0f0e-5b0a-8a15-6a1f2c3d4e5f`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("mails", args[0]), nil)
			if err != nil {
				return err
			}
			var m mailView
			return t.show(cmd, answer, &m, func(out *table) { printMail(out, m) })
		},
	}
}

func printMail(out *table, m mailView) {
	out.row("mail", m.ID)
	out.row("kind", m.Kind)
	out.row("about", m.Subject)
	out.row("to", m.To)
	out.row("language", m.Language)
	state := m.State
	if m.Running {
		state += ", running"
	}
	out.row("state", state)
	out.row("attempts", m.Attempts)
	out.row("due", m.DueAt)
	out.row("created", m.CreatedAt)
	if m.LastError != "" {
		out.row("error", m.LastError)
	}
}

func (t *tool) mailRetry() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "retry MAIL",
		Short: "Try a mail again that bounced or is dead",
		Long: `retry gives a mail that bounced or is dead its attempts back and sends it at once, with what is true then. With --to it goes to another
address; the address of its order stays what it is.`,
		Example: `  ticketctl mail retry 8d7c1f44-0f0e-5b0a-8a15-6a1f2c3d4e5f
  ticketctl mail retry 8d7c1f44-0f0e-5b0a-8a15-6a1f2c3d4e5f --to ana@example.org`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("mails", args[0], "retry"), map[string]string{"to": to})
			if err != nil {
				return err
			}
			var m mailView
			return t.show(cmd, answer, &m, func(out *table) { printMail(out, m) })
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "another address for it")
	return cmd
}
