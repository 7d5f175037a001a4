package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"time"
)

//go:embed template/account.html
var accountText string

// AccountView is what the account's page shows: who is signed in and what they have, or a form to sign in with.
type AccountView struct {
	Email   string // of who is signed in; "" nobody is
	Event   string // slug of the event to go back to; "" none
	Problem string // what is wrong, in a sentence
	// Asked is the address that a code was mailed to, which is to be typed now; "" none was.
	Asked string

	Orders  []accountOrder
	Tickets []accountTicket
	More    bool // there are other orders, or other tickets
}

type accountOrder struct{ ID, Event, Name, State, When, Price string }

type accountTicket struct {
	ID, Event, Name, When, Place string
	Valid                        bool
}

// orderStates are the words for how an order stands.
var orderStates = map[string]string{"reserved": "Not paid", "payment_pending": "Waiting for payment", "payment_failed": "Payment failed",
	"payment_complete": "Paid", "ticket_issued": "Paid", "capture_failed": "Payment failed", "expired": "Expired", "cancelled": "Cancelled",
	"refunded": "Refunded", "partly_refunded": "Partly refunded", "disputed": "Disputed", "in_review": "Being checked"}

// parseAccount reads the page's template.
func parseAccount() (*template.Template, error) { return template.New("account").Parse(accountText) }

// Fill takes core's answers about the account, its orders and its tickets into the view.
func (v *AccountView) Fill(account, orders, tickets []byte) error {
	var who struct{ Email string }
	if err := json.Unmarshal(account, &who); err != nil {
		return fmt.Errorf("read an account: %w", err)
	}
	v.Email = who.Email
	var o struct {
		Orders []struct {
			ID, Event, Name, State string
			Amount                 priceJSON
			CreatedAt              time.Time `json:"created_at"`
		}
		Next string
	}
	if err := json.Unmarshal(orders, &o); err != nil {
		return fmt.Errorf("read an account's orders: %w", err)
	}
	for _, one := range o.Orders {
		state := orderStates[one.State]
		if state == "" {
			state = one.State
		}
		v.Orders = append(v.Orders, accountOrder{one.ID, one.Event, one.Name, state, one.CreatedAt.UTC().Format("2 January 2006"), one.Amount.String()})
	}
	var t struct {
		Tickets []struct {
			ID, Event, Name, Tier, Seat, State string
			StartsAt                           time.Time `json:"starts_at"`
			TimeZone                           string    `json:"time_zone"`
		}
		More bool
	}
	if err := json.Unmarshal(tickets, &t); err != nil {
		return fmt.Errorf("read an account's tickets: %w", err)
	}
	for _, one := range t.Tickets {
		place := one.Tier
		if one.Seat != "" {
			place += ", " + one.Seat
		}
		if zone, err := time.LoadLocation(one.TimeZone); err == nil {
			one.StartsAt = one.StartsAt.In(zone)
		}
		v.Tickets = append(v.Tickets, accountTicket{one.ID, one.Event, one.Name, one.StartsAt.Format("Monday, 2 January 2006, 15:04 MST"), place, one.State == "valid"})
	}
	v.More = o.Next != "" || t.More
	return nil
}

// Account is the account's page, which needs no script.
func (p *Pages) Account(view AccountView) ([]byte, error) {
	var out bytes.Buffer
	if err := p.account.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("write the account's page: %w", err)
	}
	return out.Bytes(), nil
}
