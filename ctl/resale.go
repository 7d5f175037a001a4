package ctl

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

type listingView struct {
	ID          string   `json:"id"`
	Event       string   `json:"event"`
	Price       money    `json:"price"`
	Asked       money    `json:"asked"`
	YouGet      money    `json:"you_get"`
	Organizer   money    `json:"organizer_share"`
	SellerFee   money    `json:"seller_fee"`
	Cap         *money   `json:"cap"`
	Tier        string   `json:"tier"`
	Seat        string   `json:"seat"`
	State       string   `json:"state"`
	Reason      string   `json:"reason"`
	TicketID    string   `json:"ticket_id"`
	NewTicket   string   `json:"new_ticket"`
	Seller      string   `json:"seller"`
	SellerOrder string   `json:"seller_order"`
	OrderID     string   `json:"order_id"`
	ListedAt    instant  `json:"listed_at"`
	SoldAt      instant  `json:"sold_at"`
	PaidFrom    *instant `json:"paid_from"`
	Payout      string   `json:"payout"`
	PayoutBy    string   `json:"payout_by"`
	PayoutRef   string   `json:"payout_reference"`

	Email    string `json:"email"`
	Ripe     bool   `json:"ripe"`
	Disputed bool   `json:"disputed"`
}

// place is where the ticket is for.
func (l listingView) place() string {
	if l.Seat != "" {
		return l.Seat
	}
	return l.Tier
}

func (t *tool) resale() *cobra.Command {
	return group("resale", "Tickets that their owners sell on, and what sellers are paid", `  ticketctl resale list arena --state open
  ticketctl resale show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl resale withdraw 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "asked by phone"
  ticketctl resale payouts
  ticketctl resale sent 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "bank order 4711"
  ticketctl resale paid 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "statement of 2 July"`,
		t.resaleList(), t.resaleShow(), t.resalePayouts(),
		t.resaleMove("withdraw", "withdraw", "Take a listing off sale", "The ticket goes back to its owner's use with a new code. One that somebody holds or has bought is refused."),
		t.resaleMove("sent", "sent", "Note that a seller's share is about to be sent", "Note it before the bank is told: what is noted is never offered for payment again. It is refused before the share is due and while a purchase is disputed."),
		t.resaleMove("paid", "arrived", "Note that the bank has paid a seller", "The share must have been noted as sent."),
		t.resaleMove("returned", "returned", "Note that a seller's share came back", "It waits again, and can be sent once more; where the resale was undone or the seller charged back meanwhile, it is the organizer's."))
}

// listingStates are what --state may be.
var listingStates = []string{"open", "selling", "sold", "withdrawn", "ended", "undone"}

func (t *tool) resaleList() *cobra.Command {
	var state string
	var limit int
	cmd := &cobra.Command{
		Use:   "list EVENT",
		Short: "List an event's listings",
		Long:  "list shows what buyers of an event have listed, oldest first, whatever became of it.",
		Example: `  ticketctl resale list arena
  ticketctl resale list arena --state sold --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			if state != "" && !slices.Contains(listingStates, state) {
				return usagef("--state must be one of %s", strings.Join(listingStates, ", "))
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("events", args[0], "listings"), "listings", url.Values{"state": {state}}, limit)
			if err != nil {
				return err
			}
			return showList(t, cmd, "listings", found, []any{"LISTING", "PLACE", "PRICE", "SELLER GETS", "STATE", "SINCE"}, func(out *table, l listingView) {
				out.row(l.ID, l.place(), l.Price, l.YouGet, l.State, l.ListedAt)
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "open, selling, sold, withdrawn, ended or undone; default all")
	cmd.Flags().IntVar(&limit, "limit", 500, "most listings to show")
	return cmd
}

func (t *tool) resaleShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show LISTING",
		Short:   "Show one listing: its price, how it is divided, and what became of it",
		Long:    "show tells what the buyer pays in all, the cap, who gets which part, and whose orders and tickets it is about.",
		Example: "  ticketctl resale show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("listings", args[0]), nil)
			if err != nil {
				return err
			}
			var l listingView
			return t.show(cmd, answer, &l, func(out *table) {
				most := "no cap"
				if l.Cap != nil {
					most = "at most " + l.Cap.String()
				}
				out.line("listing %s of %s in %s is %s%s", l.ID, l.place(), l.Event, l.State, because(l.Reason))
				out.line("costs %s in all (%s), of which the seller asks %s: %s for them, %s for the organizer, %s for us", l.Price, most, l.Asked, l.YouGet, l.Organizer, l.SellerFee)
				out.line("ticket %s of order %s, seller %s", l.TicketID, l.SellerOrder, l.Seller)
				if l.OrderID != "" {
					out.line("bought with order %s: ticket %s, %s", l.OrderID, dash(l.NewTicket), l.SoldAt)
				}
				if l.Payout != "" {
					out.line("the seller's share is %s, due from %s%s", l.Payout, l.PaidFrom, because(l.PayoutRef))
				}
			})
		},
	}
}

// because is a reason behind a statement.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func (t *tool) resalePayouts() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "payouts",
		Short: "List what sellers are to be paid",
		Long: `payouts lists the shares of sellers that wait or were sent, the longest due first. One is due when its time has come and no purchase
is disputed. Fairgate has no bank accounts of sellers: the address is there to ask. Note a share as sent before you tell the bank.`,
		Example: `  ticketctl resale payouts
  ticketctl resale payouts --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("listings", "payouts"), "payouts", url.Values{}, limit)
			if err != nil {
				return err
			}
			return showList(t, cmd, "payouts", found, []any{"LISTING", "EVENT", "SHARE", "STATE", "FROM", "SELLER"}, func(out *table, l listingView) {
				state := l.Payout
				switch {
				case l.Disputed:
					state = "disputed"
				case l.Payout == "waiting" && l.Ripe:
					state = "due"
				}
				out.row(l.ID, l.Event, l.YouGet, state, l.PaidFrom, dash(l.Email))
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 500, "most shares to show")
	return cmd
}

func (t *tool) resaleMove(name, verb, short, long string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     name + " LISTING",
		Short:   short,
		Long:    short + ". " + long + " The reason stays on record.",
		Example: fmt.Sprintf("  ticketctl resale %s 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason \"bank order 4711\"", name),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("listings", args[0], verb), map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			var l listingView
			return t.show(cmd, answer, &l, func(out *table) {
				if l.Payout == "" {
					out.line("listing %s is %s", l.ID, l.State)
					return
				}
				out.line("%s for the seller of listing %s: %s", l.YouGet, l.ID, l.Payout)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, or the bank's reference, for whoever asks later")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}
