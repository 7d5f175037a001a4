package ctl

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"
)

type accountView struct {
	ID        string  `json:"id"`
	Email     string  `json:"email"`
	Language  string  `json:"language"`
	Epoch     uint32  `json:"epoch"`
	CreatedAt instant `json:"created_at"`
	Forgotten instant `json:"forgotten"`
	Events    []struct {
		Event   string `json:"event"`
		Entrant string `json:"entrant"`
	} `json:"events"`
}

func (t *tool) accounts() *cobra.Command {
	return group("accounts", "Look at buyers' accounts and forget them", `  ticketctl accounts show ann@example.org
  ticketctl accounts forget 0b9d7d2f-7a11-4c1e-9f3b-6f6c0f9f4e9a`, t.accountShow(), t.accountForget())
}

func (t *tool) accountShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show EMAIL|ID",
		Short: "Show an account, and whom it is in which event",
		Long: `show finds an account by its e-mail address, however that is spelt in capitals, or by its id. With the entrant it names, the
lottery's transcript and "ban" can be asked about the account.`,
		Example: `  ticketctl accounts show ann@example.org
  ticketctl accounts show 0b9d7d2f-7a11-4c1e-9f3b-6f6c0f9f4e9a --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("accounts:find"), accountRef(args[0]))
			if err != nil {
				return err
			}
			return t.showAccount(cmd, answer)
		},
	}
}

func (t *tool) accountForget() *cobra.Command {
	return &cobra.Command{
		Use:   "forget EMAIL|ID",
		Short: "Remove what an account says of a person",
		Long: `forget removes the account's e-mail address, which entrants it was and which phones have its passes, and ends its sessions. That cannot be undone. Tickets stay valid, and
orders and the books stay as they are: an order keeps the address that it was given, which invoices may need.`,
		Example: `  ticketctl accounts forget ann@example.org`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.post(cmd.Context(), path("accounts:find"), accountRef(args[0]))
			if err != nil {
				return err
			}
			var a accountView
			if err := readInto(found, &a); err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("accounts", a.ID, "forget"), map[string]string{})
			if err != nil {
				return err
			}
			return t.showAccount(cmd, answer)
		},
	}
}

// accountRef is what core finds an account by.
func accountRef(ref string) map[string]string {
	if strings.Contains(ref, "@") {
		return map[string]string{"email": ref}
	}
	return map[string]string{"id": ref}
}

func (t *tool) showAccount(cmd *cobra.Command, answer json.RawMessage) error {
	var a accountView
	return t.show(cmd, answer, &a, func(out *table) {
		out.line("account %s", oneLine(a.ID))
		out.row("EMAIL", "LANGUAGE", "SINCE", "SIGNED OUT EVERYWHERE", "FORGOTTEN")
		out.row(a.Email, a.Language, a.CreatedAt, a.Epoch, a.Forgotten)
		for _, e := range a.Events {
			out.line("%s as entrant %s", oneLine(e.Event), oneLine(e.Entrant))
		}
	})
}
