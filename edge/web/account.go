package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// AccountView is what the account's page shows: who is signed in and what they have, or a form to sign in with.
type AccountView struct {
	Email   string // of who is signed in; "" nobody is
	Event   string // slug of the event to go back to; "" none
	Problem string // what is wrong, in a sentence
	// Then says that signing in leads back to this page with the event, and not to the event's own.
	Then bool
	// Asked is the address that a code was mailed to, which is to be typed now; "" none was.
	Asked string

	// Open are the orders that this browser, or this account, can still pay.
	Open []OpenOrder

	Orders  []accountOrder
	Tickets []accountTicket
	More    bool // there are other orders, or other tickets
	LaterView
}

type accountOrder struct{ ID, Event, Name, State, When, Price string }

type accountTicket struct {
	ID, Event, Name, When, Place string
	Valid                        bool
}

// orderState is the word for how an order stands.
func (l *Language) orderState(name string) string {
	if key := "account.state_" + name; l.Has(key) {
		return l.T(key)
	}
	return name
}

// Query is the page's own.
func (v AccountView) Query() string {
	if v.Event == "" {
		return ""
	}
	query := url.Values{"event": {v.Event}}
	if v.Then {
		query.Set("then", "ask")
	}
	return query.Encode()
}

// Fill takes core's answers about the account, its orders and its tickets into the view.
func (v *AccountView) Fill(l *Language, account, orders, tickets []byte) error {
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
		v.Orders = append(v.Orders, accountOrder{one.ID, one.Event, one.Name, l.orderState(one.State), l.Day(one.CreatedAt, ""), l.Money(one.Amount)})
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
		v.Tickets = append(v.Tickets, accountTicket{one.ID, one.Event, one.Name, l.WhenLong(one.StartsAt, one.TimeZone), place, one.State == "valid"})
	}
	v.More = o.Next != "" || t.More
	return nil
}

// Account is the account's page, which needs no script.
func (p *Pages) Account(l *Language, view AccountView) ([]byte, error) {
	return p.write(l, "account", view)
}
